import { EntryError, exitCodes } from "../core/entry-error.js";
import type { ShutdownPlan } from "../core/grace-budget.js";
import { ignored, next, type Phase, type PhaseEvent } from "../core/phase.js";
import type { ListenerSpec, Plan, ServiceSpec } from "../core/plan.js";
import type { Snapshot } from "../core/snapshot.js";
import type { Body } from "./body.js";
import { drive, type Task } from "./driver.js";
import { endingCode } from "./ending.js";
import { Endpoints } from "./endpoints.js";
import type { ExitRouter } from "./exit-router.js";
import { Inbox, type Posted } from "./inbox.js";
import { LameDuck } from "./lame-duck.js";
import { listenerViews, openListeners } from "./listener-set.js";
import type { BoundListener, Clock, Control, Init, InitEvent, Log, Prober, Sink, Sockets } from "./ports.js";
import { readState, type SavedState, saveText, stateName } from "./saved-state.js";
import type { Scope } from "./scope.js";
import { serviceControl } from "./service-control.js";
import { ServiceSet, type StopFacts } from "./service-set.js";
import { StatusStore } from "./status-store.js";
import { planText, shutdownView, stopPlan } from "./stop-plan.js";
import { type StopRecord, StopRequest, stopEvent } from "./stop-request.js";

/** Everything a server needs of the world; the library puts it together. */
export interface ServerParts {
  readonly plan: Plan;
  readonly version: string;
  readonly release: string;
  readonly generation: number;
  /** a second SIGTERM is then a repetition by the kubelet, not an impatient person */
  readonly inPod: boolean;
  readonly init: Init;
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly random: () => number;
  readonly body: (service: ServiceSpec, listeners: ReadonlyMap<string, BoundListener>) => Body;
  /** shared with whoever else starts processes: probes */
  readonly exits: ExitRouter;
  /** sockets the admin endpoints are served on, bound with the others */
  readonly adminListeners: readonly ListenerSpec[];
  /** loads and opens the endpoints; called when the first services have been started */
  readonly openAdmin: (
    listeners: ReadonlyMap<string, BoundListener>,
    control: Control,
  ) => Promise<{ close(): Promise<void> }>;
  /** for what an earlier supervisor held and nobody wants any more */
  readonly closeFd: (fd: number) => void;
  /** told how each process ended */
  readonly stopped: (facts: StopFacts) => void;
  /** a first version of the last words, on record before time is over, should it become short */
  readonly lastWords: (snapshot: Snapshot) => void;
  /** the very last words, before the exit code is given to the init */
  readonly farewell: (snapshot: Snapshot, log: Log) => Promise<void>;
}

/** One life of a server: the phases, and what each of them does. */
export class ServerRun {
  readonly store: StatusStore;
  readonly #parts: ServerParts;
  readonly #inbox = new Inbox();
  readonly #listeners = new Map<string, BoundListener>();
  readonly #saved: SavedState | undefined;
  readonly #services: ServiceSet;
  readonly #stop: StopRequest;
  readonly #killed: string[];
  readonly #lameDuck = new LameDuck();
  readonly #endpoints: Endpoints;
  #signal: number;
  #saveQueued = false;
  #savedText = "";
  #doneWaves = 0;
  readonly #killing = new Set<string>();

  constructor(parts: ServerParts) {
    this.#parts = parts;
    const { plan, clock, init } = parts;
    this.#saved = readState(init.recovered.state.get(stateName));
    this.#killed = [...(this.#saved?.killed ?? [])];
    this.#signal = this.#saved?.signal ?? 0;
    this.#stop = new StopRequest(this.#saved?.stop, () => this.#changed());
    this.#services = new ServiceSet({
      plan,
      clock,
      prober: parts.prober,
      log: parts.log,
      random: parts.random,
      body: (service) => parts.body(service, this.#listeners),
      changed: () => this.#changed(),
      save: () => this.#save(),
      fatal: ({ service, exit, reason }) => {
        this.#begin({ cause: `service ${service} failed: ${reason}`, requested: false, signalled: false, fatal: exit });
        this.#inbox.post("ServiceFatal", `service ${service} failed: ${reason}`);
      },
      over: (reason) => {
        this.#begin({ cause: reason, requested: false, signalled: false });
        this.#inbox.post("ServicesEnded", reason);
      },
      killing: (service) => this.#willKill(service),
      stopped: (facts) => {
        if (facts.killed && this.#stop.record !== undefined) this.#killed.push(facts.service);
        parts.stopped(facts);
      },
    });
    this.#endpoints = new Endpoints(
      () => parts.openAdmin(this.#listeners, this.control),
      (error) => {
        const { event, cause } = this.#failed(this.store.snapshot.phase, error);
        this.#inbox.post(event, cause);
      },
    );
    this.store = new StatusStore({
      revision: 0,
      phase: this.#saved?.phase ?? "Setup",
      phaseSince: this.#saved?.phaseSince ?? clock.wall(),
      startedAt: this.#saved?.startedAt ?? clock.wall(),
      generation: parts.generation,
      release: parts.release,
      version: parts.version,
      pid: process.pid,
      services: this.#services.views,
      listeners: [],
      orphansReaped: 0,
      supervisorRestarts: init.recovered.restarts,
      readyDuringDrain: plan.readiness.duringDrain === "pass",
    });
  }

