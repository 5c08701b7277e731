/**
 * Lets a few requests through per turn of the event loop and keeps the others waiting in line, so that a thousand clients that scrape
 * at once cost every turn the same small time and a health probe never waits behind them.
 */
export class Turnstile {
  readonly #perTurn: number;
  readonly #longest: number;
  readonly #line: (() => void)[] = [];
  #passed = 0;
  #turning = false;

  constructor(perTurn: number, longest: number) {
    this.#perTurn = perTurn;
    this.#longest = longest;
  }

  /** Calls `go` now or in a later turn. False: the line is full, `go` will not be called. */
  enter(go: () => void): boolean {
    if (this.#passed < this.#perTurn && this.#line.length === 0) {
      this.#pass(go);
      return true;
    }
    if (this.#line.length >= this.#longest) return false;
    this.#line.push(go);
    return true;
  }

  #pass(go: () => void): void {
    this.#passed += 1;
    if (!this.#turning) {
      this.#turning = true;
      setImmediate(() => this.#turn());
    }
    go();
  }

  #turn(): void {
    this.#turning = false;
    this.#passed = 0;
    for (const go of this.#line.splice(0, this.#perTurn)) this.#pass(go);
  }
}
