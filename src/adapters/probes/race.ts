import type { Socket } from "node:net";
import type { ProbeResult } from "../../runtime/ports.js";
import { secondsText } from "./attempt.js";

/**
 * A probe's race for a connection that its own generation accepts. The time that it takes is not the answer's, and when it is not won in time
 * that says who was faster, and nothing of whether the process is well.
 */
export class Race {
  #running = false;
  #othersAccepted = false;
  #closed = false;
  #won = false;

  /** `won`: called when the first connection is there */
  async run(connection: Promise<Socket>, won: () => void): Promise<Socket> {
    this.#running = true;
    this.#othersAccepted = false;
    this.#closed = false;
    const socket = await connection;
    this.#running = false;
    // once only: redirects must not make it last
    if (!this.#won) won();
    this.#won = true;
    return socket;
  }

  othersAccepted(): void {
    this.#othersAccepted = true;
  }

  /** One was closed again before it was seen who had accepted it. */
  closed(): void {
    this.#closed = true;
  }

  /** What it means that time is over now; undefined: no more than it would without a race. Where nobody accepts, the own processes do not either. */
  late(timeoutMs: number): ProbeResult | undefined {
    if (!this.#running) return undefined;
    const time = secondsText(timeoutMs);
    if (this.#closed)
      return {
        ok: false,
        reason: `connections closed for ${time} before it was seen who accepted them`,
        lost: "unseen",
      };
    if (!this.#othersAccepted) return undefined;
    return { ok: false, reason: `others accepted all of its connections for ${time}`, lost: "others" };
  }
}
