import type { ConnectionCount, Connections } from "../../runtime/ports.js";
import type { OwnConnections } from "./connection-table.js";
import { indexListeners } from "./listener-index.js";
import { NetlinkTable } from "./netlink-table.js";
import { Probed } from "./probed.js";
import { readProcClients, readProcTable } from "./proc-table.js";
import { SocketOwners } from "./socket-owners.js";

export interface ConnectionsOptions {
  /** connections that count for nothing: our own probes' */
  readonly own?: OwnConnections;
  /** process id of our init: connections of what else asks under it count for nothing either */
  readonly init?: number;
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
export function createConnections({ own = nothingOwn, init, netlink = true }: ConnectionsOptions = {}): Connections {
  const kernel = new NetlinkTable();
  const owners = new SocketOwners();
  const probed = init === undefined ? undefined : new Probed(init);
  const wanted = (inode: number): boolean => probed?.isNew(inode) ?? false;
  let forbidden = !netlink;

  const read = <Table>(byDiagnosis: () => Table, asText: () => Table): Table => {
    if (!forbidden) {
      try {
        return byDiagnosis();
      } catch (error) {
        // a sandbox does not change its mind; a process without descriptors may find some again
        forbidden = forbiddance.has((error as NodeJS.ErrnoException).code ?? "");
      }
    }
    return asText();
  };

  return {
    async count(listeners, processes) {
      const index = indexListeners(listeners);
      const { entries, exact } = read(
        () => kernel.read(index, own, wanted),
        () => readProcTable(index, own, wanted),
      );
      const held = entries.filter(({ inode }) => inode !== 0);
      const left = owners.learn(new Set(held.map(({ inode }) => inode)), processes);
      probed?.learn(
        entries,
        (inode) => owners.instanceOf(inode) !== undefined || owners.unreadable.size > 0,
        (ports) =>
          read(
            () => kernel.clients(ports),
            () => readProcClients(ports),
          ),
      );
      const queued = new Map<string, number>();
      const [counted, deserted, moved] = [new Tally(), new Tally(), new Tally()];
      const listenersOf = new Map(processes.map(({ instance, listeners: own }) => [instance, own]));
      for (const { listener: first, inode, uid } of entries) {
        if (inode === 0) {
          queued.set(first, (queued.get(first) ?? 0) + 1);
          continue;
        }
        const client = probed?.clientOf(inode);
        if (client === "probe") continue;
        const instance = owners.instanceOf(inode) ?? "";
        const itsOwn = listenersOf.get(instance) ?? [first];
        const listener = itsOwn.includes(first)
          ? first
          : (index.twins(first).find((twin) => itsOwn.includes(twin)) ?? first);
        const former = left.get(inode);
        if (former !== undefined) moved.add(listener, former);
        // somebody else's, unless it may be that of a process that shows us nothing
        if (instance === "" && !mayBeHidden(owners.unreadable, uid)) continue;
        (client === "left" ? deserted : counted).add(listener, instance);
      }
      return {
        counts: counted.counts,
        deserted: deserted.counts,
        moved: moved.counts,
        queued,
        exact: exact && owners.exact,
      };
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
