import type { Phase } from "../core/phase.js";
import type { Transition } from "../core/snapshot.js";

/** pingora's ExecutionPhase. */
export type ExecutionPhase = Phase;

/** Every phase from the call on, in order, none missed, however slowly it is read; ends after Terminated. */
export class PhaseWatch implements AsyncIterableIterator<ExecutionPhase> {
  readonly #waiting: ExecutionPhase[] = [];
  readonly #takers: ((result: IteratorResult<ExecutionPhase>) => void)[] = [];
  readonly #leave: (watch: PhaseWatch) => void;
  #over = false;

  /** `leave`: nothing needs to be pushed any more */
  constructor(leave: (watch: PhaseWatch) => void) {
    this.#leave = leave;
  }

  push({ to }: Pick<Transition, "to">): void {
    if (this.#over) return;
    const take = this.#takers.shift();
    if (take === undefined) this.#waiting.push(to);
    else take({ done: false, value: to });
    if (to === "Terminated") this.end();
  }

  /** Nothing more comes; what has come can still be read. */
  end(): void {
    this.#over = true;
    for (const take of this.#takers.splice(0)) take({ done: true, value: undefined });
    this.#leave(this);
  }

  next(): Promise<IteratorResult<ExecutionPhase>> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#takers.push(resolve);
    });
  }

  return(): Promise<IteratorResult<ExecutionPhase>> {
    this.#waiting.length = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
