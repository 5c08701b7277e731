import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { native } from "../native/addon.js";

/** One of our outputs, written to without ever waiting for its reader. */
export interface Output {
  /**
   * Number of bytes taken; undefined: it would block.
   * @throws Error EPIPE and the like: nobody will read this
   */
  send(bytes: Uint8Array): number | undefined;
  /** what to watch for room; undefined: there always is */
  readonly pollable: number | undefined;
  /** the open file is others', too: its flags must stay as they are */
  readonly shared: boolean;
  /** `send` may only be called after the output polled writable, once */
  readonly onlyWhenWritable: boolean;
}

/** What a pipe that polls writable takes without blocking (PIPE_BUF, pipe(7)) */
const pipeBuffer = 4096;

/**
 * O_NONBLOCK belongs to the open file, and every service that inherits our stdout shares it: set there, their writes would fail with
 * EAGAIN. So a pipe or terminal is opened a second time, a socket is sent to with MSG_DONTWAIT, and a file never blocks anyway.
 * (For the same reason nothing that runs services may touch process.stdout or process.stderr: Node sets the flag on pipes.)
 * @throws Error EBADF: it is closed
 */
export function openOutput(fd: number): Output {
  const stat = fstatSync(fd);
  if (stat.isFile()) {
    return { send: (bytes) => writeSync(fd, bytes), pollable: undefined, shared: true, onlyWhenWritable: false };
  }
  if (stat.isSocket()) {
    const { sendmsg } = native();
    return { send: (bytes) => sendmsg(fd, bytes, []), pollable: fd, shared: true, onlyWhenWritable: false };
  }
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return { send: (bytes) => writeUnlessFull(own, bytes), pollable: own, shared: false, onlyWhenWritable: false };
  } catch {
    // not ours to open (another user's pipe, as gosu leaves it): what is left is to ask first, and to write little
    const send = (bytes: Uint8Array) => writeUnlessFull(fd, bytes.subarray(0, pipeBuffer));
    return { send, pollable: fd, shared: true, onlyWhenWritable: true };
  }
}

function writeUnlessFull(fd: number, bytes: Uint8Array): number | undefined {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}
