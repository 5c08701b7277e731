import { readdirSync } from "node:fs";
import { native } from "../native/addon.js";

/** for what a supervisor opens besides: pipes and sockets of its services, the log, its endpoints */
const spare = 64;

/** What is expected before anybody has said how many there are. */
const usual = 8 * 1024;

/** Before the lease, while nobody waits: the kernel takes its time for the first thousands of descriptors. */
export function makeRoomEarly(): void {
  native().makeRoomForFiles(Math.min(usual, native().makeRoomForFiles(0)));
}

/**
 * Makes sure that this process may have so many sockets, of which `arrived` are open already, raising its limit where that is allowed.
 * @returns why not
 */
export function makeRoomForFiles(count: number, arrived: number): string | undefined {
  const needed = readdirSync("/proc/self/fd").length - arrived + count + spare;
  const limit = native().makeRoomForFiles(needed);
  if (limit >= needed) return undefined;
  return `${count} sockets do not fit: this process may open ${limit} files (RLIMIT_NOFILE), ${needed} are needed`;
}
