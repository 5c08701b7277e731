import { fstatSync } from "node:fs";
import { native } from "../native/addon.js";
import { type Watch, watch, writable } from "../native/watch.js";
import { type Output, openOutput } from "./output.js";

export interface WriterLimits {
  /** more held back than this: writers should pause */
  readonly enoughBytes: number;
  /** more is never held back */
  readonly mostBytes: number;
}

/** Between the two there is room for our own lines while the services' output is paused. */
const defaults: WriterLimits = { enoughBytes: 64 * 1024, mostBytes: 1024 * 1024 };

/** how often an output that cannot be watched is tried again */
const retryMs = 50;

/** A writer for fd 1 or 2. */
export function boundedWriter(fd: number, limits: WriterLimits = defaults): BoundedWriter {
  return new BoundedWriter(fd, limits);
}

/**
 * Writes to an output of this process that others write to as well; never blocks, never throws. What is written is out when `write`
 * returns, unless the reader is slow: then it is held back up to a limit, and what is beyond is dropped in whole pieces and counted.
 * A reader that is gone costs what is written to it, and nobody's time.
 */
export class BoundedWriter {
  /** it is a terminal, and colours are wanted */
  readonly colour: boolean;
  readonly #limits: WriterLimits;
  readonly #output: Output | undefined;
  readonly #held: Uint8Array[] = [];
  #size = 0;
  #dropped = 0;
  #lostLines = 0;
  #gapWords: ((lines: number) => Uint8Array) | undefined;
  #waiting: (() => void)[] = [];
  #watch: Watch | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(fd: number, limits: WriterLimits) {
    this.#limits = limits;
    this.#output = tryOpen(fd);
    this.colour = isTerminal(fd) && (process.env.NO_COLOR ?? "") === "";
  }

  /** bytes dropped so far */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes the bytes. False: more is held back than is good; stop until `onceDrained` calls, or risk that it is dropped. */
  write(bytes: Uint8Array): boolean {
    if (this.#size > 0 && this.#size + bytes.length > this.#limits.mostBytes) {
      this.#drop(bytes);
      return false;
    }
    const first = this.#size === 0;
    if (first) this.#reportGap();
    this.#hold(bytes);
    if (first && this.#output?.onlyWhenWritable !== true) this.#drain();
    if (this.#size > 0) this.#wait();
    return this.#size < this.#limits.enoughBytes;
  }

  /** Calls back once, when everything held back has been written. */
  onceDrained(resume: () => void): void {
    if (this.#size === 0) queueMicrotask(resume);
    else this.#waiting.push(resume);
  }

  /** Says what to write, in their place, about lines that were dropped, as soon as there is room again. */
  onGap(words: (lines: number) => Uint8Array): void {
    this.#gapWords = words;
  }

  /** Writes what the reader takes at once; waits for nothing. */
  flush(): void {
    if (this.#output?.onlyWhenWritable !== true) this.#go();
  }

  /** Resolves when all is written, or `limitMs` later; the loop goes on meanwhile. */
  finish(limitMs: number): Promise<void> {
    this.flush();
    if (this.#size === 0) return Promise.resolve();
    this.#wait();
    return new Promise((resolve) => {
      const late = setTimeout(resolve, limitMs);
      this.#waiting.push(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  #go(): void {
    this.#drain();
    if (this.#size <= this.#limits.enoughBytes / 2 && this.#reportGap()) this.#drain();
    if (this.#size > 0) return;
    this.#watch?.want(0);
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  /** Writes until all is out or the reader takes no more; one piece where that is all that may be tried. */
  #drain(): void {
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      let sent: number | undefined = first.length;
      try {
        if (this.#output === undefined) this.#drop(first);
        else sent = this.#output.send(first);
      } catch {
        // this reader is gone; a named pipe may get another one, so the next write tries again
        this.#drop(first);
      }
      if (sent === undefined) return;
      this.#size -= sent;
      if (sent < first.length) this.#held[0] = first.subarray(sent);
      else this.#held.shift();
      if (this.#output?.onlyWhenWritable) return;
    }
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#size += bytes.length;
  }

  #drop(bytes: Uint8Array): void {
    this.#dropped += bytes.length;
    for (const byte of bytes) if (byte === 10) this.#lostLines += 1;
  }

  #reportGap(): boolean {
    if (this.#lostLines === 0 || this.#gapWords === undefined) return false;
    this.#hold(this.#gapWords(this.#lostLines));
    this.#lostLines = 0;
    return true;
  }

  #wait(): void {
    if (this.#output?.pollable === undefined) return;
    try {
      this.#watch ??= watchOutput(this.#output, () => this.#go());
      this.#watch.want(writable);
    } catch {
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        this.#go();
        if (this.#size > 0) this.#wait();
      }, retryMs).unref();
    }
  }
}

function tryOpen(fd: number): Output | undefined {
  try {
    return openOutput(fd);
  } catch {
    return undefined;
  }
}

function watchOutput({ pollable = -1, shared }: Output, ready: () => void): Watch {
  if (!shared) return watchQuietly(pollable, ready);
  // a copy: libuv watches a number once only, and this one is also what process.stderr would be made of
  const copy = native().dup(pollable);
  try {
    return watchQuietly(copy, ready);
  } catch (error) {
    native().close(copy);
    throw error;
  } finally {
    // to be watched it was made non-blocking, for everybody who shares it
    native().setNonblock(pollable, false);
  }
}

function watchQuietly(fd: number, ready: () => void): Watch {
  const watching = watch(fd, 0, ready);
  watching.keepAlive(false);
  return watching;
}

/** By the device's major number (tty, console, pts): node:tty would load all of node:net, which a start without a terminal does not need. */
function isTerminal(fd: number): boolean {
  try {
    const { rdev } = fstatSync(fd);
    const major = (rdev >> 8) & 0xfff;
    return major === 4 || major === 5 || (major >= 136 && major <= 143);
  } catch {
    return false;
  }
}
