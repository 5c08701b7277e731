import { constants, fstatSync, openSync, readlinkSync, writeSync } from "node:fs";
import { native } from "../native/addon.js";
import { type Watch, watch, writable } from "../native/watch.js";

/** Writes to an output of this process that others write to as well; never blocks, never throws, holds a bounded amount. */
export interface BoundedWriter {
  /** takes the bytes. False: more is held back than is good; stop until `onceDrained` calls, or risk that it is dropped */
  write(bytes: Uint8Array): boolean;
  /** calls back once, when everything held back has been written */
  onceDrained(resume: () => void): void;
  /** writes what is held back, waiting at most `limitMs` for a reader */
  flush(limitMs?: number): void;
  /** bytes dropped so far because nobody read */
  readonly dropped: number;
  readonly colour: boolean;
}

/** More than this is held back: writers should pause. */
const enough = 64 * 1024;
/** More is never held back. */
const most = 1024 * 1024;
/** POSIX: what a pipe that polls writable takes without blocking */
const pipeBuffer = 4096;

interface Output {
  /** number of bytes taken; undefined: it would block */
  send(bytes: Uint8Array): number | undefined;
  readonly pollable: number | undefined;
  /** the open file is others', too: its flags must stay as they are */
  readonly shared: boolean;
}

/**
 * The flag O_NONBLOCK belongs to the open file, which every service that inherits our stdout shares: set there, their writes would fail with
 * EAGAIN. So a pipe or terminal is opened a second time, a socket is sent to with MSG_DONTWAIT, and a file never blocks anyway.
 */
function openOutput(fd: number): Output {
  const stat = fstatSync(fd);
  if (stat.isFile()) return { send: (bytes) => writeSync(fd, bytes), pollable: undefined, shared: true };
  if (stat.isSocket()) return { send: (bytes) => native().sendmsg(fd, bytes, []), pollable: fd, shared: true };
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return { send: (bytes) => nonBlocking(own, bytes), pollable: own, shared: false };
  } catch {
    // not ours to open (another user's pipe): small pieces, and only when it polls writable
    return { send: (bytes) => nonBlocking(fd, bytes.subarray(0, pipeBuffer)), pollable: fd, shared: true };
  }
}

function nonBlocking(fd: number, bytes: Uint8Array): number | undefined {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}

/** A writer for fd 1 or 2. When the other end is gone, everything is dropped in silence: a log that nobody reads stops nobody. */
export function boundedWriter(fd: number): BoundedWriter {
  const held: Uint8Array[] = [];
  const waiting: (() => void)[] = [];
  let size = 0;
  let dropped = 0;
  let broken = false;
  let watching: Watch | undefined;
  let output: Output | undefined;
  try {
    output = openOutput(fd);
  } catch {
    broken = true;
  }

  const drain = (): void => {
    try {
      for (let first = held[0]; first !== undefined && output !== undefined; first = held[0]) {
        const sent = output.send(first);
        if (sent === undefined) return;
        size -= sent;
        if (sent < first.length) held[0] = first.subarray(sent);
        else held.shift();
      }
    } catch {
      broken = true;
      held.length = 0;
      size = 0;
    }
  };
  const resume = (): void => {
    if (size > 0) return;
    watching?.want(0);
    for (const each of waiting.splice(0)) each();
  };
  const wait = (): void => {
    if (output?.pollable === undefined) return;
    watching ??= watch(output.pollable, writable, () => {
      drain();
      resume();
    });
    // watching makes an fd non-blocking
    if (output.shared) native().setNonblock(output.pollable, false);
    watching.keepAlive(false);
    watching.want(writable);
  };

  return {
    write(bytes) {
      if (broken) return true;
      if (size + bytes.length > most) {
        dropped += bytes.length;
        return false;
      }
      held.push(bytes);
      size += bytes.length;
      if (held.length === 1) drain();
      if (size > 0) wait();
      return size < enough;
    },
    onceDrained(callback) {
      if (size === 0) queueMicrotask(callback);
      else waiting.push(callback);
    },
    flush(limitMs = 200) {
      const limit = performance.now() + limitMs;
      for (drain(); size > 0 && performance.now() < limit; drain())
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      resume();
    },
    get dropped() {
      return dropped;
    },
    colour: isTerminal(fd) && (process.env.NO_COLOR ?? "") === "",
  };
}

/** By the name of the device: node:tty would load all of node:net, which a start without a terminal does not need. */
function isTerminal(fd: number): boolean {
  try {
    return /^\/dev\/(pts\/|tty|console)/.test(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return false;
  }
}
