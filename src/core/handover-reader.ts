import { HandoverFrameError } from "./handover-codec.js";
import { maxHandoverFrameBytes } from "./handover-frame.js";

/**
 * Bytes as they arrive, in; whole frames without their lengths, out. Memory grows with what has arrived, not with what a length announces.
 */
export class HandoverReader {
  /** no longer frame is taken; a stranger's should be short */
  limit: number;
  #bytes = new Uint8Array(256);
  #from = 0;
  #to = 0;

  constructor(limit: number = maxHandoverFrameBytes) {
    this.limit = limit;
  }

  /** bytes of a frame that is not whole yet */
  get pending(): number {
    return this.#to - this.#from;
  }

  /** Copies the bytes. */
  push(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  /**
   * The next whole frame, valid until the next push; undefined: more bytes are needed.
   * @throws HandoverFrameError: a length beyond `limit`, or 0; nothing can be read any more
   */
  next(): Uint8Array | undefined {
    if (this.pending < 4) return undefined;
    const length = new DataView(this.#bytes.buffer).getUint32(this.#from);
    if (length === 0 || length > this.limit)
      throw new HandoverFrameError(`it has ${length} bytes, from 1 to ${this.limit} are taken`);
    if (this.pending < 4 + length) return undefined;
    const frame = this.#bytes.subarray(this.#from + 4, this.#from + 4 + length);
    this.#from += 4 + length;
    return frame;
  }

  #makeRoom(more: number): void {
    if (this.#to + more <= this.#bytes.length) return;
    const kept = this.pending;
    let size = this.#bytes.length;
    while (size < kept + more) size *= 2;
    const fresh = size === this.#bytes.length ? this.#bytes : new Uint8Array(size);
    // also within the same array: copyWithin semantics of set are those of memmove
    fresh.set(this.#bytes.subarray(this.#from, this.#to));
    this.#bytes = fresh;
    this.#from = 0;
    this.#to = kept;
  }
}
