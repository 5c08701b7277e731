import { codeOf } from "../core/exit-code.js";
import type { ProbeSpec, ServiceSpec } from "../core/plan.js";
import {
  type Exit,
  exitText,
  freshFold,
  type InstanceEvent,
  type InstanceFold,
  instanceNext,
  isUp,
} from "../core/service-state.js";
import type { ExitView, InstanceView } from "../core/snapshot.js";
import type { Body, BodyEvent } from "./body.js";
import type { Clock, Log, Prober, ResourceUsage, SignalScope } from "./ports.js";
import { type ProbeVerdict, runProbe } from "./probe-loop.js";
import { Scope } from "./scope.js";

/** What of an instance survives a restart of the supervisor. */
export interface InstanceRecord {
  readonly fold: InstanceFold;
  readonly serial: number;
  readonly sinceWall: number;
  readonly restarts: number;
  readonly lastExit?: ExitView;
  /** when the process is killed, while Stopping */
  readonly stopDeadline?: number;
}

export interface InstanceParts {
  readonly service: ServiceSpec;
  readonly index: number;
  readonly body: Body;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly random: () => number;
  /** state, reason or verdict changed; `before` is the state's name until now */
  readonly changed: (instance: Instance, before: string) => void;
  /** writes the record down before a process is started, so that no later supervisor starts it twice */
  readonly save: () => void;
  /** a process ended; `killed`: at its deadline */
  readonly ended: (
    instance: Instance,
    facts: { readonly stopMs?: number; readonly killed: boolean; readonly usage?: ResourceUsage },
  ) => void;
}

/** How long a process may take when nobody set a deadline: a restart, a failed liveness probe, leftovers of a crash. */
const defaultStopMs = 10_000;
const leftoverMs = 2_000;

/** One life of the body. */
interface Run {
  readonly id: string;
  readonly scope: Scope;
  pid?: number;
  stopBegan?: number;
  killed: boolean;
  wasReady: boolean;
  exit?: Exit;
}

/** One process (or in-process task) of a service: the fold, and the effects it asks for. */
export class Instance {
  readonly key: string;
  /** the liveness probe passes (or there is none) */
  healthy = false;
  readonly #parts: InstanceParts;
  #fold: InstanceFold = freshFold;
  #run: Run | undefined;
  #serial = 0;
  #sinceWall: number;
  #restarts = 0;
  #lastExit: ExitView | undefined;
  #stopDeadline: number | undefined;
  #replan = new AbortController();
  #timer = new Scope();

  constructor(parts: InstanceParts) {
    this.#parts = parts;
    this.key = `${parts.service.name}/${parts.index}`;
    this.#sinceWall = parts.clock.wall();
  }

  get fold(): InstanceFold {
    return this.#fold;
  }

  /** A process exists that was spawned, whatever its state. */
  get running(): boolean {
    return this.#run?.pid !== undefined && this.#run.exit === undefined;
  }

