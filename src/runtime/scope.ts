/**
 * The only way to own a child, timer, listener, server or subscription. Closing aborts the signal, then runs the finalizers
 * in reverse order, waits for each, and returns when all is stopped. Closing twice waits for the first close.
 */
export class Scope {
  readonly #abort = new AbortController();
  readonly #finalizers: (() => void | Promise<void>)[] = [];
  #closed: Promise<void> | undefined;

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Runs `finalize` when the scope closes; at once when it already has. */
  defer(finalize: () => void | Promise<void>): void {
    if (this.#closed === undefined) this.#finalizers.push(finalize);
    else void finalize();
  }

  /** A scope that closes with this one, or before. */
  child(): Scope {
    const child = new Scope();
    this.defer(() => child.close());
    return child;
  }

  close(): Promise<void> {
    this.#closed ??= this.#finalize();
    return this.#closed;
  }

  async #finalize(): Promise<void> {
    this.#abort.abort();
    for (let finalize = this.#finalizers.pop(); finalize !== undefined; finalize = this.#finalizers.pop())
      await finalize();
  }
}
