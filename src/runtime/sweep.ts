import type { Body } from "./body.js";
import type { Clock } from "./ports.js";

/** What does not die of SIGKILL within this time (uninterruptible sleep) is left to the end of the container. */
export const unkillableMs = 1_000;

/**
 * Ends what a process left behind: SIGTERM to its tree now, SIGKILL at `deadline`, which may move forward meanwhile, or be over already.
 * Resolves when nothing is left; true when something had to be killed.
 */
export async function sweep(body: Body, id: string, deadline: () => number, clock: Clock): Promise<boolean> {
  let killedAt = clock.now() < deadline() ? undefined : clock.now();
  let left = await body.signal(id, killedAt === undefined ? "0" : "SIGKILL", "tree");
  if (left === 0) return false;
  if (killedAt === undefined) await body.signal(id, "SIGTERM", "tree");
  for (let waitMs = 5; left > 0; waitMs = Math.min(waitMs * 1.5, 50)) {
    const now = clock.now();
    if (killedAt === undefined && now >= deadline()) {
      killedAt = now;
      await body.signal(id, "SIGKILL", "tree");
    }
    if (killedAt !== undefined && now >= killedAt + unkillableMs) break;
    await clock.until(now + waitMs);
    left = await body.signal(id, "0", "tree");
  }
  return killedAt !== undefined;
}
