import type { Clock } from "../../runtime/ports.js";
import { readable, watch } from "../native/watch.js";

/** True when `fd` can be read, or is at its end, before the deadline; false when the time is over or the signal aborts. */
export async function readableBefore(
  fd: number,
  deadline: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  let ready = false;
  const looking = watch(fd, readable, () => {
    ready = true;
    over.abort();
  });
  await clock.until(deadline, AbortSignal.any([signal, over.signal]));
  looking.close();
  return ready;
}

/** "ENOENT" of an error that the system made. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Why there is no handover with this user; undefined: there may be one. Root may do everything anyway. */
export function stranger(uid: number): string | undefined {
  const me = process.geteuid?.();
  return uid === me || uid === 0 ? undefined : `it is run by user ${uid}, user ${me} or root is needed`;
}
