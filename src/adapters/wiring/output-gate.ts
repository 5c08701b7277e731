/** Where formatted service output goes: the bounded writer of our own stdout or stderr. */
export interface OutputTarget {
  /**
   * Takes the bytes, which are the target's from now on. False: enough for now, nothing more before `onceDrained` calls.
   * What is written nevertheless (the last words of a process that ended) may be dropped by the target. Never throws, never blocks.
   */
  write(bytes: Uint8Array): boolean;
  /** calls back once, as soon as more is welcome */
  onceDrained(resume: () => void): void;
  /** it is a terminal, and colours are wanted */
  readonly colour: boolean;
}

/**
 * Stops all readers of pipes whose output goes to one target while that target is stalled, so that the services block as they
 * would on an inherited stdout, and lets them go on in turn: a reader that has had its turn waits behind the others.
 */
export class OutputGate {
  readonly #target: OutputTarget;
  readonly #waiting = new Set<() => void>();
  #open = true;

  constructor(target: OutputTarget) {
    this.#target = target;
  }

  get open(): boolean {
    return this.#open;
  }

  get colour(): boolean {
    return this.#target.colour;
  }

  write(bytes: Uint8Array): void {
    if (this.#target.write(bytes) || !this.#open) return;
    this.#open = false;
    this.#target.onceDrained(() => this.#drained());
  }

  /** Calls `turn` once, when the gate is open and it is its turn; it should wait again when it finds the gate closed afterwards. */
  wait(turn: () => void): void {
    this.#waiting.add(turn);
  }

  leave(turn: () => void): void {
    this.#waiting.delete(turn);
  }

  #drained(): void {
    this.#open = true;
    for (const turn of this.#waiting) {
      if (!this.#open) return;
      this.#waiting.delete(turn);
      turn();
    }
  }
}
