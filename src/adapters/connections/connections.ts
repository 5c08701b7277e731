import type { ConnectionCount, Connections } from "../../runtime/ports.js";
import type { ConnectionTable, OwnConnections } from "./connection-table.js";
import { indexListeners, type ListenerIndex } from "./listener-index.js";
import { NetlinkTable } from "./netlink-table.js";
import { readProcTable } from "./proc-table.js";
import { SocketOwners } from "./socket-owners.js";

export interface ConnectionsOptions {
  /** connections that count for nothing: our own probes' */
  readonly own?: OwnConnections;
  /** false: as where the kernel's socket diagnosis is forbidden */
  readonly netlink?: boolean;
}

const forbiddance = new Set(
  "EPERM EACCES EPROTONOSUPPORT EAFNOSUPPORT EOPNOTSUPP ENOENT ENOSYS EINVAL EAGAIN".split(" "),
);

const nothingOwn: OwnConnections = { hasPort: () => false, hasInode: () => false };

/**
 * Counts the connections of listeners from the kernel's tables. All the work is done within the call, before the promise is returned: what
 * is counted is what was there then.
 */
export function createConnections({ own = nothingOwn, netlink = true }: ConnectionsOptions = {}): Connections {
  const kernel = new NetlinkTable();
  const owners = new SocketOwners();
  let forbidden = !netlink;

  const read = (index: ListenerIndex): ConnectionTable => {
    if (!forbidden) {
      try {
        return kernel.read(index, own);
      } catch (error) {
        // a sandbox does not change its mind; a process without descriptors may find some again
        forbidden = forbiddance.has((error as NodeJS.ErrnoException).code ?? "");
      }
    }
    return readProcTable(index, own);
  };

  return {
    async count(listeners, processes) {
      const { entries, exact } = read(indexListeners(listeners));
      const held = entries.filter(({ inode }) => inode !== 0);
      const left = owners.learn(new Set(held.map(({ inode }) => inode)), processes);
      const queued = new Map<string, number>();
      const counted = new Tally();
      const moved = new Tally();
      for (const { listener, inode, uid } of entries) {
        if (inode === 0) {
          queued.set(listener, (queued.get(listener) ?? 0) + 1);
          continue;
        }
        const instance = owners.instanceOf(inode) ?? "";
        const former = left.get(inode);
        if (former !== undefined) moved.add(listener, former);
        // somebody else's, unless it may be that of a process that shows us nothing
        if (instance === "" && !mayBeHidden(owners.unreadable, uid)) continue;
        counted.add(listener, instance);
      }
      return { counts: counted.counts, moved: moved.counts, queued, exact: exact && owners.exact };
    },
  };
}

function mayBeHidden(users: ReadonlySet<number>, uid: number | undefined): boolean {
  return users.size > 0 && (uid === undefined || users.has(uid) || users.has(-1));
}

class Tally {
  readonly #counts = new Map<string, { readonly listener: string; readonly instance: string; connections: number }>();

  get counts(): ConnectionCount[] {
    return [...this.#counts.values()].map(countOf);
  }

  add(listener: string, instance: string): void {
    const key = `${listener}\n${instance}`;
    const before = this.#counts.get(key);
    if (before === undefined) this.#counts.set(key, { listener, instance, connections: 1 });
    else before.connections += 1;
  }
}

function countOf({ listener, instance, connections }: Required<Omit<ConnectionCount, "service">>): ConnectionCount {
  if (instance === "") return { listener, connections };
  return { listener, service: instance.slice(0, instance.lastIndexOf("/")), instance, connections };
}
