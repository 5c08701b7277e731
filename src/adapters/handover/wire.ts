import { decodeHandoverFrame, encodeHandoverFrame, HandoverFrameError } from "../../core/handover-codec.js";
import { descriptorsOf, type HandoverFrame, socketsPerBatch } from "../../core/handover-frame.js";
import { HandoverReader } from "../../core/handover-reader.js";
import { native, type ReceivedMessage } from "../native/addon.js";
import { disconnected, readable, type Watch, watch, writable } from "../native/watch.js";
import { codeOf } from "./error-code.js";

/** Messages that one turn of the loop takes, so that a busy peer does not starve everything else. */
const messagesPerTurn = 64;
/** Descriptors that may wait for the rest of their frame: those of one that is arriving, and of the next. */
const maxWaiting = 2 * socketsPerBatch;
const shortages = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ETOOMANYREFS"]);
const endings = new Set(["EPIPE", "ECONNRESET", "ENOTCONN"]);
/** shared by all: it is used up before the next call */
const buffer = new Uint8Array(64 * 1024);

export interface WireUser {
  /** a frame; the descriptors are the receiver's */
  frame(frame: HandoverFrame, fds: readonly number[]): void;
  /** what came is no frame; nothing is read any more */
  garbage(reason: string): void;
  /** the other end is gone, and everything it sent has been read; told once, never after close */
  lost(): void;
}

interface Outgoing {
  /** what is left to send */
  bytes: Uint8Array;
  begun: boolean;
  fds: readonly number[];
}

/**
 * One end of a handover's connection: frames in order, both ways, never blocking. libuv must not read from it: descriptors come with the bytes.
 * Descriptors of a frame are not copied: they must stay open until it is sent.
 */
export class Wire {
  readonly #fd: number;
  readonly #user: WireUser;
  readonly #reader: HandoverReader;
  readonly #watch: Watch;
  readonly #shortage: (retry: () => void) => void;
  #waiting: number[] = [];
  #queue: Outgoing[] = [];
  #wanted = readable;
  #reading = true;
  #short = false;
  #open = true;

