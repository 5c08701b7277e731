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
 * Time grows with the number of both, not with its square: clients wait in the meantime.
 */
export function matchSockets<S extends SocketFacts>(
  specs: readonly ListenerSpec[],
  offered: readonly S[],
  /** the addresses at which the listener may be found, as the kernel writes them: an unspecified host may be either family's */
  addressesOf: (address: ListenerAddress) => readonly string[],
  realPathOf: (path: string) => string,
): Matched<S> {
  const taken = new Map<string, S>();
  const kept: string[] = [];
  // by place in the offer: a Set of a thousand objects costs more than all the rest
  const used = new Uint8Array(offered.length);
  const take = (spec: ListenerSpec, place: number | undefined): void => {
    const socket = place === undefined || used[place] === 1 ? undefined : offered[place];
    if (place === undefined || socket === undefined) return;
    used[place] = 1;
    taken.set(spec.name, socket);
    if (socket.family !== "unix" && socket.reusePort !== spec.reusePort)
      kept.push(
        `listener "${spec.name}" stays ${socket.reusePort ? "with" : "without"} reusePort: an open socket cannot change it`,
      );
  };
  let names: ReadonlyMap<string, number> | undefined;
  const placeOf = (name: string, guess: number): number | undefined => {
    if (offered[guess]?.name === name) return guess;
    names ??= new Map(offered.map((socket, place) => [socket.name, place]));
    return names.get(name);
  };
  // names first: of two sockets at one address each finds its own
  for (let i = 0; i < specs.length; i++) {
    const spec = specs[i] as ListenerSpec;
    const place = placeOf(spec.name, i);
    if (place !== undefined && isSame(spec, offered[place] as S, addressesOf)) take(spec, place);
  }
  if (taken.size < specs.length) {
    const isLeft = (place: number) => used[place] === 0;
    const left = [...offered.keys()].filter(isLeft);
    const missing = specs.filter(({ name }) => !taken.has(name));
    const groups = (which: (socket: S) => string) => groupBy(left, (place) => which(offered[place] as S));
    const byAddress = groups(({ type, address }) => `${type} ${address}`);
    const byKey = groups(({ type, key }) => `${type} ${key}`);
    for (const spec of missing) {
      const type = socketTypeOf(spec.address);
      const addresses = addressesOf(spec.address);
      const found =
        addresses.length === 0
          ? byKey.get(`${type} ${spec.key}`)
          : addresses.flatMap((address) => byAddress.get(`${type} ${address}`) ?? []);
      take(spec, found?.find(isLeft));
    }
    let byPath: ReadonlyMap<string, number[]> | undefined;
    for (const spec of missing) {
      const { address, name } = spec;
      if (address.kind !== "unix" || taken.has(name)) continue;
      byPath ??= groups(({ family, type, address: at }) => (family === "unix" ? `${type} ${realPathOf(at)}` : ""));
      take(spec, byPath.get(`${address.type} ${realPathOf(address.path)}`)?.find(isLeft));
    }
  }
  return { taken, unclaimed: offered.filter((_, place) => used[place] === 0), kept };
}

/** Whether the socket of the listener's name is at its address. */
function isSame(
  { key, address }: ListenerSpec,
  socket: SocketFacts,
  addressesOf: (address: ListenerAddress) => readonly string[],
): boolean {
  if (socketTypeOf(address) !== socket.type) return false;
  if (address.kind === "unix") return address.path === socket.address;
  const port = address.port === 0 ? Number(place(socket.address).port) : address.port;
  // nearly always, and it saves a closer look at each
  if (`${address.host}:${port}` === socket.address) return true;
  const places = addressesOf({ ...address, port });
  return places.length === 0 ? key === socket.key : places.includes(socket.address);
}

function groupBy<T>(all: readonly T[], key: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) {
    const name = key(each);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [each]);
    else group.push(each);
  }
  return groups;
}

/** A listener to be bound, and the offered socket that keeps it from that. */
export interface Crossed<S extends SocketFacts> {
  readonly spec: ListenerSpec;
  readonly by: S;
  /** both are at one address, and the two do not share it; else one is at all addresses of the machine, the other at some of them */
  readonly same: boolean;
}

/** Listeners to be bound that an offered socket keeps from it, as long as the old generation has that. Only what is certain. */
export function crossed<S extends SocketFacts>(
  specs: readonly ListenerSpec[],
  offered: readonly S[],
  addressesOf: (address: ListenerAddress) => readonly string[],
): Crossed<S>[] {
  if (specs.length === 0) return [];
  const internet = offered.filter(({ family }) => family !== "unix");
  const byPort = groupBy(internet, ({ type, address }) => `${type} ${place(address).port}`);
  return specs.flatMap((spec) => {
    const { address } = spec;
    if (address.kind === "unix" || address.port === 0) return [];
    const wanted = addressesOf(address).map((each) => place(each).host);
    const near = byPort.get(`${socketTypeOf(address)} ${address.port}`) ?? [];
    const by = near.find((socket) => excludes(spec, wanted, socket));
    return by === undefined ? [] : [{ spec, by, same: wanted.includes(place(by.address).host) }];
  });
}

/** Whether a socket at this port keeps the listener's hosts from being bound. */
function excludes({ address, reusePort }: ListenerSpec, hosts: readonly string[], socket: SocketFacts): boolean {
  if (address.kind === "unix" || (reusePort && socket.reusePort)) return false;
  const both = !address.ipv6Only;
  const has = place(socket.address).host;
  return hosts.some((host) => {
    // of IPv4 it is only where there is no IPv6
    if (address.ipv6Only && !host.includes(":")) return false;
    // what the kernel tells does not say of which interface
    if (host === has) return !address.host.includes("%");
    if (host.includes(":") === has.includes(":")) return isAny(host) || isAny(has);
    // of an old one it is not known whether it is at the addresses of both families
    return host === "::" && both;
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
