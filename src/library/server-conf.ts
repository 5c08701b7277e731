import type { Plan } from "../core/plan.js";

/** What a server is configured with, besides its services: listeners, grace, readiness, admin endpoints, log. Times in ms. */
export type ServerConf = Omit<Plan, "services" | "waves">;

/** The defaults of the configuration reference, for a server that is put together in code. No admin port, no control socket and no upgrades until they are named. */
export function defaultConf(): ServerConf {
  return {
    listeners: [],
    shutdown: { gracePeriodMs: 30_000, lameDuckMs: 0, reserveMs: 1_000 },
    readiness: { duringDrain: "auto" },
    bindRetry: { attempts: 30, intervalMs: 1_000 },
    admin: { socket: "" },
    upgrade: {
      optional: true,
      probationMs: 5_000,
      bootMs: 60_000,
      drainMs: 29_000,
      release: "",
      maxGenerations: 2,
      standby: false,
    },
    log: { level: "info", format: "auto" },
  };
}
