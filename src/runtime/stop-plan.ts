import type { ShutdownPlan } from "../core/grace-budget.js";
import type { Plan } from "../core/plan.js";
import type { ShutdownView } from "../core/snapshot.js";
import { planStop } from "../core/stop-waves.js";
import type { StopRecord } from "./stop-request.js";

/** The same for the same record, so that a restarted supervisor goes on with the deadlines that were announced. */
export function stopPlan(
  plan: Plan,
  record: Pick<StopRecord, "requestedAt" | "lameDuckFrom" | "busy" | "drainMs" | "latest">,
): ShutdownPlan {
  const { requestedAt, lameDuckFrom, busy, drainMs, latest = Number.POSITIVE_INFINITY } = record;
  const { reserveMs } = plan.shutdown;
  const shutdown = drainMs === undefined ? plan.shutdown : { ...plan.shutdown, gracePeriodMs: drainMs + reserveMs };
  const planned = planStop(
    { ...plan, shutdown },
    { requestedAt, lameDuck: lameDuckFrom !== undefined, busy: (name) => busy.includes(name) },
  );
  if (planned.deadline <= latest) return planned;
  const waves = planned.waves.map((wave) => ({ ...wave, deadline: Math.min(wave.deadline, latest) }));
  return { ...planned, waves, deadline: latest };
}

/** Between the last deadline that any plan may have and what kills from outside. */
export function backstopOf(
  { shutdown: { gracePeriodMs, reserveMs } }: Pick<Plan, "shutdown">,
  { requestedAt, drainMs, latest = Number.POSITIVE_INFINITY }: Pick<StopRecord, "requestedAt" | "drainMs" | "latest">,
): number {
  return Math.min(requestedAt + (drainMs ?? gracePeriodMs - reserveMs), latest) + reserveMs / 2;
}

/** The plan in wall-clock time, and how far it has come. A oneshot that was done when the stop was asked for is no part of it. */
export function shutdownView(
  { services }: Pick<Plan, "services">,
  planned: ShutdownPlan,
  record: StopRecord,
  progress: { readonly doneWaves: number; readonly killed: readonly string[] },
): ShutdownView {
  const done = new Set(
    services.flatMap(({ name, type }) => (type === "oneshot" && !record.busy.includes(name) ? [name] : [])),
  );
  const wall = (at: number): number => Math.round(record.requestedWall + at - record.requestedAt);
  return {
    cause: record.cause,
    requestedAt: record.requestedWall,
    deadlineAt: wall(planned.deadline),
    ...(record.lameDuckFrom === undefined ? {} : { lameDuckUntil: wall(planned.lameDuckUntil) }),
    waves: planned.waves
      .map((wave, i) => ({
        services: wave.services.filter((name) => !done.has(name)),
        deadlineAt: wall(wave.deadline),
        graceMs: Math.round(wave.graceMs),
        done: i < progress.doneWaves,
      }))
      .filter((wave) => wave.services.length > 0),
    killed: [...new Set(progress.killed)],
  };
}

/** One line for the log: who is stopped by when. */
export function planText(planned: ShutdownPlan, now: number): string {
  const seconds = (at: number): string => `${(Math.max(0, at - now) / 1000).toFixed(1)} s`;
  const busy = planned.waves.filter(({ graceMs }) => graceMs > 0);
  const waves = busy.map((wave) => `${wave.services.join(", ")} by ${seconds(wave.deadline)}`);
  return `shutdown plan: ${waves.length === 0 ? "nothing to stop" : waves.join("; then ")}`;
}
