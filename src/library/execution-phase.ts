import type { Phase } from "../core/phase.js";
import type { Transition } from "../core/snapshot.js";

/** pingora's ExecutionPhase. */
export type ExecutionPhase = Phase;

/** Every phase from the call on, in order, none missed, however slowly it is read; ends after Terminated. */
export class PhaseWatch implements AsyncIterableIterator<ExecutionPhase> {
  readonly #waiting: ExecutionPhase[] = [];
  #take: ((result: IteratorResult<ExecutionPhase>) => void) | undefined;
  #over = false;

  push({ to }: Pick<Transition, "to">): void {
    if (this.#take === undefined) this.#waiting.push(to);
    else this.#give({ done: false, value: to });
    if (to === "Terminated") this.#over = true;
  }

  next(): Promise<IteratorResult<ExecutionPhase>> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#take = resolve;
    });
  }

  return(): Promise<IteratorResult<ExecutionPhase>> {
    this.#over = true;
    this.#waiting.length = 0;
    this.#give({ done: true, value: undefined });
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #give(result: IteratorResult<ExecutionPhase>): void {
    const take = this.#take;
    this.#take = undefined;
    take?.(result);
  }
}
