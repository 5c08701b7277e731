import type { PhaseEvent } from "../core/phase.js";

/** An event on its way to the driver, and in words what caused it. */
export interface Posted {
  readonly event: PhaseEvent;
  readonly cause: string;
}

/** Where signals, hooks, requests and services leave events for the driver. Nothing is lost, order is kept, posting never blocks. */
export class Inbox {
  readonly #waiting: Posted[] = [];
  #wake: (() => void) | undefined;

  post(event: PhaseEvent, cause: string): void {
    this.#waiting.push({ event, cause });
    this.#wake?.();
  }

  /** The oldest event, taken out; undefined when there is none. */
  take(): Posted | undefined {
    return this.#waiting.shift();
  }

  /** Resolves when there is something to take. One waiter at a time. */
  arrived(): Promise<void> {
    if (this.#waiting.length > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
