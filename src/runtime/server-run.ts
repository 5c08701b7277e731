import { exitCodes } from "../core/entry-error.js";
import type { DrainReport } from "../core/handover-frame.js";
import type { Phase } from "../core/phase.js";
import { drainTotals } from "../core/views.js";
import { ownerOfWire } from "../core/wire-name.js";
import { DrainWatch } from "./drain-watch.js";
import { drive, type Task } from "./driver.js";
import { endingCode } from "./ending.js";
import { Endpoints } from "./endpoints.js";
import { failureOf } from "./failure.js";
import { Inbox, type Posted } from "./inbox.js";
import { listenerViews, openListeners, waitsText } from "./listener-set.js";
import type { BoundListener, Control, InitEvent, Sink } from "./ports.js";
import { readState, restartsOf, type SavedState, saveText, stateName } from "./saved-state.js";
import type { Scope } from "./scope.js";
import type { ServerParts } from "./server-parts.js";
import { serviceControl } from "./service-control.js";
import { ServiceSet } from "./service-set.js";
import { Shutdown } from "./shutdown.js";
import { StatusStore } from "./status-store.js";
import { stopEvent } from "./stop-request.js";
import { Succession } from "./succession.js";

const upgrading: readonly Phase[] = ["GracefulUpgradeTransferringFds", "GracefulUpgradeCloseTimeout"];

