import type { Condition, RestartSpec, ServiceSpec } from "../core/plan.js";
import { isIdle } from "../core/service-state.js";
import type { ServiceStateName, ServiceView } from "../core/snapshot.js";
import type { YieldPart } from "../core/upgrade-part.js";
import type { Instance } from "./instance.js";
import type { Preflight } from "./preflight.js";

/** A service in the set: its spec and its instances. */
export interface Member {
  readonly spec: ServiceSpec;
  readonly instances: Instance[];
  /** an instance of it that has had no process yet */
  readonly make: (index: number) => Instance;
  /** processes that have been told to hand over by themselves, and were replaced: they end what they have */
  spent: readonly Instance[];
  /** until then a process that was told to hand over, or the one that took over from it, may still have what a new one needs */
  contestedUntil: number;
  readonly wave: number;
  readonly restartsByReason: Map<string, number>;
  /** stopped by request: is not started by itself, does not end the server */
  held: boolean;
  /** does not count for readiness: the other generation has it, or just had it */
  excused: boolean;
  /** held in favour of a successor, and what was done for that; keep: it has no process */
  yielded?: YieldPart | undefined;
  /** it ran in the generation before: as there, it does without what was stopped by request */
  goesOn?: boolean;
  /** as a candidate: the old generation has it by another strategy, so that it must have ended there before it starts here */
  afterOld?: boolean;
  /** a process of the old generation hands over to it by itself: `own` in both */
  handsOver?: boolean;
  /** what comes before its first process */
  preflight?: "due" | Preflight | undefined;
}

/** Every process that it may have, its trial's included. */
export function processesOf({ instances, spent, preflight }: Member): readonly Instance[] {
  return [...instances, ...spent, ...(typeof preflight === "object" ? [preflight.trial] : [])];
}

/** It has a process, or is about to. */
export function hasProcess(member: Member): boolean {
  return processesOf(member).some(({ fold }) => !isIdle(fold.state));
}

/** The same, or it is about to be restarted. */
export function isGoing(member: Member): boolean {
  const restarts =
    member.spec.type === "long-running" && member.instances.some(({ fold }) => fold.state.name === "Backoff");
  return restarts || hasProcess(member);
}

/** Stopped by request in the generation before, and not started since. */
export function isKept({ held, instances }: Member): boolean {
  return held && instances.every(({ fold: { state } }) => state.name === "Stopped" && state.kept);
}

/** As soon, and as often, as it can do some good: the address that is in use now will be free. */
const contested = { policy: "always", initialDelayMs: 250, maxDelayMs: 250, limit: 0 } as const;

/** What follows when one of its processes ends by itself. */
export function restartOf({ spec: { restart }, contestedUntil }: Member, now: number): RestartSpec {
  return now < contestedUntil ? { ...restart, ...contested } : restart;
}

/** From the least to the most advanced: a service is where its last instance is. */
const advance: readonly ServiceStateName[] = [
  "Failed",
  "Backoff",
  "Waiting",
  "Stopping",
  "Stopped",
  "Starting",
  "Ready",
];

export function isReady(member: Member): boolean {
  if (member.spec.type === "oneshot") return isCompleted(member);
  return member.instances.every(({ fold }) => fold.state.name === "Ready");
}

function isCompleted(member: Member): boolean {
  return member.instances.every(
    ({ fold: { state } }) => state.name === "Stopped" && state.by === "itself" && state.exit?.code === 0,
  );
}

export function fulfils(member: Member, condition: Condition): boolean {
  switch (condition) {
    case "started":
      return isCompleted(member) || member.instances.every(({ running }) => running);
    case "ready":
      return isReady(member);
    case "healthy":
      return isReady(member) && (member.spec.type === "oneshot" || member.instances.every(({ healthy }) => healthy));
    case "completed":
      return isCompleted(member);
  }
}

/** Has ended in a way that fulfils nothing any more, unless somebody starts it again. */
export function isHopeless(member: Member): boolean {
  return member.instances.some(({ fold: { state } }) => state.name === "Failed" || state.name === "Stopped");
}

/** `unmet`: the dependencies it still waits for. */
export function memberView(member: Member, unmet: readonly Member[]): ServiceView {
  const { spec, instances, wave } = member;
  const views = instances.map((instance) => instance.view);
  const [least] = [...views].sort((a, b) => advance.indexOf(a.state) - advance.indexOf(b.state));
  const state = least?.state ?? "Waiting";
  return {
    name: spec.name,
    type: spec.type,
    required: spec.required,
    dependsOn: spec.dependsOn,
    listeners: spec.listeners,
    state,
    since: least?.since ?? 0,
    reason: state === "Waiting" ? waitingFor(member, unmet) : (least?.reason ?? ""),
    ...(state === "Waiting" || least?.output === undefined ? {} : { output: least.output }),
    ready: isReady(member),
    instances: views,
    restartsByReason: Object.fromEntries(member.restartsByReason),
    wave,
    ...(member.excused ? { excused: true } : {}),
    ...(member.held && !member.yielded ? { held: true } : {}),
  };
}

function waitingFor(member: Member, unmet: readonly Member[]): string {
  if (member.yielded) return "left to the new generation";
  if (member.held) return "stopped";
  if (member.excused) return "left to the old generation until it is replaced";
  if (typeof member.preflight === "object") return `preflight: ${member.preflight.trial.reason}`;
  const waits = unmet.map((dependency) => {
    const failed = dependency.instances.find(({ fold }) => fold.state.name === "Failed");
    const stopped = dependency.held && !dependency.yielded ? " (stopped by request)" : "";
    const why = failed === undefined ? stopped : ` (it failed: ${failed.reason})`;
    return `${dependency.spec.name} to be ${member.spec.dependsOn[dependency.spec.name]}${why}`;
  });
  return waits.length === 0 ? "" : `waiting for ${waits.join(", ")}`;
}