  get record(): InstanceRecord {
    return {
      fold: this.#fold,
      serial: this.#serial,
      sinceWall: this.#sinceWall,
      restarts: this.#restarts,
      ...(this.#lastExit === undefined ? {} : { lastExit: this.#lastExit }),
      ...(this.#stopDeadline === undefined ? {} : { stopDeadline: this.#stopDeadline }),
    };
  }

  get view(): InstanceView {
    const { state } = this.#fold;
    const until = state.name === "Backoff" ? state.until : state.name === "Stopping" ? this.#stopDeadline : undefined;
    const { clock } = this.#parts;
    return {
      id: this.key,
      state: state.name,
      since: this.#sinceWall,
      reason: this.reason,
      restarts: this.#restarts,
      ...(this.#run?.pid === undefined ? {} : { pid: this.#run.pid }),
      ...(this.#lastExit === undefined ? {} : { lastExit: this.#lastExit }),
      ...(until === undefined ? {} : { until: Math.round(clock.wall() + until - clock.now()) }),
    };
  }

  get reason(): string {
    const { state } = this.#fold;
    if (state.name === "Stopped") return state.by === "request" ? "stopped" : exitText(state.exit ?? { code: 0 });
    return "reason" in state ? state.reason : "";
  }

  start(): void {
    this.#dispatch({ kind: "start", now: this.#parts.clock.now() });
  }

  /** Asks for a stop that ends at `deadline` at the latest; a later call can only move the deadline forward. */
  stop(next: "stay" | "restart-now", reason: string, deadline?: number): void {
    const { clock, service } = this.#parts;
    const own =
      clock.now() + (service.stop.graceMs ?? (deadline === undefined ? defaultStopMs : Number.POSITIVE_INFINITY));
    const wanted = Math.min(own, deadline ?? Number.POSITIVE_INFINITY);
    if (this.#stopDeadline === undefined || wanted < this.#stopDeadline) {
      this.#stopDeadline = wanted;
      this.#replan.abort();
    }
    this.#dispatch({ kind: "stop", next, reason });
    if (this.#run === undefined) this.#stopDeadline = undefined;
  }

  signal(signal: string, scope: SignalScope): Promise<number> {
    return this.#run === undefined ? Promise.resolve(0) : this.#parts.body.signal(this.#run.id, signal, scope);
  }

  /** The id its process has, or would have, according to a record. */
  idOf(record: InstanceRecord): string {
    return `${this.key}#${record.serial}`;
  }

  /** Takes up what an earlier supervisor knew. `child` is what the init still has of it. */
  resume(record: InstanceRecord, child: { readonly pid: number; readonly exit?: Exit } | undefined): void {
    const { clock, service } = this.#parts;
    this.#fold = record.fold;
    this.#serial = record.serial;
    this.#sinceWall = record.sinceWall;
    this.#restarts = record.restarts;
    this.#lastExit = record.lastExit;
    this.#stopDeadline = record.stopDeadline;
    const { state } = record.fold;
    if (state.name === "Backoff") this.#wait(state.until);
    if (!isUp(state) && state.name !== "Stopping") return;
    const run: Run = { id: this.idOf(record), scope: new Scope(), killed: false, wasReady: false };
    this.#run = run;
    if (child === undefined) {
      // written down, never started: the supervisor died in between
      if (state.name === "Stopping") void this.#exited(run, { code: 0 });
      else void this.#launch(run);
      return;
    }
    run.pid = child.pid;
    this.#parts.body.resume(run.id, child.pid, (event) => this.#receive(run, event));
    if (child.exit !== undefined) void this.#exited(run, child.exit);
    else if (state.name === "Stopping") {
      this.#stopDeadline ??= clock.now() + (service.stop.graceMs ?? defaultStopMs);
      void this.#stopRun(run);
    } else this.#watch(run);
  }

  #dispatch(event: InstanceEvent): void {
    const { service } = this.#parts;
    const policy = { type: service.type, restart: service.restart, forever: service.onFailure === "restart" };
    const before = this.#fold;
    const { fold, act } = instanceNext(before, event, policy);
    if (fold === before) return;
    this.#fold = fold;
    if (fold.state.name === "Ready" && this.#run !== undefined) this.#run.wasReady = true;
    if (fold.state.name !== before.state.name) {
      this.#sinceWall = this.#parts.clock.wall();
      void this.#timer.close();
    }
    if (act === "spawn") this.#spawn(before);
    this.#parts.changed(this, before.state.name);
    if (act === "stop" && this.#run !== undefined) void this.#stopRun(this.#run);
    if (fold.state.name === "Backoff") this.#wait(fold.state.until);
  }

  #wait(until: number): void {
    const { clock } = this.#parts;
    const timer = new Scope();
    this.#timer = timer;
    void clock.until(until, timer.signal).then(() => {
      if (!timer.signal.aborted) this.#dispatch({ kind: "elapsed", now: clock.now() });
    });
  }

  #spawn(before: InstanceFold): void {
    this.#serial += 1;
    if (before.state.name === "Backoff" || before.state.name === "Stopping") this.#restarts += 1;
    this.#stopDeadline = undefined;
    this.healthy = false;
    const run: Run = { id: `${this.key}#${this.#serial}`, scope: new Scope(), killed: false, wasReady: false };
    this.#run = run;
    this.#parts.save();
    void this.#launch(run);
  }

  async #launch(run: Run): Promise<void> {
    const { body, index, clock, random } = this.#parts;
    const result = await body.start(run.id, index, (event) => this.#receive(run, event));
    if (result.ok) {
      if (result.pid !== undefined) run.pid = result.pid;
      this.#parts.changed(this, this.#fold.state.name);
      if (run.exit === undefined) this.#watch(run);
      return;
    }
    run.exit = { code: result.code };
    body.ended(run.id);
    await run.scope.close();
    this.#run = undefined;
    this.#stopDeadline = undefined;
    this.#lastExit = { code: result.code, at: clock.wall() };
    this.#dispatch({
      kind: "spawn-failed",
      reason: result.reason,
      code: result.code,
      now: clock.now(),
      random: random(),
    });
  }

  #receive(run: Run, event: BodyEvent): void {
    if (run !== this.#run) return;
    const { service } = this.#parts;
    const gate = service.readinessProbe?.action;
    switch (event.kind) {
      case "exited":
        void this.#exited(run, event.exit, event.usage);
        return;
      case "ready":
        if (gate === undefined || gate.kind === "notify") this.#dispatch({ kind: "ready" });
        return;
      case "line":
        if (gate?.kind === "log" && new RegExp(gate.pattern).test(event.text)) this.#dispatch({ kind: "ready" });
        return;
      case "status":
        if (this.#fold.state.name === "Starting") this.#dispatch({ kind: "unready", reason: event.text });
        return;
      default:
        return;
    }
  }

  /** Probes and timeouts of a process that runs. */
  #watch(run: Run): void {
    const { service, clock } = this.#parts;
    if (service.startTimeoutMs > 0) {
      const late = (this.#fold.upSince ?? clock.now()) + service.startTimeoutMs;
      void clock.until(late, run.scope.signal).then(() => {
        if (run.scope.signal.aborted || run.wasReady) return;
        this.#dispatch({ kind: "unhealthy", reason: `not ready within ${service.startTimeoutMs / 1000} s` });
      });
    }
    run.wasReady = this.#fold.state.name === "Ready";
    if (service.startupProbe === undefined || run.wasReady) this.#watchStarted(run);
    else {
      const startup = run.scope.child();
      this.#probe(startup, run, service.startupProbe, "startup", (verdict) => {
        if (!verdict.ok) return this.#verdict("startup", verdict);
        void startup.close();
        this.#watchStarted(run);
      });
    }
  }

  #watchStarted(run: Run): void {
    const { service } = this.#parts;
    if (service.livenessProbe === undefined) this.healthy = true;
    else {
      this.#probe(run.scope, run, service.livenessProbe, "liveness", (verdict) => {
        this.healthy = verdict.ok;
        if (verdict.ok) this.#parts.changed(this, this.#fold.state.name);
        else this.#verdict("liveness", verdict);
      });
    }
    const readiness = service.readinessProbe;
    if (readiness === undefined) {
      // a process with nothing to ask is ready when it runs; a task of this process says so itself
      if (service.process !== undefined && service.type === "long-running") this.#dispatch({ kind: "ready" });
    } else if (readiness.action.kind !== "log" && readiness.action.kind !== "notify") {
      this.#probe(run.scope, run, readiness, "readiness", (verdict) => {
        if (verdict.ok) {
          this.#dispatch({ kind: "ready" });
        } else if (verdict.final || this.#fold.state.name === "Starting") {
          this.#dispatch({ kind: "unready", reason: `readiness probe: ${verdict.reason}` });
        }
      });
    }
  }

  #probe(scope: Scope, run: Run, spec: ProbeSpec, name: string, tell: (verdict: ProbeVerdict) => void): void {
    const { body, prober, clock } = this.#parts;
    const context = body.probeContext(run.id);
    const ask = (timeoutMs: number, signal: AbortSignal) => {
      // named by the instant: unique over supervisors, too
      const id = `${run.id}!${name}${Math.trunc(clock.now())}`;
      return prober.ask(spec.action, { ...context, id }, timeoutMs, signal);
    };
    const eager = name !== "liveness" || this.#parts.service.livenessProbe?.initialDelayMs === 0;
    void runProbe({ spec, ask, tell, eager }, clock, scope.signal);
  }

  #verdict(name: string, verdict: Extract<ProbeVerdict, { ok: false }>): void {
    const reason = `${name} probe: ${verdict.reason}`;
    this.#dispatch(verdict.final ? { kind: "unhealthy", reason } : { kind: "unready", reason });
  }

  /** Stop command, then the signals, then SIGKILL to the whole tree at the deadline. One at a time per run. */
  async #stopRun(run: Run): Promise<void> {
    const { body, clock, service } = this.#parts;
    if (run.stopBegan !== undefined) return;
    run.stopBegan = clock.now();
    this.#stopDeadline ??= clock.now() + (service.stop.graceMs ?? defaultStopMs);
    const { command, steps } = service.stop;
    if (command !== undefined) {
      const bound = new Scope();
      const late = this.#untilDeadline(run).then(() => bound.close());
      await Promise.race([body.stopCommand(run.id, command, bound.signal), late]);
      await bound.close();
    }
    for (const step of steps) {
      if (run.exit !== undefined) return;
      await body.signal(run.id, step.signal, "child");
      await this.#untilDeadline(run, clock.now() + step.waitMs);
      if (clock.now() >= (this.#stopDeadline ?? 0)) break;
    }
    await this.#untilDeadline(run);
    if (run.exit !== undefined) return;
    run.killed = true;
    await body.signal(run.id, "SIGKILL", "tree");
  }

  /** Resolves at `limit` or the stop deadline, whichever is first, or as soon as the run's process has ended. */
  async #untilDeadline(run: Run, limit = Number.POSITIVE_INFINITY): Promise<void> {
    const { clock } = this.#parts;
    while (run.exit === undefined && !run.scope.signal.aborted) {
      const until = Math.min(limit, this.#stopDeadline ?? 0);
      if (clock.now() >= until) return;
      this.#replan = new AbortController();
      await clock.until(until, AbortSignal.any([this.#replan.signal, run.scope.signal]));
    }
  }

  /** The process is gone; what it left behind goes, too, before anything else starts in its place. */
  async #exited(run: Run, exit: Exit, usage?: ResourceUsage): Promise<void> {
    if (run.exit !== undefined) return;
    const { body, clock, random, ended } = this.#parts;
    run.exit = exit;
    await run.scope.close();
    this.healthy = false;
    await this.#sweep(run);
    if (run === this.#run) this.#run = undefined;
    this.#stopDeadline = undefined;
    this.#lastExit = {
      code: codeOf(exit),
      ...(exit.signal === undefined ? {} : { signal: exit.signal }),
      at: clock.wall(),
    };
    ended(this, {
      killed: run.killed,
      ...(run.stopBegan === undefined ? {} : { stopMs: clock.now() - run.stopBegan }),
      ...(usage === undefined ? {} : { usage }),
    });
    this.#dispatch({ kind: "exited", exit, now: clock.now(), random: random() });
    // first on record, then forgotten: a supervisor that dies in between finds the exit again, and counts it once
    this.#parts.save();
    body.ended(run.id);
  }

  async #sweep(run: Run): Promise<void> {
    const { body, clock, log } = this.#parts;
    let left = await body.signal(run.id, "0", "tree");
    if (left === 0) return;
    const deadline = this.#stopDeadline ?? clock.now() + leftoverMs;
    log.debug("service left processes behind", { id: run.id, left });
    await body.signal(run.id, "SIGTERM", "tree");
    let killed = false;
    for (let waitMs = 5; left > 0; waitMs = Math.min(waitMs * 1.5, 50)) {
      const now = clock.now();
      const late = now >= Math.min(deadline, this.#stopDeadline ?? deadline);
      if (late && !killed) {
        killed = true;
        run.killed = true;
        await body.signal(run.id, "SIGKILL", "tree");
      }
      // what does not die of SIGKILL within a second (uninterruptible sleep) is left to the end of the container
      if (late && now >= deadline + 1_000) return;
      await clock.until(now + waitMs);
      left = await body.signal(run.id, "0", "tree");
    }
  }
}
