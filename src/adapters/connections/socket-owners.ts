import { statSync } from "node:fs";
import { processTree } from "../native/process-tree.js";
import { HeldSockets } from "./held-sockets.js";

export interface OwnedProcess {
  readonly instance: string;
  readonly pid: number;
}

/** so many are looked for anew in every look; more only now and then: a process may pass a connection on to another */
const fewSockets = 512;
const looksBetweenScans = 4;
/** a socket that belonged to nobody we know in so many scans is not looked for again: another generation's, another container's */
const triesForNobody = 3;

interface Known {
  readonly instance?: string;
  readonly tries: number;
}

/** Which instance has a socket. Remembers what it found: /proc is read only while there are sockets that it does not know. */
export class SocketOwners {
  readonly #known = new Map<number, Known>();
  #unreadable = new Set<number>();
  #scanned = "";
  #truncated = false;
  #looks = 0;
  readonly #held = new HeldSockets();

  /** users of processes whose sockets may not be seen; undefined: of one that could not even be asked */
  get unreadable(): ReadonlySet<number> {
    return this.#unreadable;
  }

  get exact(): boolean {
    return this.#unreadable.size === 0 && !this.#truncated;
  }

  instanceOf(inode: number): string | undefined {
    return this.#known.get(inode)?.instance;
  }

  /**
   * Looks for the owners of these sockets: where they are not known, or may have changed. Returns who had a socket that somebody else has now.
   */
  learn(inodes: ReadonlySet<number>, processes: readonly OwnedProcess[]): ReadonlyMap<number, string> {
    const instances = new Set(processes.map(({ instance }) => instance));
    for (const [inode, { instance }] of this.#known)
      if (!inodes.has(inode) || (instance !== undefined && !instances.has(instance))) this.#known.delete(inode);
    const names = processes.map(({ instance, pid }) => `${instance} ${pid}`).join();
    const unknown = [...inodes].some((inode) => {
      const known = this.#known.get(inode);
      return known === undefined || (known.instance === undefined && known.tries < triesForNobody);
    });
    this.#looks += 1;
    const cheap = inodes.size <= fewSockets || this.#looks % looksBetweenScans === 0;
    if (!unknown && !cheap && names === this.#scanned) return new Map();
    this.#scanned = names;
    const before = new Map(this.#known);
    this.#scan(inodes, processes);
    const moved = new Map<number, string>();
    for (const [inode, { instance }] of before)
      if (instance !== undefined && this.#known.get(inode)?.instance === undefined) moved.set(inode, instance);
    return moved;
  }

  #scan(inodes: ReadonlySet<number>, processes: readonly OwnedProcess[]): void {
    this.#unreadable = new Set();
    this.#truncated = false;
    let missing = 0;
    for (const inode of inodes) {
      const { tries = 0 } = this.#known.get(inode) ?? {};
      missing += 1;
      this.#known.set(inode, { tries: tries + 1 });
    }
    this.#held.expect(missing);
    for (const { instance, pid } of processes) {
      for (const each of processTree(pid)) {
        for (const inode of this.#socketsOf(each)) {
          if (!inodes.has(inode) || this.#known.get(inode)?.instance !== undefined) continue;
          this.#known.set(inode, { instance, tries: 0 });
          missing -= 1;
        }
        if (missing === 0) return;
      }
    }
  }

  #socketsOf(pid: number): Uint32Array {
    try {
      const { inodes, whole } = this.#held.of(pid);
      this.#truncated ||= !whole;
      return inodes;
    } catch (error) {
      if (codeOf(error) === "EACCES" || isAlive(pid)) this.#unreadable.add(userOf(pid));
      return new Uint32Array(0);
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** -1: not even that can be seen (a /proc with hidepid) */
function userOf(pid: number): number {
  try {
    return statSync(`/proc/${pid}`).uid;
  } catch {
    return -1;
  }
}
