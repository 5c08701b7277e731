import type { ShutdownPlan } from "../core/grace-budget.js";
import type { Posted } from "./inbox.js";
import type { Clock } from "./ports.js";
import type { Scope } from "./scope.js";
import type { StopRequest } from "./stop-request.js";

/** Serving on while the endpoints forget us; who asked by a hook waits here until that is over. */
export class LameDuck {
  readonly #waiters = new Set<() => void>();

  /** Resolves when the lame duck is over, was skipped, or `signal` aborts. */
  over(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiters.delete(wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  release(): void {
    for (const wake of this.#waiters) wake();
  }

  /** The task of GracefulTerminate. */
  async wait(plan: ShutdownPlan, stop: StopRequest, clock: Clock, scope: Scope): Promise<Posted> {
    await clock.until(plan.lameDuckUntil, AbortSignal.any([scope.signal, stop.hurry]));
    this.release();
    if (!stop.record?.signalled) {
      // a hook has drained us; the signal that must follow may not come when it was run by hand, or the kill was taken back
      await Promise.race([stop.signalled(scope.signal), clock.until(plan.deadline, scope.signal)]);
    }
    if (stop.record?.signalled || scope.signal.aborted)
      return { event: "LameDuckOver", cause: stop.record?.cause ?? "stop" };
    stop.cancel();
    return { event: "DrainCancelled", cause: "preStop was not followed by a signal" };
  }
}
