import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import {
  type ClientPlace,
  type ConnectionTable,
  clientPlace,
  closeWait,
  established,
  isLive,
  isLocal,
  type OwnConnections,
  type TableEntry,
  type Wanted,
} from "./connection-table.js";
import type { ListenerIndex } from "./listener-index.js";

const fin1 = 4;
const fin2 = 5;
const states = new Set([established, fin1, fin2, closeWait]);
const little = endianness() === "LE";

/** Reads the tables as text, where the socket diagnosis is not to be had: slower, never exact, and it knows no peer of a unix socket. */
export function readProcTable(
  index: ListenerIndex,
  own: OwnConnections,
  wanted: Wanted = () => false,
  shown: (inode: number, state: number) => boolean = isLive,
): ConnectionTable {
  const entries: TableEntry[] = [];
  for (const family of index.families) {
    for (const { local, remote, state, uid, inode } of tcpSockets(family)) {
      if (!states.has(state) || !index.ports.has(local.port) || !shown(inode, state)) continue;
      if (own.hasPort(remote.port, remote.address)) continue;
      const listener = index.atPort(local.port, family, local.address);
      if (listener === undefined) continue;
      const asked = wanted(inode) && isLocal(local.address(), remote.address());
      const place = asked ? clientPlace(remote.address(), remote.port, local.port) : "";
      const client = asked ? { client: { kind: "place", place, port: remote.port } as const } : {};
      entries.push({ listener, inode, state, uid, ...client });
    }
  }
  if (index.paths.size > 0) {
    for (const line of lines("unix")) {
      const [, , , , , state, inode] = line.split(/\s+/, 7);
      // the path is the rest, blanks and all; "@" for the NULs of an abstract name
      const path = /^\S+: \S+ \S+ \S+ \S+ \S+ +\d+ (.*)$/.exec(line)?.[1];
      if (path === undefined) continue;
      const listener = index.paths.get(path.startsWith("@") ? path.replaceAll("@", "\0") : path);
      // 3: connected; 2: connecting, which for a socket with its listener's name is: not accepted yet
      if (listener === undefined || (state !== "03" && state !== "02")) continue;
      entries.push({ listener, inode: state === "03" ? Number(inode) : 0 });
    }
  }
  return { entries, exact: false };
}

/** Of TCP sockets at these ports, by place: inodes, 0 where it is closed already. */
export function readProcClients(ports: ReadonlySet<number>): ReadonlyMap<ClientPlace, number> {
  const found = new Map<ClientPlace, number>();
  for (const family of [4, 6] as const)
    for (const { local, remote, state, inode } of tcpSockets(family))
      if (states.has(state) && ports.has(local.port))
        found.set(clientPlace(local.address(), local.port, remote.port), inode);
  return found;
}

function* tcpSockets(family: 4 | 6) {
  for (const line of lines(family === 6 ? "tcp6" : "tcp")) {
    const [, local = "", remote = "", state = "", , , , uid, , inode] = line.trim().split(/\s+/, 10);
    yield {
      local: endOf(local),
      remote: endOf(remote),
      state: Number.parseInt(state, 16),
      uid: Number(uid),
      inode: Number(inode),
    };
  }
}

function endOf(text: string) {
  return { port: Number.parseInt(text.slice(-4), 16), address: () => wireOrder(text) };
}

function lines(name: string): string[] {
  try {
    const [, ...rest] = readFileSync(`/proc/net/${name}`, "utf8").split("\n");
    return rest.filter((line) => line !== "");
  } catch {
    // no IPv6, or no /proc/net at all
    return [];
  }
}

/** The kernel prints addresses as numbers of 32 bits, in the machine's order. */
function wireOrder(text: string): string {
  const digits = text.slice(0, text.indexOf(":")).toLowerCase();
  return little ? digits.replace(/(..)(..)(..)(..)/g, "$4$3$2$1") : digits;
}
