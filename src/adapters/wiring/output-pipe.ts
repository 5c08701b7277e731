import { readSync } from "node:fs";
import { LineSplitter } from "../../core/line-splitter.js";
import { native } from "../native/addon.js";
import { readable, type Watch, watch } from "../native/watch.js";
import { ByteBuilder } from "./byte-builder.js";
import { isEmpty } from "./empty-read.js";
import type { LineFormat } from "./line-format.js";
import type { OutputGate } from "./output-gate.js";

/** Longest line that is handled as one; as the container runtimes do it. */
export const lineLimit = 16 * 1024;

/** A pipe holds 64 KiB unless somebody enlarged it; then it may be 1 MiB, which is the most an unprivileged process gets. */
const lastWords = 1024 * 1024;

const carriageReturn = 0x0d;

/** all pipes are read in turn by one thread; what is read is used up before the next read */
const window = Buffer.allocUnsafeSlow(64 * 1024);

/** An empty line of one byte becomes an object of 200: read no more at once than the target can hold when it has become that. */
const formattedWindow = window.subarray(0, 4096);

export interface OutputPipeParts {
  /** read end; the pipe owns it */
  readonly fd: number;
  readonly gate: OutputGate;
  /** undefined: the bytes are passed on as they come */
  readonly format: LineFormat | undefined;
  /** gets every line, or part of one */
  readonly tap: (text: string, at: number) => void;
  readonly wall: () => number;
}

/** One output stream of one process: read, cut into lines, formatted, written, remembered. */
export class OutputPipe {
  readonly #parts: OutputPipeParts;
  readonly #splitter = new LineSplitter(lineLimit);
  readonly #out = new ByteBuilder();
  readonly #texts: string[] = [];
  readonly #watch: Watch;
  #continues = false;
  #closed = false;

  constructor(parts: OutputPipeParts) {
    this.#parts = parts;
    this.#watch = watch(parts.fd, readable, () => this.#ready());
    this.#watch.keepAlive(false);
  }

  /** Takes what the pipe still holds, so that the last words of a process that ended are not lost, and closes it. */
  close(): void {
    for (let total = 0; !this.#closed && total < lastWords; ) {
      const length = this.#read();
      if (length === 0) break;
      total += length;
    }
    this.#end();
  }

  #ready(): void {
    // the gate was closed by another pipe
    if (!this.#parts.gate.open) this.#pause();
    else {
      this.#read();
      if (!this.#parts.gate.open) this.#pause();
    }
  }

  #pause(): void {
    if (this.#closed) return;
    this.#watch.want(0);
    this.#parts.gate.wait(this.#turn);
  }

  readonly #turn = (): void => {
    this.#read();
    if (this.#closed) return;
    if (this.#parts.gate.open) this.#watch.want(readable);
    else this.#parts.gate.wait(this.#turn);
  };

  /** Number of bytes; 0 when nothing is there, or the end, at which the pipe closes itself. */
  #read(): number {
    const buffer = this.#parts.format === undefined ? window : formattedWindow;
    let length: number;
    try {
      length = readSync(this.#parts.fd, buffer);
    } catch (error) {
      if (!isEmpty(error)) this.#end();
      return 0;
    }
    if (length === 0) this.#end();
    else this.#take(buffer.subarray(0, length));
    return length;
  }

  #take(chunk: Uint8Array): void {
    const { format, gate } = this.#parts;
    const at = this.#parts.wall();
    this.#splitter.push(chunk, (bytes, whole) => this.#line(bytes, whole, at));
    const raw = format === undefined ? Uint8Array.from(chunk) : undefined;
    // from here on the window may be used again: who is told something may close another pipe, which reads its last words
    this.#flush(at);
    if (raw !== undefined) gate.write(raw);
  }

  #flush(at: number): void {
    if (this.#out.length > 0) this.#parts.gate.write(this.#out.take());
    for (const text of this.#texts.splice(0)) this.#parts.tap(text, at);
  }

  #line(bytes: Uint8Array, whole: boolean, at: number): void {
    const length = whole && bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("utf8");
    this.#texts.push(text);
    this.#parts.format?.({ bytes, text, continues: this.#continues, whole, at }, this.#out);
    this.#continues = !whole;
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { fd, gate, wall } = this.#parts;
    this.#watch.close();
    gate.leave(this.#turn);
    native().close(fd);
    const at = wall();
    this.#splitter.end((bytes, whole) => this.#line(bytes, whole, at));
    this.#flush(at);
  }
}
