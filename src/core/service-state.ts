import { restartDelay } from "./backoff.js";
import type { RestartSpec } from "./plan.js";

/** How a process ended; exactly one of the two is set. */
export interface Exit {
  readonly code?: number;
  readonly signal?: string;
}

export type AfterStop = "stay" | "restart" | "restart-now" | "fail";

/**
 * One process (or in-process service) of a service, as a fold over what happens to it:
 *
 *     Waiting --start--> Starting --ready--> Ready --exited--> Backoff --elapsed--> Starting
 *                          ^                  |  (unready leads back to Starting)
 *                          |                stop --> Stopping --exited--> Stopped | Backoff | Failed
 *                        start <------------------------------------------'
 *
 * Times are CLOCK_MONOTONIC ms.
 */
export type InstanceState =
  | { readonly name: "Waiting" }
  /** runs (or is about to) and is not, or not any more, ready */
  | { readonly name: "Starting"; readonly reason: string }
  | { readonly name: "Ready" }
  | { readonly name: "Stopping"; readonly next: AfterStop; readonly reason: string }
  /**
   * `skipped`: it did not run in this generation, and counts as completed, as it was in the one before; `kept`: it had been stopped by
   * request there
   */
  | {
      readonly name: "Stopped";
      readonly by: "itself" | "request";
      readonly exit?: Exit;
      readonly skipped?: true;
      readonly kept?: true;
    }
  | { readonly name: "Backoff"; readonly until: number; readonly reason: string }
  | { readonly name: "Failed"; readonly reason: string; readonly exit?: Exit };

export interface InstanceFold {
  readonly state: InstanceState;
  /** consecutive restarts, for the back-off */
  readonly attempt: number;
  /** instants of the restarts within the window, for the limit */
  readonly recent: readonly number[];
  /** when the running process was spawned */
  readonly upSince?: number;
}

export const freshFold: InstanceFold = { state: { name: "Waiting" }, attempt: 0, recent: [] };

export type InstanceEvent =
  | { readonly kind: "start"; readonly now: number }
  | { readonly kind: "ready" }
  | { readonly kind: "unready"; readonly reason: string }
  /** a liveness or startup probe failed, or the start took too long: the process has to go */
  | { readonly kind: "unhealthy"; readonly reason: string }
  | { readonly kind: "stop"; readonly next: "stay" | "restart-now"; readonly reason: string }
  | {
      readonly kind: "exited";
      readonly exit: Exit;
      readonly now: number;
      readonly random: number;
      /** in words, when there is more to say than the exit code */
      readonly reason?: string;
    }
  | {
      readonly kind: "spawn-failed";
      readonly reason: string;
      readonly code: number;
      /** trying again would find the same: the program is not there, or is none */
      readonly permanent: boolean;
      readonly now: number;
      readonly random: number;
    }
  | { readonly kind: "elapsed"; readonly now: number };

/** `spawn` a process, begin to `stop` the running one, or do nothing. A Backoff's end is in its state. */
export type InstanceAct = "spawn" | "stop" | "none";

export interface InstancePolicy {
  readonly type: "long-running" | "oneshot";
  readonly restart: RestartSpec;
  /** onFailure restart: the limit does not end the restarts */
  readonly forever: boolean;
}

export interface InstanceStep {
  readonly fold: InstanceFold;
  readonly act: InstanceAct;
}

/** Total: what has no meaning in a state changes nothing. */
export function instanceNext(fold: InstanceFold, event: InstanceEvent, policy: InstancePolicy): InstanceStep {
  const { state } = fold;
  switch (event.kind) {
    case "start":
      return isIdle(state) ? spawn({ ...freshFold, recent: fold.recent }, "starting", event.now) : stay(fold);
    case "elapsed":
      return state.name === "Backoff" ? spawn(fold, state.reason, event.now) : stay(fold);
    case "ready":
      return state.name === "Starting" ? enter(fold, { name: "Ready" }) : stay(fold);
    case "unready":
      if (state.name === "Ready") return enter(fold, { name: "Starting", reason: event.reason });
      return state.name === "Starting" ? enter(fold, { ...state, reason: event.reason }) : stay(fold);
    case "unhealthy":
      if (!isUp(state)) return stay(fold);
      return enter(fold, { name: "Stopping", next: "restart", reason: event.reason }, "stop");
    case "stop":
      return stop(fold, event.next, event.reason);
    case "exited":
      return exited(fold, event, policy);
    case "spawn-failed":
      if (event.permanent && isUp(state) && !policy.forever) {
        const { upSince: _, ...down } = fold;
        return enter(down, { name: "Failed", reason: event.reason, exit: { code: event.code } });
      }
      return exited(
        fold,
        { exit: { code: event.code }, now: event.now, random: event.random, reason: event.reason },
        policy,
      );
  }
}

