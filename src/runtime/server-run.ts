import { exitCodes } from "../core/entry-error.js";
import type { ShutdownPlan } from "../core/grace-budget.js";
import type { DrainReport } from "../core/handover-frame.js";
import { ignored, next, type Phase } from "../core/phase.js";
import { drainTotals } from "../core/views.js";
import { ownerOfWire } from "../core/wire-name.js";
import { DrainWatch } from "./drain-watch.js";
import { drive, type Task } from "./driver.js";
import { endingCode } from "./ending.js";
import { Endpoints } from "./endpoints.js";
import { failureOf } from "./failure.js";
import { Inbox, type Posted } from "./inbox.js";
import { LameDuck } from "./lame-duck.js";
import { heldName, listenerViews, openListeners } from "./listener-set.js";
import type { OldGeneration } from "./old-generation.js";
import { PingoraWay } from "./pingora-way.js";
import type { BoundListener, Control, InitEvent, Sink } from "./ports.js";
import { readState, type SavedState, saveText, stateName } from "./saved-state.js";
import type { Scope } from "./scope.js";
import type { ServerParts } from "./server-parts.js";
import { serviceControl } from "./service-control.js";
import { ServiceSet } from "./service-set.js";
import { StatusStore } from "./status-store.js";
import { planText, shutdownView, stopPlan } from "./stop-plan.js";
import { type StopRecord, StopRequest, stopEvent } from "./stop-request.js";
import { noUpgrades } from "./upgrade-orders.js";
import { Upgrades } from "./upgrades.js";

const upgrading: readonly Phase[] = ["GracefulUpgradeTransferringFds", "GracefulUpgradeCloseTimeout"];
const noSockets: ReadonlyMap<string, number> = new Map();