/** What becomes of listeners within this is told at once: hundreds may wait, or be opened, at the same time. */
const tellMs = 100;

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
  readonly #shutdown: Shutdown;
  readonly #succession: Succession;
  readonly #endpoints: Endpoints;
  #signal: number;
  #saveQueued = false;
  #savedText = "";

  constructor(parts: ServerParts) {
    this.#parts = parts;
    const { plan, clock, init } = parts;
    this.#saved = readState(init.recovered.state.get(stateName));
    this.#signal = this.#saved?.signal ?? 0;
    this.#shutdown = new Shutdown({
      server: parts,
      saved: this.#saved,
      services: () => this.#services,
      store: () => this.store,
      inbox: this.#inbox,
      stopping: (services) => this.#succession.stopping(services),
      changed: () => this.#changed(),
    });
    this.drains = new DrainWatch({
      connections: parts.connections,
      clock,
      log: parts.log,
      listeners: () => this.#listeners,
      changed: () => {
        this.store.set({ drains: this.drains.views });
        if (this.replaced) this.#succession.report(false);
      },
      stopSince: () => this.#shutdown.record?.requestedAt,
    });
    this.#services = new ServiceSet({
      plan,
      drains: this.drains,
      clock,
      prober: parts.prober,
      log: parts.log,
      random: parts.random,
      idPrefix: init.line === 1 ? "" : `${init.line}:`,
      shared: () => this.#succession.shared,
      othersServe: () => this.#succession.othersServe,
      body: (service, handsOver) => parts.body(service, this.#listeners, handsOver),
      trials: { listeners: this.#listeners, sockets: parts.sockets, body: parts.body },
      changed: () => this.#changed(),
      save: () => this.#save(),
      fatal: ({ service, exit, reason }) => {
        this.#shutdown.begin({
          cause: `service ${service} failed: ${reason}`,
          requested: false,
          signalled: false,
          fatal: exit,
        });
        this.#inbox.post("ServiceFatal", `service ${service} failed: ${reason}`);
      },
      over: (reason) => {
        this.#shutdown.begin({ cause: reason, requested: false, signalled: false });
        this.#inbox.post("ServicesEnded", reason);
      },
      killing: (service) => this.#shutdown.willKill(service),
      stopped: (facts) => {
        if (facts.killed) this.#shutdown.wasKilled(facts.service);
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
      supervisorRestarts: restartsOf(init.recovered),
      readyDuringDrain: plan.readiness.duringDrain === "pass",
      ...(this.#saved?.upgrade?.lastUpgrade === undefined ? {} : { lastUpgrade: this.#saved.upgrade.lastUpgrade }),
    });
    this.#succession = new Succession({
      server: parts,
      saved: this.#saved?.upgrade,
      lent: this.#saved?.lent,
      services: this.#services,
      listeners: this.#listeners,
      store: this.store,
      inbox: this.#inbox,
      endpoints: this.#endpoints,
      shutdown: this.#shutdown,
      drainReport: () => this.#drainReport(),
      save: () => this.#save(),
    });
  }

  /** What HTTP and CLI may ask. */
  get control(): Control {
    return {
      snapshot: () => this.store.snapshot,
      subscribe: (sink) => this.store.subscribe(sink),
      prestop: (signal) => this.#shutdown.prestop(signal),
      ...serviceControl(this.#services, (name, action) => this.#refusal(name, action), this.#shutdown.request.hurry),
      upgrade: (order, report, signal) => this.#succession.order(order, report, signal),
    };
  }

  /** Why this service may not be started or stopped by itself now. */
  #refusal(name: string, action: "start" | "stop" | "restart"): string | undefined {
    const { phase } = this.store.snapshot;
    if (this.#shutdown.record !== undefined) return "the server is stopping";
    if (phase === "Setup" || phase === "Bootstrap") return "the listeners are not open yet";
    // what it asks for would count against the new generation
    if (!this.owns) return "this generation is on probation, try again afterwards";
    return this.#services.yielding.refusal(name, action);
  }

  /** Another generation owns what this one had. */
  get replaced(): boolean {
    return this.#succession.replaced;
  }

  /** False for a generation that has yet to take over for good, and for one that had to give back. */
  get owns(): boolean {
    return this.#succession.owns;
  }

  /** After the end: the owner's place is free for whoever comes. */
  leavePlace(): void {
    this.#succession.leavePlace();
  }

  /** Its successor is of another container. */
  get replacedElsewhere(): boolean {
    return this.#succession.replacedElsewhere;
  }

  /** The runtime wants the container to end. */
  get signalled(): boolean {
    return this.#shutdown.record?.signalled === true;
  }

  /** what SIGQUIT is for */
  get handsOverToPingora(): boolean {
    return this.#succession.handsOverToPingora;
  }

  /** Runs to the end and returns the exit code. Never rejects for what a service, a user or the system does. */
  async run(): Promise<number> {
    const { init, log, plan } = this.#parts;
    // its own last resort, in the middle of the reserve: who kills its services at the deadline has last words
    init.grace(plan.shutdown.gracePeriodMs - plan.shutdown.reserveMs / 2);
    const unsubscribe = this.store.subscribe({ transition: () => this.#save() } satisfies Sink);
    if (this.#saved === undefined) this.#inbox.post("Begin", "start");
    else await this.#resume(this.#saved);
    init.listen((event) => this.#receive(event));
    await drive(this.store.snapshot.phase, {
      inbox: this.#inbox,
      store: this.store,
      clock: this.#parts.clock,
      log,
      tasks: { ...this.#tasks, ...this.#shutdown.tasks, ...this.#succession.tasks },
      failed: (phase, error) => this.#failed(phase, error),
    });
    unsubscribe();
    const code = endingCode(plan, this.#services, this.#shutdown.record, this.#shutdown.killed);
    this.store.set({ exitCode: code });
    await this.#parts.farewell(this.store.snapshot, log);
    return code;
  }

  /** Stops the server as a signal from outside would; what library users and custom shutdown signals call. */
  request(kind: "GracefulUpgrade" | "Terminate" | "FastShutdown", cause: string): void {
    if (kind !== "GracefulUpgrade") this.#shutdown.signalled(kind, cause);
    else if (!this.#succession.ask(cause)) this.#shutdown.signalled("Terminate", cause);
    // on record before the signal is acknowledged: a supervisor that dies now has not swallowed it
    this.#save();
  }

  readonly #tasks: Readonly<Partial<Record<Phase, Task>>> = {
    Bootstrap: async (scope) => {
      const specs = [...this.#parts.plan.listeners, ...this.#parts.adminListeners];
      const inherited = await this.#succession.claim(specs);
      if ("event" in inherited) return inherited;
      await this.#succession.binding(scope.signal, (signal) => this.#openListeners({ signal }, inherited));
      return { event: "BootstrapDone", cause: "sockets are open" };
    },
    BootstrapComplete: async (scope) => {
      this.#services.start();
      const takenOver = this.#succession.takeOver(scope.signal);
      // the endpoints are the old generation's until then
      if (takenOver !== undefined) return await takenOver;
      this.#endpoints.open();
      await this.#services.allReady(scope.signal);
      return { event: "ServicesReady", cause: "every required service is ready" };
    },
    ShutdownRuntimes: async () => {
      await this.#succession.retired;
      this.#succession.report(true);
      await this.#endpoints.close();
      for (const [name, listener] of this.#listeners)
        if (this.#succession.mayRemove(name)) this.#parts.sockets.remove(listener);
      return { event: "RuntimesStopped", cause: "endpoints are closed" };
    },
  };

  async #openListeners(scope: Pick<Scope, "signal">, inherited?: ReadonlyMap<string, number>): Promise<void> {
    const specs = [...this.#parts.plan.listeners, ...this.#parts.adminListeners];
    const { clock, plan } = this.#parts;
    const waits = new Map<string, string>();
    const over = new AbortController();
    let queued = false;
    const changed = async (): Promise<void> => {
      if (queued) return;
      queued = true;
      await clock.until(clock.now() + tellMs, over.signal);
      queued = false;
      if (over.signal.aborted) return;
      this.store.set({ listeners: listenerViews(plan, this.#listeners, waits) });
      this.#succession.waits(waitsText(waits));
      if (waits.size > 0) this.#serveEarly();
    };
    const watch = {
      opened: (name: string, listener: BoundListener) => {
        this.#listeners.set(name, listener);
        if (waits.delete(name) || waits.size > 0) void changed();
      },
      waits: (name: string, problem: string) => {
        waits.set(name, problem);
        void changed();
      },
    };
    try {
      await openListeners(specs, this.#parts, scope.signal, inherited, watch);
    } catch (error) {
      // they have been closed again
      this.#listeners.clear();
      throw error;
    } finally {
      over.abort();
    }
    this.store.set({ listeners: listenerViews(plan, this.#listeners) });
    this.#succession.waits("");
  }

  /** Who has to wait for an address is asked why, unless the endpoints are another generation's. */
  #serveEarly(): void {
    const { adminListeners, upgrade } = this.#parts;
    if (upgrade?.session === undefined && adminListeners.every(({ name }) => this.#listeners.has(name)))
      this.#endpoints.open();
  }

  #drainReport(): DrainReport {
    const { clock } = this.#parts;
    const { requestedAt = clock.now(), requestedWall = clock.wall() } = this.#shutdown.record ?? {};
    const { views } = this.drains;
    const { deadlineAt } = this.store.snapshot.shutdown ?? {};
    return {
      ...drainTotals(views, requestedWall),
      killed: new Set(this.#shutdown.killed).size,
      open: views.reduce((sum, { connections }) => sum + connections, 0),
      seconds: (clock.now() - requestedAt) / 1000,
      ...(deadlineAt === undefined ? {} : { deadlineAt: Math.round(deadlineAt) }),
    };
  }

  #receive(event: InitEvent): void {
    const { init, log, plan } = this.#parts;
    switch (event.kind) {
      case "exited":
        // a probe's process, or one of a supervisor before us: nobody asks for it any more
        if (!this.#parts.exits.deliver(event)) init.forget(event.id);
        return;
      case "ended":
        this.#succession.lineEnded(event.line, event.status);
        return;
      case "reaped":
        this.store.set({ orphansReaped: event.total });
        return;
      case "refused":
        log.error(`the init has refused ${event.verb === "?" ? "a message" : event.verb}: ${event.reason}`);
        return;
      case "closed":
        // what follows our own EXIT is no loss
        if (this.store.snapshot.phase === "Terminated") return;
        log.error("the init is gone");
        this.#succession.vanish("the init is gone");
        this.#shutdown.begin({
          cause: "the init is gone",
          requested: false,
          signalled: true,
          own: exitCodes.software.code,
        });
        this.#shutdown.request.hastens();
        this.#inbox.post("FastShutdown", "the init is gone");
        return;
      case "signal":
        // its acknowledgement died with the supervisor that wrote it down
        if (event.sequence <= this.#signal) return;
        this.#signal = event.sequence;
        // It asks the other lines to end when that of the owner has. That is no second signal; and who was not replaced owns, or finds that
        // it does: a successor that has failed is no reason to end
        if (event.senderPid === init.pid && (this.#shutdown.record?.signalled || !this.replaced)) return;
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
    log.warn(`took over from a supervisor that died in ${saved.phase}`, { restarts: restartsOf(init.recovered) });
    const phase = saved.phase;
    // before all else: the supervisor that wrote it down may not have come to act on it
    const stop = saved.stop && stopEvent(phase, saved.stop);
    if (stop !== undefined) this.#inbox.post(stop, saved.stop?.cause ?? "stop");
    if (phase === "Setup") this.#inbox.post("Begin", "start");
    const verdict = this.#succession.resume();
    if (verdict !== undefined) this.#inbox.post(verdict.event, verdict.cause);
    if (phase === "Setup" || phase === "Bootstrap") return;
    const replaced = saved.stop?.drainMs !== undefined || this.replaced;
    if (replaced) this.#succession.seeListeners();
    else
      await this.#openListeners({ signal: new AbortController().signal }).catch((error: unknown) => {
        const posted = this.#failed(phase, error);
        this.#inbox.post(posted.event, posted.cause);
      });
    if (!replaced) this.#succession.takeBackLent();
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
    const { record } = this.#shutdown;
    const serving = phase === "Running" || phase === "GracefulTerminate" || upgrading.includes(phase);
    if (serving && (record === undefined || record.lameDuckFrom !== undefined)) this.#services.start();
    if (phase !== "ShutdownRuntimes" && phase !== "Terminated" && !replaced) this.#endpoints.open();
  }

  /** An expected refusal ends the server with its code; anything else is a bug, and the server still stops its services. */
  #failed(phase: Phase, error: unknown): Posted {
    const { cause, own, event, log } = failureOf(phase, error);
    log(this.#parts.log);
    this.#shutdown.begin({ cause, requested: false, signalled: false, own });
    return { event, cause };
  }

  /** Views and record follow every change, once per turn of the event loop. */
  #changed(): void {
    if (this.#saveQueued) return;
    this.#saveQueued = true;
    queueMicrotask(() => {
      this.#saveQueued = false;
      this.store.set({ services: this.#services.views, shutdown: this.#shutdown.view });
      this.#save();
    });
  }

  #save(): void {
    const { snapshot } = this.store;
    const { saved: upgrade, lent } = this.#succession;
    const { record: stop } = this.#shutdown;
    const state: SavedState = {
      version: 1,
      phase: snapshot.phase,
      phaseSince: snapshot.phaseSince,
      startedAt: snapshot.startedAt,
      signal: this.#signal,
      killed: this.#shutdown.killed,
      held: this.#services.held,
      yielded: this.#services.yielding.saved,
      instances: this.#services.records,
      ...(upgrade === undefined ? {} : { upgrade }),
      ...(lent === undefined ? {} : { lent }),
      ...(stop === undefined ? {} : { stop }),
    };
    const text = saveText(state);
    // much of what changes for the views is no news for the record
    if (text === this.#savedText) return;
    this.#savedText = text;
    this.#parts.init.save(stateName, text);
  }
}
