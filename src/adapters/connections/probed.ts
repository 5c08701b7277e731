import type { ClientPlace, TableEntry } from "./connection-table.js";
import { probersOf, socketsOf } from "./probers.js";

/** `left`: whoever it was had closed its end when the connection was first seen */
export type Client = "probe" | "left" | "other";

/**
 * Tells connections of probes that are not our own supervisor's. Remembers them by the accepted socket: a probe closes its end first, and of one that is
 * closed nobody can tell any more whose it was.
 */
export class Probed {
  readonly #init: number;
  readonly #known = new Map<number, Client>();

  /** `init`: whose other children may be probing */
  constructor(init: number) {
    this.#init = init;
  }

  /** Whose it is has to be found out: its client is wanted. */
  isNew(inode: number): boolean {
    return inode !== 0 && !this.#known.has(inode);
  }

  clientOf(inode: number): Client {
    return this.#known.get(inode) ?? "other";
  }

  /** One look's connections; `counts`: those that matter. `clients` finds the sockets at these ports, by place. */
  learn(
    entries: readonly TableEntry[],
    counts: (inode: number) => boolean,
    clients: (ports: ReadonlySet<number>) => ReadonlyMap<ClientPlace, number>,
  ): void {
    const now = new Set(entries.map(({ inode }) => inode));
    for (const inode of this.#known.keys()) if (!now.has(inode)) this.#known.delete(inode);
    const fresh = entries.filter(({ inode }) => this.isNew(inode));
    for (const { inode } of fresh) this.#known.set(inode, "other");
    const asked = fresh.filter(({ client, inode }) => client !== undefined && counts(inode));
    const probers = asked.length === 0 ? [] : probersOf(this.#init);
    if (probers.length === 0) return;
    // first theirs, then the clients': what is closed meanwhile is found closed
    const theirs = socketsOf(probers);
    const ports = new Set(asked.flatMap(({ client }) => (client?.kind === "place" ? [client.port] : [])));
    const places = ports.size === 0 ? new Map<ClientPlace, number>() : clients(ports);
    for (const { inode, client } of asked) {
      if (client === undefined) continue;
      const its = client.kind === "inode" ? client.inode : (places.get(client.place) ?? 0);
      if (its === 0) this.#known.set(inode, "left");
      else if (theirs.has(its)) this.#known.set(inode, "probe");
    }
  }
}
