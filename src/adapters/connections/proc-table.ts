import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { type ConnectionTable, isLive, type OwnConnections, type TableEntry } from "./connection-table.js";
import type { ListenerIndex } from "./listener-index.js";

const fin1 = 4;
const fin2 = 5;
const liveStates = new Set([1, fin1, fin2, 8]);
const little = endianness() === "LE";

/** Reads the tables as text, where the socket diagnosis is not to be had: slower, never exact, and it knows no peer of a unix socket. */
export function readProcTable(index: ListenerIndex, own: OwnConnections): ConnectionTable {
  const entries: TableEntry[] = [];
  for (const family of index.families) {
    for (const line of lines(family === 6 ? "tcp6" : "tcp")) {
      const [, local = "", remote = "", state = "", , , , uid, , inode] = line.trim().split(/\s+/, 10);
      const stateNumber = Number.parseInt(state, 16);
      const port = Number.parseInt(local.slice(-4), 16);
      if (!liveStates.has(stateNumber) || !index.ports.has(port) || !isLive(Number(inode), stateNumber)) continue;
      if (own.hasPort(Number.parseInt(remote.slice(-4), 16), () => wireOrder(remote))) continue;
      const listener = index.atPort(port, family, () => wireOrder(local));
      if (listener !== undefined) entries.push({ listener, inode: Number(inode), uid: Number(uid) });
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
