import type { ListenerAddress, ListenerSpec } from "./plan.js";

/**
 * The one message of pingora's own handover: the names of all sockets, joined by single spaces, with their descriptors beside them in the same
 * order. No version, no length, no answer. pingora's receiver has room for so many:
 */
export const mostPingoraSockets = 32;
export const mostPingoraBytes = 2048;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
/** what splits names for pingora */
const whitespace = /[ \t\n\f\r]+/;

/** What pingora calls a listener: its address as it was written, where pingora could have read that. */
export function pingoraKey({ key, address }: Pick<ListenerSpec, "key" | "address">): string {
  if (address.kind === "unix" || /^[^*:].*:\d+$/.test(key)) return key;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Why these listeners cannot go to a pingora, all reasons at once; undefined: they can. */
export function pingoraRefusal(listeners: readonly ListenerSpec[]): string | undefined {
  const keys = listeners.map(pingoraKey);
  const bytes = encoder.encode(keys.join(" ")).length;
  const quoted = (specs: readonly ListenerSpec[]) => specs.map(({ name }) => `"${name}"`).join(", ");
  const where = (is: (spec: ListenerSpec, key: string) => boolean) =>
    listeners.filter((spec, i) => is(spec, keys[i] ?? ""));
  const foreign = where(
    ({ address }) => address.kind === "udp" || (address.kind === "unix" && address.type !== "stream"),
  );
  const spaced = where((_, key) => whitespace.test(key));
  const twice = where((_, key) => keys.indexOf(key) !== keys.lastIndexOf(key));
  const reasons = [
    keys.length === 0 && "there is no listener",
    keys.length > mostPingoraSockets && `there are ${keys.length} sockets, pingora takes ${mostPingoraSockets}`,
    bytes > mostPingoraBytes && `their names have ${bytes} bytes, pingora reads ${mostPingoraBytes}`,
    foreign.length > 0 && `pingora knows TCP and unix stream sockets only, not ${quoted(foreign)}`,
    spaced.length > 0 && `pingora splits names at spaces, which are in the address of ${quoted(spaced)}`,
    twice.length > 0 && `pingora knows one socket per address, ${quoted(twice)} are at the same`,
  ].filter((reason) => reason !== false);
  return reasons.length === 0 ? undefined : reasons.join("; ");
}

/** The names of what `pingoraRefusal` has nothing against. */
export function encodePingoraNames(keys: readonly string[]): Uint8Array {
  return encoder.encode(keys.join(" "));
}

export type PingoraNames =
  | { readonly ok: true; readonly keys: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/** The names of a message that came with so many descriptors. Never throws, whatever the bytes. */
export function decodePingoraNames(bytes: Uint8Array, descriptors: number): PingoraNames {
  const no = (reason: string): PingoraNames => ({ ok: false, reason });
  if (bytes.length > mostPingoraBytes) return no(`the names have more than ${mostPingoraBytes} bytes`);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return no("the names are not UTF-8");
  }
  const keys = text.split(whitespace).filter((key) => key !== "");
  if (keys.length !== descriptors) return no(`${keys.length} names came with ${descriptors} sockets`);
  if (new Set(keys).size !== keys.length) return no("one name came twice");
  return { ok: true, keys };
}

/** How one of ours says, before anything else, that it is no pingora: a frame that every session passes over. `directory`: which journal it goes by. */
export function encodeKnock(directory: string): Uint8Array {
  const text = encoder.encode(JSON.stringify({ type: "KNOCK", directory }));
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  return bytes;
}

/** A frame begins with its length, so with a zero; a name never does. */
export function isFrame(bytes: Uint8Array): boolean {
  return bytes[0] === 0;
}

/** The directory of a knock; undefined: it is another frame, or none. */
export function decodeKnock(bytes: Uint8Array): string | undefined {
  if (!isFrame(bytes)) return undefined;
  try {
    const frame: unknown = JSON.parse(decoder.decode(bytes.subarray(4)));
    if (typeof frame !== "object" || frame === null) return undefined;
    const { type, directory } = frame as { readonly type?: unknown; readonly directory?: unknown };
    return type === "KNOCK" && typeof directory === "string" ? directory : undefined;
  } catch {
    return undefined;
  }
}

/** What is known of a socket that came from a pingora. */
export interface PingoraSocketFacts {
  readonly key: string;
  readonly type: "stream" | "dgram" | "seqpacket";
  /** as the kernel tells it: "0.0.0.0:8080", "[::]:8080", a path */
  readonly address: string;
}

export interface PingoraMatch<S extends PingoraSocketFacts> {
  /** by name of our listener */
  readonly taken: ReadonlyMap<string, S>;
  /** to be bound */
  readonly extra: readonly ListenerSpec[];
  readonly unclaimed: readonly S[];
  /** what an operator should know: another spelling, more than one choice */
  readonly remarks: readonly string[];
}

/** Which of the received sockets our listeners are: by the exact name first, then by where the socket really is. */
export function matchPingoraSockets<S extends PingoraSocketFacts>(
  specs: readonly ListenerSpec[],
  received: readonly S[],
  addressesOf: (address: ListenerAddress) => readonly string[],
): PingoraMatch<S> {
  const left = new Set(received);
  const taken = new Map<string, S>();
  const remarks: string[] = [];
  const take = ({ name }: ListenerSpec, socket: S | undefined): void => {
    if (socket === undefined) return;
    left.delete(socket);
    taken.set(name, socket);
  };
  const isStream = ({ address }: ListenerSpec) =>
    address.kind === "tcp" || (address.kind === "unix" && address.type === "stream");
  const streams = specs.filter(isStream);
  for (const spec of streams)
    take(
      spec,
      [...left].find(({ key, type }) => type === "stream" && (key === pingoraKey(spec) || key === spec.key)),
    );
  for (const spec of streams) {
    if (taken.has(spec.name)) continue;
    const places = addressesOf(spec.address);
    const there = places.flatMap((place) =>
      [...left].filter(({ address, type }) => type === "stream" && address === place),
    );
    const [socket] = there;
    if (socket === undefined) continue;
    take(spec, socket);
    remarks.push(
      there.length === 1
        ? `listener "${spec.name}" is known to pingora as "${socket.key}", it is written "${pingoraKey(spec)}" here`
        : `listener "${spec.name}" may be any of ${there.map(({ key }) => `"${key}"`).join(", ")}: the first is taken`,
    );
  }
  return { taken, extra: specs.filter(({ name }) => !taken.has(name)), unclaimed: [...left], remarks };
}