export function isIdle(state: InstanceState): boolean {
  return state.name === "Waiting" || state.name === "Stopped" || state.name === "Failed" || state.name === "Backoff";
}

/** Over, unless somebody starts it again. */
export function isEnded(
  state: InstanceState,
): state is Extract<InstanceState, { readonly name: "Stopped" | "Failed" }> {
  return state.name === "Stopped" || state.name === "Failed";
}

/** Has run, and does not now. */
export function isDown(state: InstanceState): boolean {
  return isEnded(state) || state.name === "Backoff";
}

/** A process of this instance exists, or is about to. */
export function isUp(state: InstanceState): boolean {
  return state.name === "Starting" || state.name === "Ready";
}

export function exitText(exit: Exit): string {
  return exit.signal === undefined ? `exited with code ${exit.code ?? 0}` : `was killed by ${exit.signal}`;
}

function stop(fold: InstanceFold, next: "stay" | "restart-now", reason: string): InstanceStep {
  const { state } = fold;
  if (isUp(state)) return enter(fold, { name: "Stopping", next, reason }, "stop");
  // a stop that arrives while the process is already going decides what follows: the last word counts
  if (state.name === "Stopping") return enter(fold, { ...state, next, reason }, "stop");
  if (state.name === "Failed" || state.name === "Stopped") return stay(fold);
  return enter(fold, { name: "Stopped", by: "request" });
}

function exited(
  fold: InstanceFold,
  event: { readonly exit: Exit; readonly now: number; readonly random: number; readonly reason?: string },
  policy: InstancePolicy,
): InstanceStep {
  const { state } = fold;
  const { upSince: _, ...down } = fold;
  if (state.name === "Stopping") {
    if (state.next === "stay") return enter(down, { name: "Stopped", by: "request", exit: event.exit });
    if (state.next === "restart-now") return spawn({ ...down, attempt: 0 }, state.reason, event.now);
    // how it took our own stop signal says nothing: it failed because of its health
    return restartOrFail(fold, { ...event, exit: { code: 1 }, reason: state.reason }, policy, true);
  }
  if (!isUp(state)) return stay(fold);
  return restartOrFail(fold, { ...event, reason: event.reason ?? exitText(event.exit) }, policy, event.exit.code !== 0);
}

function restartOrFail(
  fold: InstanceFold,
  event: { readonly exit: Exit; readonly now: number; readonly random: number; readonly reason: string },
  policy: InstancePolicy,
  failed: boolean,
): InstanceStep {
  const { upSince, ...down } = fold;
  const done = !failed && (policy.type === "oneshot" || policy.restart.policy !== "always");
  if (done) return enter(down, { name: "Stopped", by: "itself", exit: event.exit });
  if (policy.restart.policy === "never") return enter(down, { name: "Failed", reason: event.reason, exit: event.exit });

  // one more than are allowed says it all
  const recent = [...fold.recent.filter((at) => at > event.now - policy.restart.windowMs), event.now].slice(
    -1 - policy.restart.limit,
  );
  if (policy.restart.limit > 0 && recent.length > policy.restart.limit && !policy.forever) {
    const reason = `${event.reason}; ${policy.restart.limit} ${policy.restart.limit === 1 ? "restart" : "restarts"} within ${policy.restart.windowMs / 1000} s did not help`;
    return enter({ ...down, recent }, { name: "Failed", reason, exit: event.exit });
  }
  const stable = upSince !== undefined && event.now - upSince >= policy.restart.resetAfterMs;
  const attempt = stable ? 0 : fold.attempt;
  const until = event.now + restartDelay(policy.restart, attempt, event.random);
  return enter({ ...down, recent, attempt: attempt + 1 }, { name: "Backoff", until, reason: event.reason });
}

function spawn(fold: InstanceFold, reason: string, now: number): InstanceStep {
  return { fold: { ...fold, state: { name: "Starting", reason }, upSince: now }, act: "spawn" };
}

function enter(fold: InstanceFold, state: InstanceState, act: InstanceAct = "none"): InstanceStep {
  return { fold: { ...fold, state }, act };
}

function stay(fold: InstanceFold): InstanceStep {
  return { fold, act: "none" };
}
