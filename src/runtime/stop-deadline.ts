import type { Clock } from "./ports.js";

/** When a stop ends by force. It can only move forward; who waits for it notices. */
export class StopDeadline {
  #at: number | undefined;
  #moved = new AbortController();

  get at(): number | undefined {
    return this.#at;
  }

  /** Sets it, or moves it forward. */
  shrinkTo(at: number): void {
    if (this.#at !== undefined && at >= this.#at) return;
    this.#at = at;
    this.#moved.abort();
  }

  clear(): void {
    this.#at = undefined;
  }

  /** Resolves at `limit`, which may depend on the deadline, or the deadline, whichever is first, or when `over` aborts. */
  async wait(clock: Clock, over: AbortSignal, limit = () => Number.POSITIVE_INFINITY): Promise<void> {
    while (!over.aborted) {
      const until = Math.min(limit(), this.#at ?? Number.POSITIVE_INFINITY);
      if (clock.now() >= until) return;
      this.#moved = new AbortController();
      await clock.until(until, AbortSignal.any([this.#moved.signal, over]));
    }
  }
}
