import type { Acceptors, ClientEnd } from "../../core/acceptance.js";
import { addressDigits } from "../native/address-digits.js";
import {
  type ClientSocket,
  type ConnectionTable,
  clientPlace,
  established,
  isLive,
  isLocal,
  type OwnConnections,
} from "./connection-table.js";
import type { ListenerIndex } from "./listener-index.js";
import { NetlinkTable } from "./netlink-table.js";
import { readProcTable } from "./proc-table.js";
import { SocketOwners } from "./socket-owners.js";

/** Tells who has accepted each of these connections of ours: one of the processes, or one below them (`mine`), or somebody else. */
export function createAcceptors(): Acceptors {
  const kernel = new NetlinkTable();
  const tableOf = (ends: readonly ClientEnd[]): ConnectionTable => {
    const [index, others] = [placesOf(ends), allBut(ends)];
    try {
      return kernel.read(index, others, always, always);
    } catch {
      // which end of a unix socket is whose, the text does not tell
      return readProcTable({ ...index, paths: new Map() }, others, always, always);
    }
  };
  return (ends, pids) => {
    const { entries, exact } = tableOf(ends);
    const byClient = new Map(
      entries.map((entry) => [entry.client === undefined ? "" : clientKey(entry.client), entry]),
    );
    const found = ends.map((end) => byClient.get(endKey(end)));
    const accepted = new Set(found.flatMap((entry) => (entry === undefined || entry.inode === 0 ? [] : [entry.inode])));
    const owners = new SocketOwners();
    if (accepted.size > 0)
      owners.learn(
        accepted,
        pids.map((pid) => ({ instance: "asked", pid })),
      );
    return found.map((entry, i) => {
      const end = ends[i];
      // of one that ends on another machine nothing can be seen, of one that was reset nothing is left
      if (entry === undefined) return exact && end !== undefined && endsHere(end) ? "closed" : "untold";
      if (entry.inode === 0) return isLive(0, entry.state ?? established) ? "queued" : "closed";
      if (owners.instanceOf(entry.inode) !== undefined) return "mine";
      return owners.exact ? "other" : "untold";
    });
  };
}

const always = () => true;

function endsHere(end: ClientEnd): boolean {
  return end.kind === "unix" || isLocal(addressDigits(end.localAddress), addressDigits(end.remoteAddress));
}

function clientKey(client: ClientSocket): string {
  return client.kind === "inode" ? `${client.inode}` : client.place;
}

function endKey(end: ClientEnd): string {
  return end.kind === "unix"
    ? `${end.inode}`
    : clientPlace(addressDigits(end.localAddress), end.localPort, end.remotePort);
}

/** Wherever they may have been accepted: an IPv4 connection by an IPv6 socket, too; at a path that leads to a socket of another name. */
function placesOf(ends: readonly ClientEnd[]): ListenerIndex {
  const ports = new Set(ends.flatMap((end) => (end.kind === "tcp" ? [end.remotePort] : [])));
  const paths = { size: ends.some(({ kind }) => kind === "unix") ? 1 : 0, get: () => "asked" };
  return { ports, families: new Set([4, 6]), paths, atPort: () => "asked", twins: () => [] };
}

/** Everything but the connections that are asked for counts as somebody else's. */
function allBut(ends: readonly ClientEnd[]): OwnConnections {
  const ports = new Set(ends.map((end) => (end.kind === "tcp" ? end.localPort : 0)));
  const inodes = new Set(ends.map((end) => (end.kind === "unix" ? end.inode : 0)));
  return { hasPort: (port) => !ports.has(port), hasInode: (inode) => !inodes.has(inode) };
}