  /** Takes `fd` over. `shortage`: calls again in a while, when the system is short of something. */
  constructor(fd: number, limit: number, user: WireUser, shortage: (retry: () => void) => void) {
    this.#fd = fd;
    this.#user = user;
    this.#reader = new HandoverReader(limit);
    this.#shortage = shortage;
    this.#watch = watch(fd, readable, (events) => {
      // all at once: an error on the socket, which has paused the watch
      if (events & disconnected) this.#wanted = 0;
      this.#flush();
      this.drain();
      this.#rest();
    });
  }

  /** longer frames are refused from now on */
  set limit(bytes: number) {
    this.#reader.limit = bytes;
  }

  /** frames that the other end has not made room for */
  get backlog(): number {
    return this.#queue.length;
  }

  /** descriptors that came with frames which have not been told yet */
  get arrived(): number {
    return this.#waiting.length;
  }

  /** Sends now, or as soon as there is room. @throws HandoverFrameError: too long. Error EBADF: a descriptor is none */
  send(frame: HandoverFrame, fds: readonly number[] = []): void {
    this.sendEncoded(encodeHandoverFrame(frame), fds);
  }

  /** Sends this instead of everything that waits. */
  sendLast(frame: HandoverFrame): void {
    this.#queue = this.#queue.filter(({ begun }) => begun);
    this.#short = false;
    this.send(frame);
  }

  /** @throws Error EBADF: a descriptor is none */
  sendEncoded(bytes: Uint8Array, fds: readonly number[]): void {
    if (!this.#open) return;
    this.#queue.push({ bytes, fds, begun: false });
    if (this.#queue.length === 1) this.#flush();
    this.#rest();
  }

  /** Reads what has arrived, without waiting for the loop. */
  drain(): void {
    for (let count = 0; count < messagesPerTurn && this.#open && this.#reading; count++) {
      const message = this.#receive();
      if (message === undefined) return;
      this.#waiting.push(...message.fds);
      if (message.length === 0) this.#end();
      else this.#take(buffer.subarray(0, message.length), message.controlTruncated);
    }
  }

  /** Drops what could not be sent yet. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue = [];
    this.#watch.close();
    this.#dropWaiting();
    native().close(this.#fd);
  }

  #receive(): ReceivedMessage | undefined {
    for (;;) {
      try {
        return native().recvmsg(this.#fd, buffer);
      } catch (error) {
        // told once, before what the other end had still sent: it closed without reading all of ours
        if (codeOf(error) !== "ECONNRESET") throw error;
      }
    }
  }

  /** `lost`: not all of the descriptors could be taken. Frames before the one that they belong to may have come with it. */
  #take(bytes: Uint8Array, lost: boolean): void {
    // without the others these are of no use, and no number is left for anything else
    if (lost) this.#dropWaiting();
    try {
      this.#reader.push(bytes);
      while (this.#open && this.#reading) {
        const payload = this.#reader.next();
        if (payload === undefined) break;
        const frame = decodeHandoverFrame(payload);
        if (lost && frame !== undefined && descriptorsOf(frame) > 0) break;
        this.#deliver(frame);
      }
      if (lost) throw new HandoverFrameError("descriptors were lost: this process may open no more files");
      if (this.#reader.pending === 0 && this.#waiting.length > 0)
        throw new HandoverFrameError(`${this.#waiting.length} descriptors belong to no frame`);
      if (this.#waiting.length > maxWaiting) throw new HandoverFrameError("too many descriptors wait for their frame");
    } catch (error) {
      if (!(error instanceof HandoverFrameError)) throw error;
      this.#refuse(error.message);
    }
  }

  #deliver(frame: HandoverFrame | undefined): void {
    if (frame === undefined) return;
    const count = descriptorsOf(frame);
    if (count > this.#waiting.length)
      throw new HandoverFrameError(`${frame.type} came with ${this.#waiting.length} descriptors, it says ${count}`);
    this.#user.frame(frame, this.#waiting.splice(0, count));
  }

  #refuse(reason: string): void {
    if (!this.#open || !this.#reading) return;
    this.#reading = false;
    this.#dropWaiting();
    this.#rest();
    this.#user.garbage(reason);
  }

  #end(): void {
    this.#reading = false;
    this.#queue = [];
    this.#dropWaiting();
    this.#rest();
    this.#user.lost();
  }

  #dropWaiting(): void {
    for (const fd of this.#waiting.splice(0)) native().close(fd);
  }

  #flush(): void {
    for (let first = this.#queue[0]; first !== undefined && this.#open && !this.#short; first = this.#queue[0]) {
      const sent = this.#transmit(first);
      if (sent === undefined) return;
      // the descriptors went with the first byte
      first.fds = [];
      first.begun = true;
      first.bytes = first.bytes.subarray(sent);
      if (first.bytes.length === 0) this.#queue.shift();
    }
  }

  #transmit({ bytes, fds }: Outgoing): number | undefined {
    try {
      return native().sendmsg(this.#fd, bytes, fds);
    } catch (error) {
      const code = codeOf(error) ?? "";
      // what the other end wrote before it went is still to be read: the end is found there
      if (endings.has(code)) return bytes.length;
      if (!shortages.has(code)) throw error;
      // the socket is writable all the time: waiting for that would be a busy loop
      this.#short = true;
      this.#shortage(() => {
        this.#short = false;
        this.#flush();
        this.#rest();
      });
      return undefined;
    }
  }

  /** Waits for what is left to do. */
  #rest(): void {
    if (!this.#open) return;
    const wanted = (this.#reading ? readable : 0) | (this.#queue.length > 0 && !this.#short ? writable : 0);
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#watch.want(wanted);
  }
}
