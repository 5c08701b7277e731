import type { InitEvent } from "./ports.js";

/** Brings the init's exits to the body that started the process. */
export class ExitRouter {
  readonly #receivers = new Map<string, (event: Extract<InitEvent, { kind: "exited" }>) => void>();

  expect(id: string, receive: (event: Extract<InitEvent, { kind: "exited" }>) => void): void {
    this.#receivers.set(id, receive);
  }

  /** The process will not be, or is not waited for any more. */
  cancel(id: string): void {
    this.#receivers.delete(id);
  }

  /** False: nobody waits for this process (a probe's or a stop command's, or of an earlier supervisor). */
  deliver(event: Extract<InitEvent, { kind: "exited" }>): boolean {
    const receive = this.#receivers.get(event.id);
    this.#receivers.delete(event.id);
    receive?.(event);
    return receive !== undefined;
  }
}
