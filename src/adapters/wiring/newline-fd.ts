import { readSync } from "node:fs";
import { native } from "../native/addon.js";
import { readable, type Watch, watch } from "../native/watch.js";
import { isEmpty } from "./empty-read.js";

const newline = 0x0a;

/** Waits for the newline that a process writes to an fd when it is ready (s6's way), and reads on to the end, so that nobody gets SIGPIPE. */
export class NewlineFd {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #ready: () => void;
  readonly #silent: () => void;
  #said = false;
  #closed = false;

  /** Owns `fd`, the read end. One of `ready` and `silent`, which means that the other end was closed without a newline, is called, once. */
  constructor(fd: number, ready: () => void, silent: () => void) {
    this.#fd = fd;
    this.#ready = ready;
    this.#silent = silent;
    this.#watch = watch(fd, readable, () => this.#read());
    this.#watch.keepAlive(false);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    native().close(this.#fd);
  }

  #read(): void {
    const buffer = Buffer.allocUnsafe(512);
    let length: number;
    try {
      length = readSync(this.#fd, buffer);
    } catch (error) {
      if (!isEmpty(error)) this.close();
      return;
    }
    if (length === 0) {
      this.close();
      if (!this.#said) this.#silent();
      return;
    }
    if (this.#said || !buffer.subarray(0, length).includes(newline)) return;
    this.#said = true;
    this.#ready();
  }
}
