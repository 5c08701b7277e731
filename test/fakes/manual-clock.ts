import type { Clock } from "../../src/runtime/ports.js";

/** A clock that stands still until told; timers fire in order of their deadlines. */
export class ManualClock implements Clock {
  #now = 1_000_000;
  readonly #timers: { readonly at: number; readonly fire: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + 1_700_000_000_000;
  }

  until(deadline: number, signal?: AbortSignal): Promise<void> {
    if (deadline <= this.#now || signal?.aborted) return Promise.resolve();
    if (!Number.isFinite(deadline))
      return new Promise((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
    return new Promise((resolve) => {
      this.#timers.push({ at: deadline, fire: resolve });
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Moves on by `ms`, firing what falls due on the way and letting everything settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      this.#timers.sort((a, b) => a.at - b.at);
      const first = this.#timers[0];
      if (first === undefined || first.at > end) break;
      this.#timers.shift();
      this.#now = Math.max(this.#now, first.at);
      first.fire();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets every promise chain that can go on go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}
