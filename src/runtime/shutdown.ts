import { exitCodes } from "../core/entry-error.js";
import type { ShutdownPlan } from "../core/grace-budget.js";
import { ignored, next, type Phase } from "../core/phase.js";
import type { ShutdownView } from "../core/snapshot.js";
import type { Task } from "./driver.js";
import type { Inbox } from "./inbox.js";
import { LameDuck } from "./lame-duck.js";
import type { SavedState } from "./saved-state.js";
import type { ServerParts } from "./server-parts.js";
import type { ServiceSet } from "./service-set.js";
import type { StatusStore } from "./status-store.js";
import { backstopOf, planText, shutdownView, stopPlan } from "./stop-plan.js";
import { type StopRecord, StopRequest } from "./stop-request.js";

export interface ShutdownParts {
  readonly server: Pick<ServerParts, "plan" | "clock" | "log" | "init" | "inPod" | "lastWords">;
  /** of a supervisor that died */
  readonly saved: Pick<SavedState, "stop" | "killed"> | undefined;
  readonly services: () => ServiceSet;
  readonly store: () => StatusStore;
  readonly inbox: Inbox;
  /** these services are about to be told to stop */
  readonly stopping: (services: readonly string[]) => void;
  /** views and record have to follow */
  readonly changed: () => void;
}

/** All required services have been ready, and this generation accepts: there is something to serve on with. */
const serving: readonly Phase[] = ["Running", "GracefulUpgradeTransferringFds", "GracefulUpgradeCloseTimeout"];

type Facts = Omit<StopRecord, "requestedAt" | "requestedWall" | "hurried" | "lameDuckFrom" | "busy">;

/** The end of a server: who asked for it, until when which service may take, and what became of them. */
export class Shutdown {
  readonly request: StopRequest;
  readonly #parts: ShutdownParts;
  readonly #lameDuck = new LameDuck();
  readonly #killed: string[];
  readonly #killing = new Set<string>();
  #doneWaves = 0;

  constructor(parts: ShutdownParts) {
    this.#parts = parts;
    this.#killed = [...(parts.saved?.killed ?? [])];
    this.request = new StopRequest(parts.saved?.stop, parts.changed);
  }

  get record(): StopRecord | undefined {
    return this.request.record;
  }

  /** services that were killed at their deadlines, as often as they were */
  get killed(): readonly string[] {
    return this.#killed;
  }

  get plan(): ShutdownPlan {
    const { server, services } = this.#parts;
    return stopPlan(server.plan, this.record ?? { requestedAt: server.clock.now(), busy: services().busy });
  }

