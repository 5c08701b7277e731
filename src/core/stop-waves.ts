import { planShutdown, type ShutdownPlan } from "./grace-budget.js";
import type { Plan } from "./plan.js";

export interface StopStart {
  /** CLOCK_MONOTONIC ms, or 0 for a plan on paper */
  readonly requestedAt: number;
  /** the stop begins with the lame duck */
  readonly lameDuck: boolean;
  /** whether a service has a process; undefined: every service but a oneshot, which has ended by then */
  readonly busy?: (service: string) => boolean;
}

/** The shutdown plan of a whole plan: its start waves backwards, each service with the grace that was configured for it. */
export function planStop(
  { services, waves, shutdown }: Plan,
  { requestedAt, lameDuck, busy }: StopStart,
): ShutdownPlan {
  const specs = new Map(services.map((service) => [service.name, service]));
  const isBusy = busy ?? ((name: string) => specs.get(name)?.type !== "oneshot");
  const processes = waves.map((names) =>
    names.filter(isBusy).reduce((sum, name) => sum + (specs.get(name)?.instances ?? 0), 0),
  );
  return planShutdown({
    requestedAt,
    graceMs: shutdown.gracePeriodMs,
    reserveMs: shutdown.reserveMs + crowdMs(Math.max(0, ...processes), shutdown.gracePeriodMs),
    lameDuckMs: lameDuck ? shutdown.lameDuckMs : 0,
    waves: [...waves].reverse().map((names) => ({
      services: names.map((name) => {
        const graceMs = specs.get(name)?.stop.graceMs;
        return { name, idle: !isBusy(name), ...(graceMs === undefined ? {} : { graceMs }) };
      }),
    })),
  });
}

/** What killing and burying many processes at once takes beyond the reserve; a few of them take nothing worth planning for. */
function crowdMs(processes: number, graceMs: number): number {
  return Math.min(Math.max(0, processes - 20) * 4, graceMs / 4);
}
