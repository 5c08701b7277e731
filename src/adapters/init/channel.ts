import { fstatSync, readSync } from "node:fs";
import { native } from "../native/addon.js";
import { disconnected, readable, type Watch, watch, writable } from "../native/watch.js";
import { decodeFrame, directBytes, elsewhere, encodeFrame, type Frame, FrameError, maxFrameBytes } from "./frame.js";
import { MemoryMaker } from "./memory-maker.js";
import { type OutgoingFrame, SendQueue, transmit } from "./send-queue.js";

export interface ReceivedFrame extends Frame {
  /** owned by the receiver, who closes what it does not keep */
  readonly fds: readonly number[];
}

/** as many frames as one turn of the loop takes, so that a busy init does not starve everything else */
const framesPerTurn = 64;
const shortageRetryMs = 20;

/** One end of the channel: frames in order, both ways, never blocking. */
export class Channel {
  readonly #fd: number;
  readonly #queue = new SendQueue();
  /** what there was no memory for; nothing waits behind it */
  readonly #starved = new SendQueue();
  readonly #memory = new MemoryMaker();
  readonly #buffer = Buffer.allocUnsafe(directBytes + 4096);
  readonly #receive: (frame: ReceivedFrame) => void;
  readonly #misunderstood: (error: FrameError) => void;
  readonly #lost: () => void;
  readonly #watch: Watch;
  #wanted = readable;
  #retry: NodeJS.Timeout | undefined;
  #open = true;
  #complained = false;

  /**
   * Takes `fd` over. `receive` gets each frame; a FrameError that it throws is answered with ERROR and told to `misunderstood`, as is a
   * frame that cannot even be read. `lost` is called once, when the other end is gone; never for `close`.
   */
  constructor(
    fd: number,
    user: {
      readonly receive: (frame: ReceivedFrame) => void;
      readonly misunderstood: (error: FrameError) => void;
      readonly lost: () => void;
    },
  ) {
    this.#fd = fd;
    this.#receive = user.receive;
    this.#misunderstood = user.misunderstood;
    this.#lost = user.lost;
    this.#watch = watch(fd, readable, (events) => {
      // all at once: an error on the socket, which has paused the watch
      if (events & disconnected) this.#wanted = 0;
      this.#turn();
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /**
   * Sends now, or as soon as the other end reads. Frames sent after the end are dropped.
   * @throws EntryError os (too much waits already), or Error EBADF (a descriptor is none)
   */
  send(frame: OutgoingFrame): void {
    if (!this.#open) return;
    if (frame.note !== undefined) this.#starved.forget(frame.note);
    const result = this.#queue.empty ? this.#transmit(frame) : "waits";
    if (result === "sent" || !this.#open) return;
    (result === "waits" ? this.#queue : this.#starved).add(frame);
  }

  /** Drops what waits and sends this frame, waiting for room at most `patienceMs`, without returning to the loop. */
  sendLast(frame: OutgoingFrame, patienceMs: number): void {
    for (const queue of [this.#queue, this.#starved]) queue.clear();
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let waited = 0; this.#open && this.#transmit(frame) !== "sent" && waited < patienceMs; waited += 5) {
      Atomics.wait(pause, 0, 0, 5);
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#retry);
    for (const queue of [this.#queue, this.#starved]) queue.clear();
    this.#memory.close();
    this.#watch.close();
    native().close(this.#fd);
  }

  #end(): void {
    if (!this.#open) return;
    this.close();
    this.#lost();
  }

  #transmit(frame: OutgoingFrame): "sent" | "waits" | "starved" {
    try {
      const result = transmit(this.#fd, frame, this.#memory);
      if (result === "starved") this.#complain(frame);
      if (result === "sent") return "sent";
      if (result === "full") this.#want(readable | writable);
      else this.#retryLater();
      return result === "starved" ? "starved" : "waits";
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "EPIPE" && code !== "ECONNRESET" && code !== "ENOTCONN") throw error;
      // what the other end wrote before it went is still to be read: the end is found there
      return "sent";
    }
  }

  #want(events: number): void {
    if (this.#wanted === events) return;
    this.#wanted = events;
    this.#watch.want(events);
  }

  #complain({ verb }: OutgoingFrame): void {
    if (this.#complained) return;
    this.#complained = true;
    process.emitWarning(`${verb} to the init has to wait: this process, or the machine, may open no more files`);
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
      this.#feed();
    }, shortageRetryMs);
  }

  #flush(): void {
    for (let frame = this.#queue.first; frame !== undefined && this.#open; frame = this.#queue.first) {
      const result = this.#transmit(frame);
      if (result === "waits") return;
      if (result === "starved") this.#queue.shiftTo(this.#starved);
      else this.#queue.shift();
    }
  }

  /** Tries again what was set aside. */
  #feed(): void {
    for (let frame = this.#starved.first; frame !== undefined && this.#open; frame = this.#starved.first) {
      if (!this.#queue.empty || this.#transmit(frame) !== "sent") {
        this.#retryLater();
        return;
      }
      this.#starved.shift();
    }
  }

  #turn(): void {
    this.#want(readable);
    this.#flush();
    for (let count = 0; count < framesPerTurn && this.#open; count++) {
      if (!this.#receiveOne()) return;
    }
  }

  #receiveOne(): boolean {
    const addon = native();
    let message: ReturnType<typeof addon.recvmsg>;
    try {
      message = addon.recvmsg(this.#fd, this.#buffer);
    } catch (error) {
      // told once, before what the other end had still sent: it closed without reading all of ours
      if (error instanceof Error && "code" in error && error.code === "ECONNRESET") return true;
      throw error;
    }
    if (message === undefined) return false;
    if (message.length === 0) {
      for (const fd of message.fds) addon.close(fd);
      this.#end();
      return false;
    }
    let fds = message.fds;
    try {
      if (message.truncated) throw new FrameError("?", `longer than ${this.#buffer.length} bytes and not in a memfd`);
      if (message.controlTruncated)
        throw new FrameError("?", "descriptors were lost: this process may open no more files");
      let frame = decodeFrame(this.#buffer.subarray(0, message.length));
      if (frame.verb === elsewhere) {
        const [memory, ...rest] = fds;
        fds = rest;
        frame = decodeFrame(readMemory(memory));
      }
      this.#receive({ ...frame, fds });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      for (const fd of fds) addon.close(fd);
      // an ERROR is never answered: two ends that do not understand each other must not talk for ever
      if (error.verb !== "ERROR") {
        this.send({ verb: "ERROR", bytes: encodeFrame("ERROR", [error.verb, error.message]), fds: [], note: "ERROR" });
      }
      this.#misunderstood(error);
    }
    return true;
  }
}

/** The frame in a memfd, which is closed. @throws FrameError: no memfd, one that may change while we read, or too long a frame */
function readMemory(fd: number | undefined): Buffer {
  if (fd === undefined) throw new FrameError(elsewhere, "no memfd came with the frame");
  try {
    if (!native().isSealed(fd)) throw new FrameError(elsewhere, "the memfd is not sealed");
    const { size } = fstatSync(fd);
    if (size > maxFrameBytes) throw new FrameError(elsewhere, `${size} bytes, at most ${maxFrameBytes} fit`);
    return readAll(fd, size);
  } finally {
    native().close(fd);
  }
}

/** The first `size` bytes by pread: the offset is shared with whoever else has this memfd. */
export function readAll(fd: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const count = readSync(fd, bytes, length, size - length, length);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}
