import type { Plan } from "../core/plan.js";
import type { BoundListener, Clock, Log, Sockets } from "./ports.js";

export interface LentSocketsParts {
  readonly plan: Pick<Plan, "listeners">;
  readonly sockets: Pick<Sockets, "isBlocking" | "takeBack">;
  readonly listeners: ReadonlyMap<string, BoundListener>;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  /** what a supervisor that died had lent, as `saved` told it */
  readonly saved: readonly string[] | undefined;
  /** `saved` has changed by itself */
  readonly save: () => void;
}

/** What has lost, and is told to end, lets go of its sockets in less. */
const letGoMs = 1_000;

/**
 * The services' sockets while a successor has them, too. Whether accept(2) waits, and how many may queue, is the socket's, so that a successor
 * changes it for the services of this generation: it is looked up before one gets them, and put back when it has lost. While both serve
 * nothing can be done: one of them would be harmed.
 */
export class LentSockets {
  readonly #parts: LentSocketsParts;
  /** those that blocked when they were lent last; undefined: none was ever */
  #blocking: ReadonlySet<string> | undefined;
  #lent: boolean;
  #letsGo = new AbortController();

  constructor(parts: LentSocketsParts) {
    this.#parts = parts;
    this.#blocking = parts.saved && new Set(parts.saved);
    this.#lent = parts.saved !== undefined;
  }

  /** What a supervisor after this one has to put back. */
  get saved(): readonly string[] | undefined {
    return this.#lent && this.#blocking !== undefined ? [...this.#blocking] : undefined;
  }

  lend(): void {
    const { sockets } = this.#parts;
    // of the attempt before
    if (this.#lent) this.putBack();
    this.#blocking = new Set(this.#own.filter((bound) => sockets.isBlocking(bound)).map(({ spec }) => spec.name));
    this.#lent = true;
  }

  /**
   * The successor has lost, and is told to end. As long as it accepts, an event loop of its would wait in accept(2) on a socket that blocks
   * again, and not answer whom it has accepted: it is given a moment to let go.
   */
  takeBack(): void {
    const { sockets, clock } = this.#parts;
    const later = new Set(this.#own.filter((bound) => this.#blocked(bound) && !sockets.isBlocking(bound)));
    this.#putBack(this.#own.filter((bound) => !later.has(bound)));
    this.#lent = later.size > 0;
    if (!this.#lent) return;
    this.#letsGo.abort();
    this.#letsGo = new AbortController();
    const { signal } = this.#letsGo;
    void clock.until(clock.now() + letGoMs, signal).then(() => {
      if (!signal.aborted) this.putBack();
    });
  }

  /** Nothing is left of the successor that could be harmed, or has changed something in its last moments. */
  putBack(): void {
    this.#letsGo.abort();
    this.#putBack(this.#own);
    const told = this.#lent;
    this.#lent = false;
    if (told) this.#parts.save();
  }

  #putBack(listeners: readonly BoundListener[]): void {
    if (this.#blocking === undefined) return;
    const { sockets, log } = this.#parts;
    for (const bound of listeners) {
      try {
        sockets.takeBack(bound, this.#blocked(bound));
      } catch (error) {
        const listener = bound.spec.name;
        log.warn(`cannot put listener "${listener}" back: ${(error as Error).message}`, { listener });
      }
    }
  }

  #blocked({ spec }: BoundListener): boolean {
    return this.#blocking?.has(spec.name) === true;
  }

  /** Without those of the endpoints: only supervisors have them, and they agree. */
  get #own(): BoundListener[] {
    const { plan, listeners } = this.#parts;
    return plan.listeners.flatMap(({ name }) => listeners.get(name) ?? []);
  }
}
