import { type Admin, openAdmin as open } from "../adapters/http/open-admin.js";
import { createMetrics, type Metrics } from "../adapters/metrics/create-metrics.js";
import type { EventTally } from "../adapters/metrics/event-tally.js";
import type { Plan } from "../core/plan.js";
import { build } from "../core/version.js";
import type { Clock, Control, Log, OutputHistory } from "../runtime/ports.js";

export interface AdminWorld {
  readonly plan: Plan;
  readonly tcpFd: number | undefined;
  readonly controlFd: number | undefined;
  readonly control: Control;
  readonly history: OutputHistory;
  readonly tally: EventTally;
  readonly log: Log;
  readonly clock: Clock;
  /** bytes of each output that nobody read */
  readonly dropped: () => Record<string, number>;
}

/** One for a server, however often its endpoints are opened anew: what was observed stays. */
const registries = new WeakMap<EventTally, Metrics>();

/** The endpoints with all they load (fastify, prom-client): a bundle of its own, loaded after the first services were started. */
export function openAdmin({ tally, dropped, ...world }: AdminWorld): Promise<Admin> {
  const { control, clock } = world;
  const metrics =
    registries.get(tally) ??
    createMetrics({ snapshot: () => control.snapshot(), tally, build, wall: clock.wall, dropped });
  registries.set(tally, metrics);
  return open({ ...world, renderMetrics: (accept) => metrics.render(accept) });
}
