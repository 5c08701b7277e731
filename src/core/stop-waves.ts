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
  return planShutdown({
    requestedAt,
    graceMs: shutdown.gracePeriodMs,
    reserveMs: shutdown.reserveMs,
    lameDuckMs: lameDuck ? shutdown.lameDuckMs : 0,
    waves: [...waves].reverse().map((names) => ({
      services: names.map((name) => {
        const graceMs = specs.get(name)?.stop.graceMs;
        return { name, idle: !isBusy(name), ...(graceMs === undefined ? {} : { graceMs }) };
      }),
    })),
  });
}
