import { readFileSync } from "node:fs";

function lines(file: string): string[][] {
  try {
    const [, ...rest] = readFileSync(file, "utf8").split("\n");
    return rest.filter((line) => line !== "").map((line) => line.trim().split(/\s+/));
  } catch {
    // a machine without IPv6 has no tcp6; a container may hide /proc/net
    return [];
  }
}

/** The sockets of one family and kind in this network namespace that listen (tcp) or are bound (udp), by port. */
export type NetTable = ReadonlyMap<number, readonly { readonly address: string; readonly inode: string }[]>;

/** From /proc/net. */
export function netTable(kind: "tcp" | "udp", family: 4 | 6): NetTable {
  const table = new Map<number, { readonly address: string; readonly inode: string }[]>();
  for (const [, local = "", , state, , , , , , inode = "0"] of lines(`/proc/net/${kind}${family === 4 ? "" : "6"}`)) {
    if ((kind === "tcp" && state !== "0A") || inode === "0") continue;
    const [address = "", hexPort = ""] = local.split(":");
    const port = Number.parseInt(hexPort, 16);
    table.set(port, [...(table.get(port) ?? []), { address, inode }]);
  }
  return table;
}

/**
 * Inodes of the sockets of this network namespace that listen (tcp) or are bound (udp) at a port and stand in the way of `host`: at the same
 * address, or one of the two at a wildcard. Those of the same family when there are any; of both when `host` is undefined.
 */
export function inodesInTheWay(
  kind: "tcp" | "udp",
  port: number,
  host: { readonly family: 4 | 6; readonly host: string } | undefined,
  tableOf: typeof netTable = netTable,
): Set<string> {
  const bytes = host === undefined ? undefined : host.family === 4 ? bytesOfIpv4(host.host) : bytesOfIpv6(host.host);
  const find = (family: 4 | 6): string[] =>
    (tableOf(kind, family).get(port) ?? []).flatMap(({ address, inode }) =>
      bytes === undefined || overlap(bytes, bytesOfHex(address)) ? [inode] : [],
    );
  if (host === undefined) return new Set([...find(4), ...find(6)]);
  const same = find(host.family);
  return new Set(same.length > 0 ? same : find(host.family === 4 ? 6 : 4));
}

function overlap(a: readonly number[], b: readonly number[]): boolean {
  return isWildcard(a) || isWildcard(b) || plain(a).join() === plain(b).join();
}

function isWildcard(bytes: readonly number[]): boolean {
  return bytes.every((byte) => byte === 0);
}

/** An IPv4 address written as an IPv6 one is the IPv4 address. */
function plain(bytes: readonly number[]): readonly number[] {
  const mapped = bytes.length === 16 && bytes.slice(0, 12).join() === [...Array(10).fill(0), 255, 255].join();
  return mapped ? bytes.slice(12) : bytes;
}

/** The kernel prints words of 32 bits in the machine's order: little-endian wherever Node runs. */
function bytesOfHex(hex: string): number[] {
  const bytes = [...Buffer.from(hex, "hex")];
  return bytes.map((_, i) => bytes[i - (i % 4) + 3 - (i % 4)] ?? 0);
}

function bytesOfIpv4(host: string): number[] {
  return host.split(".").map(Number);
}

function bytesOfIpv6(host: string): number[] {
  // in its one spelling, without dotted parts
  const [head = "", tail] = new URL(`http://[${host}]`).hostname.slice(1, -1).split("::");
  const words = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16));
  const [left, right] = [words(head), words(tail ?? "")];
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return all.flatMap((word) => [word >> 8, word & 255]);
}

/**
 * Path -> inode of the unix sockets that own the name they are bound to: not connected. (What a listener accepted carries its name, too,
 * and may outlive it. A datagram socket has none such, and Linux calls it connected as soon as anybody has connected to it.)
 */
export function boundPaths(): Map<string, string> {
  const paths = new Map<string, string>();
  for (const { path, inode } of bound()) paths.set(path, inode);
  return paths;
}

/** Inodes of all unix sockets that own this name: more than one when the file of an earlier one was removed or replaced. */
export function inodesOfPath(path: string): string[] {
  return bound().flatMap((each) => (each.path === path ? [each.inode] : []));
}

function bound(): { readonly path: string; readonly inode: string }[] {
  return lines("/proc/net/unix").flatMap(([, , , , type, state, inode = "0", ...path]) =>
    (state === "01" || type === "0002") && path.length > 0 ? [{ path: path.join(" "), inode }] : [],
  );
}
