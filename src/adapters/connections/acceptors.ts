import type { BoundListener } from "../../runtime/ports.js";
import { addressDigits } from "../native/address-digits.js";
import type { ConnectionTable, OwnConnections } from "./connection-table.js";
import { indexListeners } from "./listener-index.js";
import { NetlinkTable } from "./netlink-table.js";
import { readProcTable } from "./proc-table.js";
import { SocketOwners } from "./socket-owners.js";

/** Our end of a connection to a socket of this machine. */
export type ClientEnd =
  | {
      readonly kind: "tcp";
      readonly localAddress: string;
      readonly localPort: number;
      readonly remotePort: number;
    }
  | { readonly kind: "unix"; readonly inode: number; readonly path: string };

/** `queued`: nobody yet; `gone`: it is closed, or not to be seen here */
export type Acceptance = "queued" | "mine" | "other" | "gone";

/** Tells who has accepted each of these connections of ours: one of the processes, or one below them (`mine`), or somebody else. */
export function createAcceptors(): (ends: readonly ClientEnd[], pids: readonly number[]) => Acceptance[] {
  const kernel = new NetlinkTable();
  const inodeOf = (end: ClientEnd): number | undefined => {
    const index = indexListeners(placesOf(end));
    const others = allBut(end);
    let table: ConnectionTable;
    try {
      table = kernel.read(index, others);
    } catch {
      // which end of a unix socket is whose, the text does not tell
      if (end.kind === "unix") return undefined;
      table = readProcTable(index, others);
    }
    return table.entries[0]?.inode;
  };
  return (ends, pids) => {
    const inodes = ends.map(inodeOf);
    const accepted = new Set(inodes.filter((inode): inode is number => inode !== undefined && inode !== 0));
    const owners = new SocketOwners();
    if (accepted.size > 0)
      owners.learn(
        accepted,
        pids.map((pid) => ({ instance: "asked", pid })),
      );
    return inodes.map((inode) => {
      if (inode === undefined) return "gone";
      if (inode === 0) return "queued";
      if (owners.instanceOf(inode) !== undefined) return "mine";
      return owners.exact ? "other" : "gone";
    });
  };
}

/** Wherever it may have been accepted: an IPv4 connection by an IPv6 socket, too. */
function placesOf(end: ClientEnd): ReadonlyMap<string, BoundListener> {
  const common = { name: "asked", key: "", backlog: 0, reusePort: false, passAs: "systemd", envName: "" } as const;
  if (end.kind === "unix") {
    const address = { kind: "unix", path: end.path, mode: 0, type: "stream" } as const;
    return new Map([["asked", { spec: { ...common, address }, fd: -1, path: end.path }]]);
  }
  const port = end.remotePort;
  const at = (host: string): BoundListener => ({
    spec: { ...common, address: { kind: "tcp", host, port, ipv6Only: false } },
    fd: -1,
    host,
    port,
  });
  return new Map([
    ["asked", at("0.0.0.0")],
    ["asked by IPv6", at("::")],
  ]);
}

/** Everything but the connection that is asked for counts as somebody else's. */
function allBut(end: ClientEnd): OwnConnections {
  if (end.kind === "unix") return { hasPort: () => true, hasInode: (inode) => inode !== end.inode };
  const digits = addressDigits(end.localAddress);
  return {
    hasPort: (port, address) => !(port === end.localPort && address().endsWith(digits)),
    hasInode: () => true,
  };
}
