/**
 * Receives one line without its newline. The bytes are a window that is valid only during the call.
 * `whole` is false when the line goes on in the next call: it was longer than the limit.
 */
export type ReceiveLine = (bytes: Uint8Array, whole: boolean) => void;

const newline = 0x0a;
const continuationMask = 0xc0;
const continuation = 0x80;

/** Cuts a byte stream into lines of at most `limit` bytes; holds at most one unfinished line. Any bytes are welcome. */
export class LineSplitter {
  readonly #limit: number;
  #rest: Uint8Array = new Uint8Array(0);
  #restLength = 0;

  /** `limit` at least 4, so that no UTF-8 character is longer */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Uint8Array, receive: ReceiveLine): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      if (end === -1) break;
      this.#line(chunk.subarray(start, end), receive);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start), receive);
  }

  /** The stream is over: hands out the last line when no newline ended it. */
  end(receive: ReceiveLine): void {
    const length = this.#restLength;
    this.#restLength = 0;
    if (length > 0) receive(this.#rest.subarray(0, length), true);
  }

  /** Bytes of an unfinished line that wait for their newline. */
  get pending(): number {
    return this.#restLength;
  }

  #line(piece: Uint8Array, receive: ReceiveLine): void {
    if (this.#restLength === 0) {
      receive(this.#cut(piece, receive), true);
      return;
    }
    this.#keep(piece, receive);
    const length = this.#restLength;
    this.#restLength = 0;
    receive(this.#rest.subarray(0, length), true);
  }

  /** Hands out all but the last `limit` bytes of what has no end yet, and copies the remainder: the window is the caller's. */
  #keep(piece: Uint8Array, receive: ReceiveLine): void {
    if (piece.length === 0) return;
    let rest = piece;
    if (this.#restLength + rest.length > this.#limit) {
      if (this.#restLength > 0) {
        const whole = new Uint8Array(this.#restLength + rest.length);
        whole.set(this.#rest.subarray(0, this.#restLength));
        whole.set(rest, this.#restLength);
        rest = whole;
        this.#restLength = 0;
      }
      rest = this.#cut(rest, receive);
    }
    if (this.#rest.length < this.#limit) this.#grow(this.#restLength + rest.length);
    this.#rest.set(rest, this.#restLength);
    this.#restLength += rest.length;
  }

  /** Hands out pieces until at most `limit` bytes are left, and returns these. */
  #cut(piece: Uint8Array, receive: ReceiveLine): Uint8Array {
    let rest = piece;
    while (rest.length > this.#limit) {
      const at = characterStart(rest, this.#limit);
      receive(rest.subarray(0, at), false);
      rest = rest.subarray(at);
    }
    return rest;
  }

  #grow(needed: number): void {
    if (needed <= this.#rest.length) return;
    const grown = new Uint8Array(Math.min(this.#limit, Math.max(needed, this.#rest.length * 2, 256)));
    grown.set(this.#rest.subarray(0, this.#restLength));
    this.#rest = grown;
  }
}

/** The greatest index up to `at` at which no UTF-8 character is cut; `at` itself when the bytes are no UTF-8. */
function characterStart(bytes: Uint8Array, at: number): number {
  for (let index = at; index > at - 4; index -= 1) {
    if (((bytes[index] ?? 0) & continuationMask) !== continuation) return index;
  }
  return at;
}
