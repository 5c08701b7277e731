interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (reason: Error) => void;
}

/** Requests that wait for their answer, by key, oldest first. */
export class Pending<K, T> {
  readonly #waiting = new Map<K, Waiter<T>[]>();

  /** resolves with the answer to `key`; several with one key are answered in order */
  wait(key: K): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(key);
      if (waiters) waiters.push({ resolve, reject });
      else this.#waiting.set(key, [{ resolve, reject }]);
    });
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  has(key: K): boolean {
    return this.#waiting.has(key);
  }

  /** an answer that nobody waits for is dropped */
  answer(key: K, value: T): void {
    this.#take(key)?.resolve(value);
  }

  /** false when nobody waits */
  refuseOldest(reason: (key: K) => Error): boolean {
    for (const key of this.#waiting.keys()) {
      this.#take(key)?.reject(reason(key));
      return true;
    }
    return false;
  }

  refuseAll(reason: () => Error): void {
    for (const waiters of [...this.#waiting.values()]) for (const waiter of waiters) waiter.reject(reason());
    this.#waiting.clear();
  }

  #take(key: K): Waiter<T> | undefined {
    const waiters = this.#waiting.get(key);
    const waiter = waiters?.shift();
    if (waiters?.length === 0) this.#waiting.delete(key);
    return waiter;
  }
}