  get view(): ShutdownView | undefined {
    const { record, killed } = this;
    if (record === undefined) return undefined;
    return shutdownView(this.#parts.server.plan, this.plan, record, { doneWaves: this.#doneWaves, killed });
  }

  /** The first cause counts; the time of all deadlines is now. */
  begin(facts: Facts): StopRecord {
    const { server, services, store } = this.#parts;
    // one that is replaced has been left by its clients already
    const lameDuck = facts.requested && facts.drainMs === undefined && serving.includes(store().snapshot.phase);
    const requestedAt = server.clock.now();
    return this.request.begin({
      ...facts,
      requestedAt,
      requestedWall: server.clock.wall(),
      busy: services().busy,
      ...(lameDuck ? { lameDuckFrom: requestedAt } : {}),
    });
  }

  /** A signal, or what stands for one: the first, or one more. */
  signalled(kind: "Terminate" | "FastShutdown", cause: string): void {
    const { server, inbox } = this.#parts;
    const before = this.record;
    const again = before?.signalled === true;
    this.begin({ cause, requested: true, signalled: true });
    if (before?.drainMs !== undefined && !again) this.#limit(cause);
    if (kind === "FastShutdown" || (again && !server.inPod)) this.request.hastens();
    else if (again) server.log.info(`${cause} again: the shutdown plan stands`, { cause });
    inbox.post(kind, cause);
  }

  /** The hook: begins the stop, and waits for the end of the lame duck. */
  async prestop(signal: AbortSignal): Promise<void> {
    const { server, store, inbox } = this.#parts;
    const { phase } = store().snapshot;
    if (next(phase, "Terminate") === ignored && phase !== "GracefulTerminate") return;
    const over = this.#lameDuck.over(signal);
    const record = this.begin({ cause: "preStop", requested: true, signalled: false });
    inbox.post("Terminate", "preStop");
    if (stopPlan(server.plan, record).lameDuckUntil > server.clock.now()) await over;
  }

  /** This service has come to its deadline. A wave's deadlines come together: one message names them all. */
  willKill(service: string): void {
    const { server, store } = this.#parts;
    if (this.record === undefined) return;
    this.#killing.add(service);
    if (this.#killing.size > 1) return;
    void server.clock.until(server.clock.now() + 10).then(() => {
      const { snapshot } = store();
      const killed = [...new Set([...this.#killed, ...this.#killing])];
      this.#killing.clear();
      if (snapshot.exitCode !== undefined || snapshot.shutdown === undefined) return;
      server.lastWords({ ...snapshot, exitCode: exitCodes.forced.code, shutdown: { ...snapshot.shutdown, killed } });
    });
  }

  wasKilled(service: string): void {
    if (this.record !== undefined) this.#killed.push(service);
  }

  readonly tasks = {
    GracefulTerminate: (scope) => {
      const { clock, log } = this.#parts.server;
      const { plan } = this;
      const ms = plan.lameDuckUntil - clock.now();
      if (ms > 0) log.info(`lame duck: serving on for ${(ms / 1000).toFixed(1)} s`);
      scope.defer(() => this.#lameDuck.release());
      return this.#lameDuck.wait(plan, this.request, clock, scope);
    },
    ShutdownStarted: () => {
      const { server, services } = this.#parts;
      services().freeze();
      this.#lameDuck.release();
      if (this.record?.drainMs === undefined) this.begin({ cause: "stop", requested: true, signalled: true });
      const { plan, record } = this;
      server.log.info(planText(plan, server.clock.now()), { cause: record?.cause });
      if (plan.shrunk || (plan.excessMs > 0 && record?.lameDuckFrom !== undefined))
        server.log.warn(
          `the grace period is ${plan.excessMs / 1000} s too short for what is configured; ${plan.shrunk ? "every wave got less" : "the lame duck got less"}`,
        );
      return Promise.resolve({ event: "ShutdownPlanned", cause: "plan is fixed" });
    },
    ShutdownGracePeriod: async () => {
      const { services, changed } = this.#parts;
      const { plan, record } = this;
      this.#backstop();
      for (const [i, wave] of plan.waves.entries()) {
        // a signal that comes meanwhile may have made it sooner
        const deadline = this.plan.waves[i]?.deadline ?? plan.deadline;
        this.#parts.stopping(wave.services);
        await services().stopWave(wave.services, deadline, record?.cause ?? "stop", this.request.hurry);
        this.#doneWaves += 1;
        changed();
      }
      return { event: "WavesStopped", cause: "every service has ended" };
    },
  } satisfies Partial<Record<Phase, Task>>;

  /** A replaced generation that ends its services in its own time gets the pod's, from the signal on. */
  #limit(cause: string): void {
    const { server, services } = this.#parts;
    const latest = server.clock.now() + server.plan.shutdown.gracePeriodMs - server.plan.shutdown.reserveMs;
    this.request.limit(latest);
    services().limit(latest, cause);
    this.#backstop();
  }

  /** What the init does should all this not be over in time. */
  #backstop(): void {
    const { plan, init, clock } = this.#parts.server;
    if (this.record === undefined) return;
    init.backstop(Math.max(backstopOf(plan, this.record), clock.now() + 1_000), exitCodes.forced.code);
  }
}
