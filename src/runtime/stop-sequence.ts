import type { StopSpec } from "../core/plan.js";
import type { Body } from "./body.js";
import type { Clock } from "./ports.js";
import { Scope } from "./scope.js";
import type { StopDeadline } from "./stop-deadline.js";
import { unkillableMs } from "./sweep.js";

/** How far the stop of a process has come; survives a restart of the supervisor. Instants are CLOCK_MONOTONIC ms. */
export interface StopStage {
  readonly began: number;
  readonly command?: "begun" | "done";
  /** how many of the signals have been sent, and when the last of them */
  readonly sent?: number;
  readonly sentAt?: number;
  readonly killed?: true;
}

/** The part of a grace that a stop command may take; the rest is for the signals. */
const commandShare = 0.75;

/**
 * Stop command, then the signals to the main process, each with its time, then SIGKILL at the deadline: to the main process, so that a
 * wave of hundreds costs as many cheap orders and not as many walks over all processes; what it leaves is swept away when its exit is
 * told. To the whole tree when that does not come. Goes on from `stage`.
 * `ended` aborts when the main process is gone; `reached` is to write the new stage down.
 */
export async function stopProcess(
  { command, steps }: StopSpec,
  body: Body,
  id: string,
  parts: {
    readonly clock: Clock;
    readonly deadline: StopDeadline;
    readonly ended: AbortSignal;
    readonly stage: StopStage;
    readonly reached: (stage: StopStage) => void;
    /** the stop command was of no use; in words */
    readonly failed: (reason: string) => void;
  },
): Promise<void> {
  const { clock, deadline, ended } = parts;
  let { stage } = parts;
  const reach = (change: Partial<StopStage>): void => {
    stage = { ...stage, ...change };
    parts.reached(stage);
  };

  if (command !== undefined && stage.command !== "done") {
    const begun = stage.command === "begun";
    if (!begun) reach({ command: "begun" });
    const limit = (): number => stage.began + commandShare * ((deadline.at ?? stage.began) - stage.began);
    const bound = new Scope();
    let late = false;
    const over = deadline.wait(clock, ended, limit).then(() => {
      late = !ended.aborted;
      return bound.close();
    });
    const done = () => {
      if (stage.command !== "done") reach({ command: "done" });
    };
    const failure = await Promise.race([body.stopCommand(id, command, { signal: bound.signal, begun, done }), over]);
    await bound.close();
    const tookMs = Math.round(clock.now() - stage.began);
    if (late)
      parts.failed(`it did not end within ${tookMs / 1000} s, ${commandShare * 100} % of the grace, and was killed`);
    else if (typeof failure === "string") parts.failed(failure);
    done();
  }

  for (const [i, step] of steps.entries()) {
    if (ended.aborted) return;
    const sent = stage.sent ?? 0;
    if (i < sent - 1) continue;
    if (i >= sent) {
      // told and written down in the same turn: who takes over neither leaves it out nor repeats it
      const signalled = body.signal(id, step.signal, "child");
      reach({ sent: i + 1, sentAt: clock.now() });
      await signalled;
    }
    const until = (stage.sentAt ?? clock.now()) + step.waitMs;
    await deadline.wait(clock, ended, () => until);
    if (clock.now() >= (deadline.at ?? 0)) break;
  }
  await deadline.wait(clock, ended);
  if (ended.aborted) return;
  reach({ killed: true });
  await body.signal(id, "SIGKILL", "child");
  await clock.until(clock.now() + unkillableMs, ended);
  if (!ended.aborted) await body.signal(id, "SIGKILL", "tree");
}