  /** What HTTP and CLI may ask. */
  get control(): Control {
    return {
      snapshot: () => this.store.snapshot,
      subscribe: (sink) => this.store.subscribe(sink),
      prestop: (signal) => this.#prestop(signal),
      ...serviceControl(this.#services, () => this.#stop.record !== undefined, this.#stop.hurry),
    };
  }

  /** Runs to the end and returns the exit code. Never rejects for what a service, a user or the system does. */
  async run(): Promise<number> {
    const { init, log, plan } = this.#parts;
    init.grace(plan.shutdown.gracePeriodMs - plan.shutdown.reserveMs);
    const unsubscribe = this.store.subscribe({ transition: () => this.#save() } satisfies Sink);
    if (this.#saved === undefined) this.#inbox.post("Begin", "start");
    else await this.#resume(this.#saved);
    init.listen((event) => this.#receive(event));
    await drive(this.store.snapshot.phase, {
      inbox: this.#inbox,
      store: this.store,
      clock: this.#parts.clock,
      log,
      tasks: this.#tasks,
      failed: (phase, error) => this.#failed(phase, error),
    });
    unsubscribe();
    const code = endingCode(plan, this.#services, this.#stop.record, this.#killed);
    this.store.set({ exitCode: code });
    await this.#parts.farewell(this.store.snapshot, log);
    return code;
  }

  /** Stops the server as a signal from outside would; what library users and custom shutdown signals call. */
  request(kind: "Terminate" | "FastShutdown", cause: string): void {
    const again = this.#stop.record?.signalled === true;
    this.#begin({ cause, requested: true, signalled: true });
    if (kind === "FastShutdown" || (again && !this.#parts.inPod)) this.#stop.hastens();
    else if (again) this.#parts.log.info(`${cause} again: the shutdown plan stands`, { cause });
    this.#inbox.post(kind, cause);
    // on record before the signal is acknowledged: a supervisor that dies now has not swallowed it
    this.#save();
  }

  readonly #tasks: Readonly<Partial<Record<Phase, Task>>> = {
    Bootstrap: async (scope) => {
      await this.#openListeners(scope);
      return { event: "BootstrapDone", cause: "sockets are open" };
    },
    BootstrapComplete: async (scope) => {
      this.#services.start();
      this.#endpoints.open();
      await this.#services.allReady(scope.signal);
      return { event: "ServicesReady", cause: "every required service is ready" };
    },
    GracefulTerminate: (scope) => {
      const { clock, log } = this.#parts;
      const plan = this.#plan();
      const ms = plan.lameDuckUntil - clock.now();
      if (ms > 0) log.info(`lame duck: serving on for ${(ms / 1000).toFixed(1)} s`);
      scope.defer(() => this.#lameDuck.release());
      return this.#lameDuck.wait(plan, this.#stop, clock, scope);
    },
    ShutdownStarted: () => {
      this.#services.freeze();
      this.#lameDuck.release();
      this.#begin({ cause: "stop", requested: true, signalled: true });
      const plan = this.#plan();
      this.#parts.log.info(planText(plan, this.#parts.clock.now()), { cause: this.#stop.record?.cause });
      if (plan.shrunk || (plan.excessMs > 0 && this.#stop.record?.lameDuckFrom !== undefined))
        this.#parts.log.warn(
          `the grace period is ${plan.excessMs / 1000} s too short for what is configured; ${plan.shrunk ? "every wave got less" : "the lame duck got less"}`,
        );
      return Promise.resolve({ event: "ShutdownPlanned", cause: "plan is fixed" });
    },
    ShutdownGracePeriod: async () => {
      const plan = this.#plan();
      const { record } = this.#stop;
      const backstop =
        plan.requestedAt + this.#parts.plan.shutdown.gracePeriodMs - this.#parts.plan.shutdown.reserveMs / 2;
      this.#parts.init.backstop(Math.max(backstop, this.#parts.clock.now() + 1_000), exitCodes.forced.code);
      for (const wave of plan.waves) {
        await this.#services.stopWave(wave.services, wave.deadline, record?.cause ?? "stop", this.#stop.hurry);
        this.#doneWaves += 1;
        this.#changed();
      }
      return { event: "WavesStopped", cause: "every service has ended" };
    },
    ShutdownRuntimes: async () => {
      await this.#endpoints.close();
      for (const listener of this.#listeners.values()) this.#parts.sockets.remove(listener);
      return { event: "RuntimesStopped", cause: "endpoints are closed" };
    },
  };

  async #openListeners(scope: Pick<Scope, "signal">): Promise<void> {
    const specs = [...this.#parts.plan.listeners, ...this.#parts.adminListeners];
    const bound = await openListeners(specs, this.#parts, scope.signal);
    for (const [name, listener] of bound) this.#listeners.set(name, listener);
    this.store.set({ listeners: listenerViews(this.#parts.plan, this.#listeners) });
  }

  async #prestop(signal: AbortSignal): Promise<void> {
    const { phase } = this.store.snapshot;
    if (next(phase, "Terminate") === ignored && phase !== "GracefulTerminate") return;
    const over = this.#lameDuck.over(signal);
    const record = this.#begin({ cause: "preStop", requested: true, signalled: false });
    this.#inbox.post("Terminate", "preStop");
    if (stopPlan(this.#parts.plan, record).lameDuckUntil > this.#parts.clock.now()) await over;
  }

  #receive(event: InitEvent): void {
    const { init, log, plan } = this.#parts;
    switch (event.kind) {
      case "exited":
        // a probe's process, or one of a supervisor before us: nobody asks for it any more
        if (!this.#parts.exits.deliver(event)) init.forget(event.id);
        return;
      case "reaped":
        this.store.set({ orphansReaped: event.total });
        return;
      case "closed":
        // what follows our own EXIT is no loss
        if (this.store.snapshot.phase === "Terminated") return;
        log.error("the init is gone");
        this.#begin({ cause: "the init is gone", requested: false, signalled: true, own: exitCodes.software.code });
        this.#stop.hastens();
        this.#inbox.post("FastShutdown", "the init is gone");
        return;
      case "signal":
        // its acknowledgement died with the supervisor that wrote it down
        if (event.sequence <= this.#signal) return;
        this.#signal = event.sequence;
        if (event.signal === "SIGTERM" || event.signal === "SIGQUIT") this.request("Terminate", event.signal);
        else if (event.signal === "SIGINT") this.request("FastShutdown", event.signal);
        else if (plan.main !== undefined) void this.control.signalService(plan.main, event.signal, "child");
        else log.debug(`${event.signal} ignored: there is no main service to pass it to`);
        return;
    }
  }

  async #resume(saved: SavedState): Promise<void> {
    const { init, log } = this.#parts;
    log.warn(`took over from a supervisor that died in ${saved.phase}`, { restarts: init.recovered.restarts });
    const phase = saved.phase;
    // before all else: the supervisor that wrote it down may not have come to act on it
    if (saved.stop !== undefined) this.#inbox.post(stopEvent(phase, saved.stop), saved.stop.cause);
    if (phase === "Setup") this.#inbox.post("Begin", "start");
    if (phase === "Setup" || phase === "Bootstrap") return;
    await this.#openListeners({ signal: new AbortController().signal }).catch((error: unknown) => {
      const posted = this.#failed(phase, error);
      this.#inbox.post(posted.event, posted.cause);
    });
    const { strays, resumed } = this.#services.resume(saved.instances, saved.held, init.recovered.children);
    for (const { id, exit } of strays) {
      // a probe's process, a stop command's, or one whose exit is on record already
      if (exit === undefined) void init.signal(id, "SIGKILL", "tree");
      init.forget(id);
    }
    for (const [name, fd] of init.recovered.held) {
      // a pipe or socket of a life that is over
      const [kind, id = ""] = name.split(":");
      if (kind !== "wire" || resumed.has(id)) continue;
      init.release(name);
      this.#parts.closeFd(fd);
    }
    this.#changed();
    const { record } = this.#stop;
    const serving = phase === "Running" || phase === "GracefulTerminate";
    if (serving && (record === undefined || record.lameDuckFrom !== undefined)) this.#services.start();
    if (phase !== "ShutdownRuntimes" && phase !== "Terminated") this.#endpoints.open();
  }

  /** A wave's deadlines come together: one message names them all. */
  #willKill(service: string): void {
    const { clock, lastWords } = this.#parts;
    if (this.#stop.record === undefined) return;
    this.#killing.add(service);
    if (this.#killing.size > 1) return;
    void clock.until(clock.now() + 10).then(() => {
      const { snapshot } = this.store;
      const killed = [...new Set([...this.#killed, ...this.#killing])];
      this.#killing.clear();
      if (snapshot.exitCode !== undefined || snapshot.shutdown === undefined) return;
      lastWords({ ...snapshot, exitCode: exitCodes.forced.code, shutdown: { ...snapshot.shutdown, killed } });
    });
  }

  /** An expected refusal ends the server with its code; anything else is a bug, and the server still stops its services. */
  #failed(phase: Phase, error: unknown): Posted {
    const { log } = this.#parts;
    const expected = error instanceof EntryError;
    const [first] = expected ? error.problems : [];
    const cause = expected ? [error.message, first?.message].filter(Boolean).join(": ") : `a bug in ${phase}`;
    if (expected) log.error(error.message, { problems: error.problems });
    else log.error(cause, { err: error });
    this.#begin({
      cause,
      requested: false,
      signalled: false,
      own: expected ? error.exitCode : exitCodes.software.code,
    });
    const event: Readonly<Partial<Record<Phase, PhaseEvent>>> = {
      Setup: "FastShutdown",
      Bootstrap: "BootstrapFailed",
      ShutdownStarted: "ShutdownPlanned",
      ShutdownGracePeriod: "WavesStopped",
      ShutdownRuntimes: "RuntimesStopped",
    };
    return { event: event[phase] ?? "ServiceFatal", cause };
  }

  #begin(facts: Omit<StopRecord, "requestedAt" | "requestedWall" | "hurried" | "lameDuckFrom" | "busy">): StopRecord {
    const { clock } = this.#parts;
    const lameDuck = facts.requested && this.store.snapshot.phase === "Running";
    const requestedAt = clock.now();
    return this.#stop.begin({
      ...facts,
      requestedAt,
      requestedWall: clock.wall(),
      busy: this.#services.busy,
      ...(lameDuck ? { lameDuckFrom: requestedAt } : {}),
    });
  }

  #plan(): ShutdownPlan {
    return stopPlan(
      this.#parts.plan,
      this.#stop.record ?? { requestedAt: this.#parts.clock.now(), busy: this.#services.busy },
    );
  }

  /** Views and record follow every change, once per turn of the event loop. */
  #changed(): void {
    if (this.#saveQueued) return;
    this.#saveQueued = true;
    queueMicrotask(() => {
      this.#saveQueued = false;
      const { record } = this.#stop;
      const progress = { doneWaves: this.#doneWaves, killed: this.#killed };
      const shutdown =
        record === undefined ? undefined : shutdownView(this.#parts.plan, this.#plan(), record, progress);
      this.store.set({ services: this.#services.views, shutdown });
      this.#save();
    });
  }

  #save(): void {
    const { snapshot } = this.store;
    const state: SavedState = {
      version: 1,
      phase: snapshot.phase,
      phaseSince: snapshot.phaseSince,
      startedAt: snapshot.startedAt,
      signal: this.#signal,
      killed: this.#killed,
      held: this.#services.held,
      instances: this.#services.records,
      ...(this.#stop.record === undefined ? {} : { stop: this.#stop.record }),
    };
    const text = saveText(state);
    // much of what changes for the views is no news for the record
    if (text === this.#savedText) return;
    this.#savedText = text;
    this.#parts.init.save(stateName, text);
  }
}
