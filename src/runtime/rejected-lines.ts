import type { Clock, Init } from "./ports.js";

/** The init kills what is left of a rejected line after half a second; what cannot be killed is not waited for. */
const emptiedMs = 2_000;

/** Lines of our init whose generations have lost, until nothing of them is left. */
export class RejectedLines {
  readonly #init: Pick<Init, "abandon">;
  readonly #clock: Clock;
  readonly #lines = new Map<number, AbortController>();

  constructor(init: Pick<Init, "abandon">, clock: Clock) {
    this.#init = init;
    this.#clock = clock;
  }

  /** Whatever is left of it goes, now or after `then`. */
  add(line: number, then?: Promise<void>): void {
    this.#lines.set(line, new AbortController());
    if (then === undefined) this.#init.abandon(line);
    else void then.then(() => this.#init.abandon(line));
  }

  /** The line is over. @returns whether it was one of these */
  ended(line: number): boolean {
    const ended = this.#lines.get(line);
    ended?.abort();
    return this.#lines.delete(line);
  }

  /** Resolves when nothing of them is left, or will not be for long. */
  async gone(): Promise<void> {
    const until = this.#clock.now() + emptiedMs;
    for (const { signal } of [...this.#lines.values()]) await this.#clock.until(until, signal);
  }
}
