import type { HandoverStep } from "../../runtime/handover-ports.js";

/** Something that is awaited once, and may come before anybody awaits it. */
export class AwaitedStep<Value, End> {
  readonly promise: Promise<HandoverStep<Value, End>>;
  #resolve!: (step: HandoverStep<Value, End>) => void;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** only the first of the two counts */
  done(value: Value): void {
    this.#resolve({ ok: true, value });
  }

  end(end: End): void {
    this.#resolve({ ok: false, end });
  }
}