/** One life of a server: the phases, and what each of them does. */
export class ServerRun {
  readonly store: StatusStore;
  /** what becomes of the connections of processes that stop */
  readonly drains: DrainWatch;
  readonly #parts: ServerParts;
  readonly #inbox = new Inbox();
  readonly #listeners = new Map<string, BoundListener>();
  readonly #saved: SavedState | undefined;
  readonly #services: ServiceSet;
  readonly #stop: StopRequest;
  readonly #killed: string[];
  readonly #lameDuck = new LameDuck();
  readonly #endpoints: Endpoints;
  readonly #upgrades: Upgrades | undefined;
  readonly #pingora: PingoraWay | undefined;
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
    this.drains = new DrainWatch({
      connections: parts.connections,
      clock,
      log: parts.log,
      listeners: () => this.#listeners,
      changed: () => {
        this.store.set({ drains: this.drains.views });
        if (this.replaced) this.#upgrades?.report(this.#drainReport(), false);
      },
      stopSince: () => this.#stop.record?.requestedAt,
    });
    this.#services = new ServiceSet({
      plan,
      drains: this.drains,
      clock,
      prober: parts.prober,
      log: parts.log,
      random: parts.random,
      idPrefix: init.line === 1 ? "" : `${init.line}:`,
      shared: () => (this.#upgrades?.shared ?? false) || (this.#pingora?.shared ?? false),
      replaced: () => this.replaced,
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
      ...(this.#saved?.upgrade?.lastUpgrade === undefined ? {} : { lastUpgrade: this.#saved.upgrade.lastUpgrade }),
    });
    this.#upgrades =
      parts.upgrade &&
      new Upgrades({
        server: parts,
        upgrade: parts.upgrade,
        saved: this.#saved?.upgrade,
        services: this.#services,
        listeners: this.#listeners,
        store: this.store,
        inbox: this.#inbox,
        endpoints: this.#endpoints,
        save: () => this.#save(),
        pingora: () => this.#pingora,
        stopCause: () => this.#stop.record?.cause ?? "the new generation is stopping",
        failed: (posted) => this.#inbox.post(this.#succeeded(posted).event, posted.cause),
      });
    this.#pingora =
      parts.pingora &&
      new PingoraWay({
        pingora: parts.pingora,
        plan,
        clock,
        log: parts.log,
        generation: parts.generation,
        listeners: this.#listeners,
        addressesOf: parts.addressesOf,
        closeFd: parts.closeFd,
        post: (cause) => this.#inbox.post("GracefulUpgrade", cause),
        acceptOver: (connection) => this.#upgrades?.acceptOver(connection) ?? false,
        view: (view) => this.store.set({ upgrade: view }),
        outcome: (outcome) => this.store.set({ lastUpgrade: outcome }),
      });
  }

  /** What HTTP and CLI may ask. */
  get control(): Control {
    return {
      snapshot: () => this.store.snapshot,
      subscribe: (sink) => this.store.subscribe(sink),
      prestop: (signal) => this.#prestop(signal),
      ...serviceControl(this.#services, () => this.#stop.record !== undefined, this.#stop.hurry),
      upgrade: (order, report, signal) =>
        this.#upgrades?.orders.run(order, report, signal) ?? noUpgrades(this.#parts.noUpgrades),
    };
  }

  /** Another generation owns what this one had. */
  get replaced(): boolean {
    return this.#upgrades?.replacedBy !== undefined;
  }

  /** what SIGQUIT is for */
  get handsOverToPingora(): boolean {
    return this.#pingora !== undefined;
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
  request(kind: "GracefulUpgrade" | "Terminate" | "FastShutdown", cause: string): void {
    if (kind === "GracefulUpgrade" && this.#pingora !== undefined) {
      if (this.store.snapshot.phase === "Running" || this.#pingora.asked) this.#pingora.ask(cause);
      else
        this.#parts.log.warn(`${cause} ignored in ${this.store.snapshot.phase}: only a server in Running hands over`);
      this.#save();
      return;
    }
    const before = this.#stop.record;
    const again = before?.signalled === true;
    this.#begin({ cause, requested: true, signalled: true });
    if (kind === "FastShutdown" || (again && !this.#parts.inPod)) this.#stop.hastens();
    else if (before?.drainMs !== undefined && !again) this.#limit(cause);
    else if (again) this.#parts.log.info(`${cause} again: the shutdown plan stands`, { cause });
    this.#inbox.post(kind === "FastShutdown" ? kind : "Terminate", cause);
    // on record before the signal is acknowledged: a supervisor that dies now has not swallowed it
    this.#save();
  }

  readonly #tasks: Readonly<Partial<Record<Phase, Task>>> = {
    Bootstrap: async (scope) => {
      const specs = [...this.#parts.plan.listeners, ...this.#parts.adminListeners];
      const inherited = this.#pingora?.claim(specs) ?? (await (this.#upgrades?.claim(specs) ?? noSockets));
      if ("event" in inherited) return this.#succeeded(inherited);
      await this.#openListeners(scope, inherited);
      return { event: "BootstrapDone", cause: "sockets are open" };
    },
    BootstrapComplete: async (scope) => {
      this.#services.start();
      const takenOver = this.#upgrades?.takeOver(scope.signal);
      if (takenOver !== undefined) {
        // the endpoints are the old generation's until then
        void this.#parts.prepareAdmin().catch(() => {});
        return this.#succeeded(await takenOver);
      }
      this.#endpoints.open();
      await this.#services.allReady(scope.signal);
      return { event: "ServicesReady", cause: "every required service is ready" };
    },
    GracefulUpgradeTransferringFds: (scope) => {
      const ours: Task = (each) => this.#handedOver((old) => old.transfer(each));
      return this.#pingora?.asked || this.#upgrades === undefined
        ? this.#byPingora((way) => way.transfer(scope, ours))
        : ours(scope);
    },
    GracefulUpgradeCloseTimeout: (scope) =>
      this.#pingora?.asked || this.#upgrades === undefined
        ? this.#byPingora((way) => way.probation(scope))
        : this.#handedOver((old) => old.probation(scope)),
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
      if (this.#stop.record?.drainMs === undefined) this.#begin({ cause: "stop", requested: true, signalled: true });
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
      for (const [i, { services }] of plan.waves.entries()) {
        // a signal that comes meanwhile may have made it sooner
        const deadline = this.#plan().waves[i]?.deadline ?? plan.deadline;
        await this.#services.stopWave(services, deadline, record?.cause ?? "stop", this.#stop.hurry);
        this.#doneWaves += 1;
        this.#changed();
      }
      return { event: "WavesStopped", cause: "every service has ended" };
    },
    ShutdownRuntimes: async () => {
      await this.#upgrades?.old.retired;
      this.#upgrades?.report(this.#drainReport(), true);
      await this.#endpoints.close();
      for (const [name, listener] of this.#listeners)
        if (this.#upgrades?.mayRemove(name) ?? true) this.#parts.sockets.remove(listener);
      return { event: "RuntimesStopped", cause: "endpoints are closed" };
    },
  };

  /** A successor that failed ends with its own exit code, whatever its services do. */
  #succeeded(posted: Posted): Posted {
    if (posted.event !== "SuccessionFailed") return posted;
    this.#upgrades?.disown();
    this.#begin({ cause: posted.cause, requested: false, signalled: false, own: exitCodes.failed.code });
    return posted;
  }

  /** One of the old generation's tasks; when the successor owns after it, this generation ends, in its own time. */
  async #handedOver(task: (old: OldGeneration) => Promise<Posted>): Promise<Posted> {
    const upgrades = this.#upgrades;
    if (upgrades === undefined) throw new TypeError("a server without upgrades hands nothing over");
    const posted = await task(upgrades.old);
    if (posted.event === "ProbationPassed") {
      const { drainMs } = this.#parts.plan.upgrade;
      upgrades.letGo();
      void upgrades.old.retire(() => this.#services.accepting);
      this.#begin({ cause: posted.cause, requested: true, signalled: false, drainMs });
    }
    return posted;
  }

  /** The same for a pingora, which takes the listeners and nothing else: the endpoints are served to the end. */
  async #byPingora(task: (way: PingoraWay) => Promise<Posted>): Promise<Posted> {
    if (this.#pingora === undefined) throw new TypeError("a server without upgrades hands nothing over");
    const posted = await task(this.#pingora);
    if (posted.event === "ProbationPassed") {
      const { plan, init, sockets } = this.#parts;
      this.#upgrades?.leavePlace();
      for (const { name } of plan.listeners) {
        const bound = this.#listeners.get(name);
        init.release(heldName(name));
        if (bound !== undefined) sockets.close(bound);
      }
      this.#begin({ cause: posted.cause, requested: true, signalled: false, drainMs: plan.upgrade.drainMs });
    }
    return posted;
  }

  async #openListeners(scope: Pick<Scope, "signal">, inherited?: ReadonlyMap<string, number>): Promise<void> {
    const specs = [...this.#parts.plan.listeners, ...this.#parts.adminListeners];
    const bound = await openListeners(specs, this.#parts, scope.signal, inherited);
    for (const [name, listener] of bound) this.#listeners.set(name, listener);
    this.store.set({ listeners: listenerViews(this.#parts.plan, this.#listeners) });
  }

  #drainReport(): DrainReport {
    const { clock } = this.#parts;
    const { requestedAt = clock.now(), requestedWall = clock.wall() } = this.#stop.record ?? {};
    const { views } = this.drains;
    return {
      ...drainTotals(views, requestedWall),
      killed: new Set(this.#killed).size,
      open: views.reduce((sum, { connections }) => sum + connections, 0),
      seconds: (clock.now() - requestedAt) / 1000,
    };
  }

  /** A replaced generation that ends its services in its own time gets the pod's, from the signal on. */
  #limit(cause: string): void {
    const { clock, plan } = this.#parts;
    const latest = clock.now() + plan.shutdown.gracePeriodMs - plan.shutdown.reserveMs;
    this.#stop.limit(latest);
    this.#services.limit(latest, cause);
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
      case "ended":
        this.#upgrades?.orders.ended(event.line, event.status);
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
        if (event.signal === "SIGTERM") this.request("Terminate", event.signal);
        else if (event.signal === "SIGQUIT") this.request("GracefulUpgrade", event.signal);
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
    const stop = saved.stop && stopEvent(phase, saved.stop);
    if (stop !== undefined) this.#inbox.post(stop, saved.stop?.cause ?? "stop");
    if (phase === "Setup") this.#inbox.post("Begin", "start");
    this.#upgrades?.resume();
    const verdict = this.#upgrades?.verdict;
    if (verdict !== undefined) this.#inbox.post(this.#succeeded(verdict).event, verdict.cause);
    if (phase === "Setup" || phase === "Bootstrap") return;
    const replaced = saved.stop?.drainMs !== undefined || this.#upgrades?.replacedBy !== undefined;
    if (!replaced)
      await this.#openListeners({ signal: new AbortController().signal }).catch((error: unknown) => {
        const posted = this.#failed(phase, error);
        this.#inbox.post(posted.event, posted.cause);
      });
    const { strays, resumed } = this.#services.resume(saved, init.recovered.children);
    for (const { id, exit } of strays) {
      // a probe's process, a stop command's, or one whose exit is on record already
      if (exit === undefined) void init.signal(id, "SIGKILL", "tree");
      init.forget(id);
    }
    for (const [name, fd] of init.recovered.held) {
      // a pipe or socket of a life that is over
      const id = ownerOfWire(name);
      if (id === undefined || resumed.has(id)) continue;
      init.release(name);
      this.#parts.closeFd(fd);
    }
    this.#changed();
    const { record } = this.#stop;
    const serving = phase === "Running" || phase === "GracefulTerminate" || upgrading.includes(phase);
    if (serving && (record === undefined || record.lameDuckFrom !== undefined)) this.#services.start();
    if (phase !== "ShutdownRuntimes" && phase !== "Terminated" && !replaced) this.#endpoints.open();
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
    const { cause, own, event, log } = failureOf(phase, error);
    log(this.#parts.log);
    this.#begin({ cause, requested: false, signalled: false, own });
    return { event, cause };
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
      yielded: this.#services.yielded,
      instances: this.#services.records,
      ...(this.#upgrades === undefined ? {} : { upgrade: this.#upgrades.saved }),
      ...(this.#stop.record === undefined ? {} : { stop: this.#stop.record }),
    };
    const text = saveText(state);
    // much of what changes for the views is no news for the record
    if (text === this.#savedText) return;
    this.#savedText = text;
    this.#parts.init.save(stateName, text);
  }
}
