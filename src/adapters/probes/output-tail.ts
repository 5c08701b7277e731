import { readSync } from "node:fs";
import { native } from "../native/addon.js";
import { readable, type Watch, watch } from "../native/watch.js";

const kept = 4096;

/** Reads a pipe to its end so that the writer never blocks, and remembers the last 4 KiB. Owns the fd. */
export class OutputTail {
  readonly #fd: number;
  readonly #watch: Watch;
  #tail: Buffer = Buffer.alloc(0);
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
    this.#watch = watch(fd, readable, () => this.#read());
    this.#watch.keepAlive(false);
  }

  /** The last line that is not empty. */
  get lastLine(): string {
    const lines = this.#tail.toString("utf8").split("\n");
    return lines.findLast((line) => line.trim() !== "") ?? "";
  }

  /** Takes what is there now, at most a pipe's worth; true when the other end is closed. */
  drain(): boolean {
    for (let round = 0; round < 32 && !this.#closed; round += 1) {
      const length = this.#read();
      if (length <= 0) return length === 0;
    }
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    native().close(this.#fd);
  }

  /** Number of bytes; 0 at the end, -1 when nothing is there. */
  #read(): number {
    const buffer = Buffer.allocUnsafe(4096);
    let length: number;
    try {
      length = readSync(this.#fd, buffer);
    } catch (error) {
      // any other failure than an empty pipe would come back at once, and for ever
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) this.#watch.want(0);
      return -1;
    }
    if (length === 0) this.#watch.want(0);
    else this.#tail = Buffer.from(Buffer.concat([this.#tail, buffer.subarray(0, length)]).subarray(-kept));
    return length;
  }
}
