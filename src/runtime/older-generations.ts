import type { OlderGeneration, OlderNews } from "../core/handover-frame.js";
import type { GenerationView } from "../core/snapshot.js";
import type { Init } from "./ports.js";

export interface OlderParts {
  readonly init: Pick<Init, "line" | "recovered">;
  /** of the supervisor before this one */
  readonly saved: OlderNews | undefined;
  /** who hands over to this generation, and what it knows of those before it; a release that tells nothing: undefined */
  readonly predecessor: OlderGeneration | undefined;
  readonly told: OlderNews | undefined;
  readonly changed: () => void;
}

/** Of a generation that ends its services. */
export interface Left {
  readonly connections: number;
  /** wall clock, ms since the epoch */
  readonly deadlineAt: number | undefined;
}

/**
 * The generations before this one that still end their services. What is known of them comes from the predecessor, as long as that lives; that one
 * of our own init is over, the init tells in any case. Of another container's, nobody tells when the predecessor is gone.
 */
export class OlderGenerations {
  readonly #changed: () => void;
  /** living lines of our init with generations before this one */
  #lines: ReadonlySet<number>;
  #generations: readonly OlderGeneration[] = [];
  #predecessor: OlderGeneration | undefined;
  /** the predecessor has handed over for good, and ends its services */
  #replaced = false;
  /** nothing more comes from it */
  #silent = false;

  constructor({ init, saved, predecessor, told, changed }: OlderParts) {
    this.#changed = changed;
    const living = init.recovered.lines.filter(({ line }) => line < init.line);
    this.#lines = new Set(living.map(({ line }) => line));
    if (saved !== undefined) {
      this.#keepLines(saved.lines);
      // a supervisor of theirs may have been started again
      const pids = new Map(living.map(({ line, pid }) => [line, pid]));
      this.#generations = saved.generations.map((each) => ({ ...each, pid: pids.get(each.line ?? 0) ?? each.pid }));
      this.#dropStrangers();
    }
    if (predecessor === undefined) return;
    // both have just started: no supervisor has changed since it said its process id
    const line = living.find(({ pid }) => pid === predecessor.pid)?.line;
    this.#predecessor = line === undefined ? predecessor : { ...predecessor, line };
    if (told !== undefined) this.#hear(told);
  }

  /** The oldest first. */
  get views(): readonly GenerationView[] {
    return this.#all.map(({ line: _, ...view }) => view).sort((a, b) => a.generation - b.generation);
  }

  /** How many there are; some may be known only as a line of the init. */
  get count(): number {
    return Math.max(this.#all.length, this.#lines.size);
  }

  /** For the successor. */
  get news(): OlderNews {
    return { generations: this.#all, lines: [...this.#lines] };
  }

  /** For the next supervisor, to which nobody tells more than the init does. Should the predecessor take back, there is none. */
  get saved(): OlderNews {
    const all = this.#predecessor === undefined ? this.#generations : [...this.#generations, this.#predecessor];
    return { generations: all.map(withoutConnections), lines: [...this.#lines] };
  }

  /** The predecessor has let go. */
  settled(): void {
    this.#replaced = true;
    if (this.#silent) this.#dropStrangers();
    this.#changed();
  }

  /** What is left of it. `over`: it has ended its services. */
  progress(left: Left, over: boolean, told: OlderNews | undefined): void {
    this.#replaced = true;
    if (told !== undefined) this.#hear(told);
    if (over) this.#predecessor = undefined;
    else if (this.#predecessor !== undefined) this.#predecessor = { ...this.#predecessor, ...said(left) };
    this.#changed();
  }

  /** The predecessor tells no more. What is left under our init is known by its line, for what has been said of it would grow old. */
  lost(): void {
    this.#silent = true;
    // its supervisor has died, most likely: the init has started another, whose process id nobody tells
    if (this.#predecessor !== undefined) this.#predecessor = { ...this.#predecessor, pid: 0 };
    this.#dropStrangers();
    this.#changed();
  }

  /** A line of the init is over. */
  lineEnded(line: number): void {
    if (!this.#lines.has(line)) return;
    this.#lines = new Set([...this.#lines].filter((each) => each !== line));
    this.#generations = this.#generations.filter((each) => each.line !== line);
    if (this.#predecessor?.line === line) this.#predecessor = undefined;
    this.#changed();
  }

  get #all(): readonly OlderGeneration[] {
    return this.#replaced && this.#predecessor !== undefined
      ? [...this.#generations, this.#predecessor]
      : this.#generations;
  }

  /** Lines are the same for both only under the same init. Until this generation is its primary, ends of lines are told to the predecessor alone. */
  #hear({ generations, lines }: OlderNews): void {
    const own = this.#predecessor?.line;
    if (own !== undefined) this.#keepLines([own, ...lines]);
    this.#generations = generations.flatMap(({ line, ...each }): OlderGeneration[] => {
      if (own === undefined || line === undefined) return [each];
      return this.#lines.has(line) ? [{ ...each, line }] : [];
    });
  }

  #keepLines(lines: readonly number[]): void {
    this.#lines = new Set(lines.filter((line) => this.#lines.has(line)));
  }

  #dropStrangers(): void {
    const lives = ({ line }: OlderGeneration) => line !== undefined && this.#lines.has(line);
    this.#generations = this.#generations.filter(lives).map(withoutConnections);
    const predecessor = this.#predecessor;
    this.#predecessor = predecessor !== undefined && lives(predecessor) ? withoutConnections(predecessor) : undefined;
  }
}

/** A generation of a release that does not tell its deadline has none. */
function said({ connections, deadlineAt }: Left): Pick<OlderGeneration, "connections" | "deadlineAt"> {
  return deadlineAt === undefined ? { connections } : { connections, deadlineAt };
}

function withoutConnections({ connections: _, ...each }: OlderGeneration): OlderGeneration {
  return each;
}
