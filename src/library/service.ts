import type { ServiceSpec } from "../core/plan.js";

/** What a service that runs inside this process is given. */
export interface ServiceContext {
  /** listening sockets of the server by listener name; owned by the server: use a duplicate where the user closes it */
  readonly listenFds: ReadonlyMap<string, number>;
  /** aborts when the service has to end; its promise should settle within the service's grace */
  readonly shutdown: AbortSignal;
  /** dependents wait for this call. One that is never made leaves the service late or failed, not ready. */
  readonly ready: () => void;
}

/** pingora's Service: something with a name that can be started. Ends when the promise of `start` settles; a rejection is a failure. */
export interface Service {
  readonly name: string;
  /** pingora's thread count; kept for what reads it, a Node service has one */
  readonly threads?: number;
  /** called before `start` with the milliseconds it waited for its dependencies, when it has any */
  onStartupDelay?(ms: number): void;
  start(context: ServiceContext): Promise<void>;
}

/** A service that is a process of its own. `spec` is what a configured service compiles to. */
export interface ProcessService {
  readonly name: string;
  readonly spec: ServiceSpec;
}

const never = { policy: "never", initialDelayMs: 0, maxDelayMs: 0, resetAfterMs: 0, limit: 0, windowMs: 0 } as const;

/** What a service of this process looks like in the plan: stopped by its signal, never restarted, required. */
export function inProcessSpec(service: Service): ServiceSpec {
  return {
    name: service.name,
    type: "long-running",
    dependsOn: {},
    listeners: [],
    instances: 1,
    startTimeoutMs: 0,
    restart: never,
    stop: { steps: [{ signal: "SIGTERM", waitMs: Number.POSITIVE_INFINITY }] },
    onFailure: "shutdown",
    required: true,
    upgrade: {
      strategy: "handover",
      accept: "on-start",
      preflight: false,
      onUpgrade: "run",
      arguments: [],
      signal: "SIGQUIT",
    },
  };
}
