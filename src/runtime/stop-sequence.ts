import type { StopSpec } from "../core/plan.js";
import type { Body } from "./body.js";
import type { Clock } from "./ports.js";
import { Scope } from "./scope.js";
import type { StopDeadline } from "./stop-deadline.js";
import { unkillableMs } from "./sweep.js";

/**
 * Stop command, then the signals to the main process, each with its time, then SIGKILL at the deadline: to the main process, so that a
 * wave of hundreds costs as many cheap orders and not as many walks over all processes; what it leaves is swept away when its exit is
 * told. To the whole tree when that does not come.
 * `ended` aborts when the main process is gone; `killing` is called before SIGKILL is sent.
 */
export async function stopProcess(
  { command, steps }: StopSpec,
  body: Body,
  id: string,
  parts: {
    readonly clock: Clock;
    readonly deadline: StopDeadline;
    readonly ended: AbortSignal;
    readonly killing: () => void;
  },
): Promise<void> {
  const { clock, deadline, ended, killing } = parts;
  if (command !== undefined) {
    const bound = new Scope();
    const late = deadline.wait(clock, ended).then(() => bound.close());
    await Promise.race([body.stopCommand(id, command, bound.signal), late]);
    await bound.close();
  }
  for (const step of steps) {
    if (ended.aborted) return;
    await body.signal(id, step.signal, "child");
    await deadline.wait(clock, ended, clock.now() + step.waitMs);
    if (clock.now() >= (deadline.at ?? 0)) break;
  }
  await deadline.wait(clock, ended);
  if (ended.aborted) return;
  killing();
  await body.signal(id, "SIGKILL", "child");
  await clock.until(clock.now() + unkillableMs, ended);
  if (!ended.aborted) await body.signal(id, "SIGKILL", "tree");
}
