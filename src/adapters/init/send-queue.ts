import { EntryError } from "../../core/entry-error.js";
import { native } from "../native/addon.js";
import { directBytes, elsewhere, encodeFrame } from "./frame.js";
import type { MemoryMaker } from "./memory-maker.js";

/** A frame on its way out. `text` travels in a memfd of its own, made only when the frame is really sent. */
export interface OutgoingFrame {
  readonly verb: string;
  readonly bytes: Buffer;
  readonly fds: readonly number[];
  readonly text?: string;
  /** a note says "newest wins": it replaces an equal-named one that waits, unless a request was queued since */
  readonly note?: string;
}

/**
 * sent; full: wait until the socket is writable; busy: the system is short of something for a moment, try again later;
 * starved: there is no memfd for this frame, and others can be sent meanwhile
 */
export type SendResult = "sent" | "full" | "busy" | "starved";

/** What an init that does not read may cost us. Notes are bounded by nature (one for each name); requests are refused beyond this. */
export const maxQueuedRequests = 1024;
export const maxQueuedBytes = 16 * 1024 * 1024;

const shortages = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ETOOMANYREFS"]);
const pointer = encodeFrame(elsewhere);

/** This process, or the machine, has no descriptor or no memory left for it at the moment. */
export function isShortage(error: unknown): boolean {
  return shortages.has(error instanceof Error && "code" in error ? String(error.code) : "");
}

/** @throws Error of the addon: EPIPE and the like (nobody reads any more), EBADF (a descriptor of the frame is none) */
export function transmit(channel: number, frame: OutgoingFrame, memory: MemoryMaker): SendResult {
  const addon = native();
  const own: number[] = [];
  let { bytes, fds } = frame;
  let made = false;
  try {
    if (frame.text !== undefined) {
      own.push(memory.make("pingora-entry-state", Buffer.from(frame.text, "utf8")));
      fds = own.slice();
    }
    if (bytes.length > directBytes) {
      own.push(memory.make("pingora-entry-frame", bytes));
      fds = [...own.slice(-1), ...fds];
      bytes = pointer;
    }
    made = true;
    return addon.sendmsg(channel, bytes, fds) === undefined ? "full" : "sent";
  } catch (error) {
    if (isShortage(error)) return made ? "busy" : "starved";
    throw error;
  } finally {
    for (const fd of own) addon.close(fd);
    memory.refill();
  }
}

/** Frames that could not be sent yet, in order, with duplicates of their descriptors: the caller may close its own meanwhile. */
export class SendQueue {
  #frames: OutgoingFrame[] = [];
  #bytes = 0;
  #requests = 0;

  get empty(): boolean {
    return this.#frames.length === 0;
  }

  get first(): OutgoingFrame | undefined {
    return this.#frames[0];
  }

  /** @throws EntryError os: a request, and the queue is full. Error EMFILE: its descriptors cannot be kept */
  add(frame: OutgoingFrame): void {
    const size = sizeOf(frame);
    if (frame.note === undefined) {
      if (this.#requests >= maxQueuedRequests || this.#bytes + size > maxQueuedBytes) {
        throw new EntryError(
          "os",
          `cannot send ${frame.verb} to the init: it has not read its channel for ${this.#requests} messages, it must run`,
        );
      }
    } else this.#dropOlder(frame.note);
    this.#frames.push({ ...frame, fds: copies(frame.fds) });
    this.#count(frame, 1);
  }

  #count(frame: OutgoingFrame, sign: 1 | -1): void {
    this.#bytes += sign * sizeOf(frame);
    if (frame.note === undefined) this.#requests += sign;
  }

  #dropOlder(note: string): void {
    for (let at = this.#frames.length - 1; at >= 0 && this.#frames[at]?.note !== undefined; at--) {
      if (this.#frames[at]?.note !== note) continue;
      this.#remove(at);
      return;
    }
  }

  /** forgets the first, which was sent or is not wanted any more */
  shift(): void {
    if (this.#frames.length > 0) this.#remove(0);
  }

  /** puts the first at the end of another queue */
  shiftTo(other: SendQueue): void {
    const frame = this.#frames.shift();
    if (frame === undefined) return;
    this.#count(frame, -1);
    other.#frames.push(frame);
    other.#count(frame, 1);
  }

  /** drops every frame of this note: a newer one is on its way */
  forget(note: string): void {
    for (let at = this.#frames.length - 1; at >= 0; at--) if (this.#frames[at]?.note === note) this.#remove(at);
  }

  clear(): void {
    while (this.#frames.length > 0) this.#remove(this.#frames.length - 1);
  }

  #remove(at: number): void {
    const [frame] = this.#frames.splice(at, 1);
    if (frame === undefined) return;
    this.#count(frame, -1);
    for (const fd of frame.fds) native().close(fd);
  }
}

function sizeOf(frame: OutgoingFrame): number {
  return frame.bytes.length + (frame.text?.length ?? 0);
}

function copies(fds: readonly number[]): number[] {
  const { dup, close } = native();
  const made: number[] = [];
  try {
    for (const fd of fds) made.push(dup(fd));
    return made;
  } catch (error) {
    for (const fd of made) close(fd);
    throw error;
  }
}
