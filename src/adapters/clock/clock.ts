import type { Clock } from "../../runtime/ports.js";

/** setTimeout's longest; a longer wait is made of several */
const longestMs = 2 ** 31 - 1;

function now(): number {
  // hrtime is CLOCK_MONOTONIC; performance.now() counts from the start of this process
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

function until(deadline: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    // a timer counts whole milliseconds of the loop's time and may fire a fraction early
    const wait = () => {
      const left = deadline - now();
      if (left <= 0) finish();
      else timer = setTimeout(wait, Math.min(Math.ceil(left), longestMs));
    };
    if (signal?.aborted) return resolve();
    signal?.addEventListener("abort", finish);
    wait();
  });
}

/** The machine's clocks. A wait keeps the process running until it ends. */
export const systemClock: Clock = { now, wall: () => Date.now(), until };
