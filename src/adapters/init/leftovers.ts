import { readdirSync, readFileSync } from "node:fs";
import { processStat } from "../native/process-stat.js";

/** A process as /proc tells. */
interface Found {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** of our init; looked up once per walk, as the mark is: hundreds may ask */
  descends?: boolean;
  mark?: string;
}

/** Processes looked at per turn of the event loop: a health probe must not wait for all of /proc. */
const perTurn = 64;

/**
 * What dead children of the init have left behind: the processes of their session or group, and those that descend from the init and carry
 * their mark. One walk over /proc answers for everybody who has asked until it began; the init's own walk answers for one child, and a wave
 * of hundreds of them would walk for seconds.
 */
export class Leftovers {
  readonly #init: number;
  readonly #alive: (pid: number) => boolean;
  #walk: Promise<ReadonlyMap<number, Found>> | undefined;

  /** `init`: its pid; `alive`: whether a pid is that of a child it is known to have */
  constructor(init: number, alive: (pid: number) => boolean) {
    this.#init = init;
    this.#alive = alive;
  }

  /** Pids of what the dead child has left. Undefined: /proc cannot be read. */
  async of(id: string, pid: number): Promise<number[] | undefined> {
    const found = await this.#next().catch(() => undefined);
    if (found === undefined) return undefined;
    // somebody living has its number: then that is another one, and so is its session
    const named = !found.has(pid);
    const belongs = (each: Found): boolean => {
      if (each.pid === process.pid || this.#alive(each.pid)) return false;
      if (named && (each.session === pid || each.group === pid)) return this.#descends(each, found);
      if (this.#alive(each.session) || !this.#descends(each, found)) return false;
      each.mark ??= markOf(each.pid);
      return each.mark === id;
    };
    return [...found.values()].filter(belongs).map((each) => each.pid);
  }

  /** The walk that begins next, so that nothing that was there at the time of the question is missed. */
  #next(): Promise<ReadonlyMap<number, Found>> {
    this.#walk ??= new Promise<void>((turn) => setImmediate(turn)).then(() => {
      this.#walk = undefined;
      return walk();
    });
    return this.#walk;
  }

  #descends(each: Found, found: ReadonlyMap<number, Found>): boolean {
    if (each.descends !== undefined) return each.descends;
    let at: Found | undefined = each;
    for (let depth = 0; at !== undefined && at.parent !== this.#init && depth < 4096; depth += 1)
      at = found.get(at.parent);
    each.descends = at?.parent === this.#init;
    return each.descends;
  }
}

async function walk(): Promise<ReadonlyMap<number, Found>> {
  const found = new Map<number, Found>();
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  for (let from = 0; from < pids.length; from += perTurn) {
    if (from > 0) await new Promise<void>((turn) => setImmediate(turn));
    for (const pid of pids.slice(from, from + perTurn)) {
      const each = read(Number(pid));
      if (each !== undefined) found.set(each.pid, each);
    }
  }
  return found;
}

/** Undefined: it is gone, or dead and only waits to be reaped. */
function read(pid: number): Found | undefined {
  try {
    const [state = "", parent, group, session] = processStat(pid);
    if (state === "Z" || state === "X") return undefined;
    return { pid, parent: Number(parent), group: Number(group), session: Number(session) };
  } catch {
    return undefined;
  }
}

/** The id of the child that it is or descends from, as its environment tells; empty: it may not be read, or has none. */
function markOf(pid: number): string {
  try {
    return /(?:^|\0)PINGORA_ENTRY_ID=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, "latin1"))?.[1] ?? "";
  } catch {
    return "";
  }
}
