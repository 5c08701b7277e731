import { native } from "./addon.js";

/** What a watch waits for and reports, as a sum. */
export const readable = 1;
export const writable = 2;
/** the other end is gone (half-closed for a stream) */
export const disconnected = 4;

/** Readiness of one descriptor on Node's loop. */
export interface Watch {
  /** waits for these events from now on, level-triggered; 0 pauses */
  want(events: number): void;
  /** whether the watch alone keeps the process running; it does at first */
  keepAlive(keep: boolean): void;
  /** no call comes after this one, also when called from within the callback. Close the fd only afterwards. Twice is nothing. */
  close(): void;
}

/**
 * Calls `ready` on the loop while `fd` is in one of the wanted states. An error on the descriptor is reported as all events at once,
 * and pauses the watch: the next read or write tells which. One watch per descriptor; the fd becomes non-blocking.
 * @throws Error EEXIST: it is watched already; EBADF, EPERM: it cannot be watched
 */
export function watch(fd: number, events: number, ready: (events: number) => void): Watch {
  const addon = native();
  const id = addon.openWatch(fd, ready);
  addon.startWatch(id, events);
  return {
    want: (wanted) => addon.startWatch(id, wanted),
    keepAlive: (keep) => addon.keepWatch(id, keep),
    close: () => addon.closeWatch(id),
  };
}
