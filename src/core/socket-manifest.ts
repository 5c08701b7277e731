import type { ListenerAddress, ListenerSpec } from "./plan.js";

/** What a handover says of a listening socket: where it is and what it is, as the kernel tells. */
export interface SocketFacts {
  readonly name: string;
  /** the address as the configuration wrote it */
  readonly key: string;
  readonly family: "inet" | "inet6" | "unix";
  readonly type: "stream" | "dgram" | "seqpacket";
  /** "0.0.0.0:8080", "[::]:8080", a path */
  readonly address: string;
  readonly reusePort: boolean;
}

export interface Matched<S extends SocketFacts> {
  /** by name of the successor's listener */
  readonly taken: ReadonlyMap<string, S>;
  /** what the old generation has and the successor does not want */
  readonly unclaimed: readonly S[];
  /** the successor asks for something that a socket cannot change while it is open, in words */
  readonly kept: readonly string[];
}

/**
 * Which of the offered sockets the successor's listeners are. What counts is the address; among several at one address (reusePort) the
 * name. A listener with port 0 is the offered one of its name; one whose host is a name is known by how it was written. A path that is written
 * in another way (/var/run is /run) is looked at only when nothing has been found by what is written: that costs a look at the disk.
 */
export function matchSockets<S extends SocketFacts>(
  specs: readonly ListenerSpec[],
  offered: readonly S[],
  /** the addresses at which the listener may be found, as the kernel writes them: an unspecified host may be either family's */
  addressesOf: (address: ListenerAddress) => readonly string[],
  realPathOf: (path: string) => string,
): Matched<S> {
  const left = new Set(offered);
  const taken = new Map<string, S>();
  const candidates = (spec: ListenerSpec): S[] => {
    const places = addressesOf(spec.address);
    const isThere = ({ address, key }: S) => (places.length === 0 ? key === spec.key : places.includes(address));
    return [...left].filter((socket) => socketTypeOf(spec.address) === socket.type && isThere(socket));
  };
  const take = (spec: ListenerSpec, socket: S | undefined): void => {
    if (socket === undefined) return;
    left.delete(socket);
    taken.set(spec.name, socket);
  };
  // names first: of two sockets at one address each finds its own
  for (const spec of specs) {
    const named = [...left].find(({ name }) => name === spec.name);
    const anyPort = spec.address.kind !== "unix" && spec.address.port === 0;
    if (named !== undefined && (candidates(spec).includes(named) || (anyPort && sameHost(spec, named, addressesOf))))
      take(spec, named);
  }
  for (const spec of specs) if (!taken.has(spec.name)) take(spec, candidates(spec)[0]);
  for (const spec of specs) {
    const { address } = spec;
    if (taken.has(spec.name) || address.kind !== "unix") continue;
    const real = realPathOf(address.path);
    const isLike = ({ family, type }: S) => family === "unix" && type === address.type;
    take(
      spec,
      [...left].find((socket) => isLike(socket) && realPathOf(socket.address) === real),
    );
  }
  const kept = specs.flatMap((spec) => {
    const socket = taken.get(spec.name);
    if (socket === undefined || socket.family === "unix" || socket.reusePort === spec.reusePort) return [];
    return [
      `listener "${spec.name}" stays ${socket.reusePort ? "with" : "without"} reusePort: an open socket cannot change it`,
    ];
  });
  return { taken, unclaimed: [...left], kept };
}

/**
 * A listener to be bound that an offered socket keeps from it, as long as the old generation has that: one of the two is at all addresses
 * of the machine, the other at some of them. Only what is certain.
 */
export function crossedBy<S extends SocketFacts>(
  { address, reusePort }: ListenerSpec,
  offered: readonly S[],
  addressesOf: (address: ListenerAddress) => readonly string[],
): S | undefined {
  if (address.kind === "unix" || address.port === 0) return undefined;
  const wanted = addressesOf(address).map(place);
  const both = !address.ipv6Only;
  return offered.find((socket) => {
    if (socket.family === "unix" || socket.type !== socketTypeOf(address)) return false;
    if (reusePort && socket.reusePort) return false;
    const has = place(socket.address);
    return wanted.some(({ host, port }) => {
      if (port !== has.port || host === has.host) return false;
      if (host.includes(":") === has.host.includes(":")) return isAny(host) || isAny(has.host);
      // of an old one it is not known whether it is at the addresses of both families
      return host === "::" && both;
    });
  });
}

function place(address: string): { readonly host: string; readonly port: string } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: address.slice(colon + 1) };
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function socketTypeOf(address: ListenerAddress): SocketFacts["type"] {
  if (address.kind === "unix") return address.type;
  return address.kind === "tcp" ? "stream" : "dgram";
}

function sameHost(
  { address }: ListenerSpec,
  socket: SocketFacts,
  addressesOf: (address: ListenerAddress) => readonly string[],
): boolean {
  if (address.kind === "unix" || socketTypeOf(address) !== socket.type) return false;
  const port = Number(socket.address.slice(socket.address.lastIndexOf(":") + 1));
  return addressesOf({ ...address, port }).includes(socket.address);
}
