import { codeOf } from "../core/exit-code.js";
import type { RestartSpec, ServiceSpec } from "../core/plan.js";
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
import type { DrainWatch, WatchedInstance } from "./drain-watch.js";
import type { Clock, Log, Prober, ResourceUsage, SignalScope } from "./ports.js";
import { type Findings, watchRun, wordReader } from "./run-watch.js";
import { Scope } from "./scope.js";
import { StopDeadline } from "./stop-deadline.js";
import { type StopStage, stopProcess } from "./stop-sequence.js";
import { sweep } from "./sweep.js";

/** What of an instance survives a restart of the supervisor. */
export interface InstanceRecord {
  readonly fold: InstanceFold;
  readonly serial: number;
  readonly sinceWall: number;
  readonly restarts: number;
  readonly lastExit?: ExitView;
  /** when the process is killed, while Stopping */
  readonly stopDeadline?: number;
  /** how far its stop has come, while Stopping */
  readonly stop?: StopStage;
  /** it was stopped, or told to hand over, in favour of a successor */
  readonly yielded?: true;
}

export interface InstanceParts {
  readonly service: ServiceSpec;
  readonly index: number;
  /** put before the ids of processes */
  readonly idPrefix: string;
  readonly body: Body;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly random: () => number;
  /** another generation accepts on the same sockets */
  readonly shared: () => boolean;
  /** what follows when it ends by itself now */
  readonly restart: () => RestartSpec;
  /** held in favour of a successor: a back-off that is over waits on */
  readonly paused: () => boolean;
  /** of the service: its instances accept on the same sockets, also when no other generation does */
  readonly pids: () => readonly number[];
  /** another generation accepts in the place of this one, which ends */
  readonly othersServe: () => boolean;
  /** state, reason or verdict changed; `before` is the state's name until now */
  readonly changed: (instance: Instance, before: string) => void;
  /** writes the record down before a process is started, so that no later supervisor starts it twice */
  readonly save: () => void;
  /** told of every stop of a process: before its first step, before it is killed, and when it is gone */
  readonly drains: Pick<DrainWatch, "begin" | "killing" | "ended" | "drained">;
  /** its deadline is over, SIGKILL follows */
  readonly killing: () => void;
  /** a process ended; `killed`: at its deadline */
  readonly ended: (
    instance: Instance,
    facts: { readonly stopMs?: number; readonly killed: boolean; readonly usage?: ResourceUsage },
  ) => void;
}

/** How long a process may take when nobody set a deadline: a restart, a failed liveness probe, leftovers of a crash. */
const defaultStopMs = 10_000;
const leftoverMs = 2_000;
/** The part of a stop's time in which a process of such a generation may end its connections before it is told to go. */
const drainShare = 0.75;
const drainPollMs = 50;
/** What accepts nothing itself, a static supervisor, may start what does, as long as there are connections to wait for. */
const drainLookMs = 2_000;

/** One life of the body. */
interface Run {
  readonly id: string;
  readonly scope: Scope;
  pid?: number;
  /** the program was executed */
  launched: boolean;
  stop?: StopStage;
  stopping: boolean;
  wasReady: boolean;
  since: number;
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
  /** what a probe's command wrote, and the reason it goes with */
  #output: { readonly text: string; readonly of: string } | undefined;
  #lastExit: ExitView | undefined;
  readonly #deadline = new StopDeadline();
  #timer = new Scope();
  #spent = false;
  #yielded = false;
  readonly #read: (event: BodyEvent) => void;

  constructor(parts: InstanceParts) {
    this.#parts = parts;
    this.key = `${parts.service.name}/${parts.index}`;
    this.#sinceWall = parts.clock.wall();
    this.#read = wordReader(parts.service.readinessProbe, this.#findings);
  }

  get fold(): InstanceFold {
    return this.#fold;
  }

  /** Its process (or task) has been started, not only asked for, and has not ended. */
  get running(): boolean {
    return this.#run?.launched === true && this.#run.exit === undefined;
  }

  /** What its connections are counted by, while it has a process. */
  get watched(): WatchedInstance[] {
    const pid = this.#run?.exit === undefined ? this.#run?.pid : undefined;
    return pid === undefined ? [] : [{ instance: this.key, pid, listeners: this.#parts.service.listeners }];
  }

  get record(): InstanceRecord {
    return {
      fold: this.#fold,
      serial: this.#serial,
      sinceWall: this.#sinceWall,
      restarts: this.#restarts,
      ...(this.#lastExit === undefined ? {} : { lastExit: this.#lastExit }),
      ...(this.#deadline.at === undefined ? {} : { stopDeadline: this.#deadline.at }),
      ...(this.#run?.stop === undefined ? {} : { stop: this.#run.stop }),
      ...(this.#yielded ? { yielded: true } : {}),
    };
  }

  get view(): InstanceView {
    const { state } = this.#fold;
    const until = state.name === "Backoff" ? state.until : state.name === "Stopping" ? this.#deadline.at : undefined;
    const { clock } = this.#parts;
    return {
      id: this.key,
      state: state.name,
      since: this.#sinceWall,
      reason: this.reason,
      restarts: this.#restarts,
      ...(this.output === undefined ? {} : { output: this.output }),
      ...(this.#run?.pid === undefined ? {} : { pid: this.#run.pid }),
      ...(this.#lastExit === undefined ? {} : { lastExit: this.#lastExit }),
      ...(until === undefined ? {} : { until: Math.round(clock.wall() + until - clock.now()) }),
    };
  }

  get reason(): string {
    const { state } = this.#fold;
    if (state.name === "Stopped" && state.kept) return "stopped by request before the upgrade";
    if (state.name === "Stopped" && state.by === "request")
      return this.#lastExit?.killed ? "killed at its deadline" : "stopped";
    if (state.name === "Stopped" && state.skipped) return "skipped in this upgrade (onUpgrade: skip)";
    if (state.name === "Stopped") return exitText(state.exit ?? { code: 0 });
    return "reason" in state ? state.reason : "";
  }

  /** Counts as completed without having run here. */
  skip(): void {
    this.#fold = { ...freshFold, state: { name: "Stopped", by: "itself", exit: { code: 0 }, skipped: true } };
    this.#sinceWall = this.#parts.clock.wall();
  }

  /** Stays stopped, as in the generation before; `completed`: it had run to its end there. */
  keepStopped(completed: boolean): void {
    const how = completed ? ({ by: "itself", exit: { code: 0 } } as const) : ({ by: "request" } as const);
    this.#fold = { ...freshFold, state: { name: "Stopped", ...how, kept: true } };
    this.#sinceWall = this.#parts.clock.wall();
  }

  /** Counts as failed without having run here. */
  refuse(reason: string): void {
    this.#fold = { ...freshFold, state: { name: "Failed", reason } };
    this.#sinceWall = this.#parts.clock.wall();
    this.#parts.changed(this, "Waiting");
  }

  /** What the exec probe wrote that the reason speaks of. */
  get output(): string | undefined {
    return this.#output !== undefined && this.reason.startsWith(this.#output.of) ? this.#output.text : undefined;
  }

  get pid(): number | undefined {
    return this.#run?.pid;
  }

  /** It has run before. */
  get restarted(): boolean {
    return this.#serial > 1;
  }

  /** Has been told to make room for another process, and done so: what it still has it may finish, and nothing follows. */
  get spent(): boolean {
    return this.#spent;
  }

  /** Leaves its place to `next`, which has had no process until now and goes on counting. What it has not finished at `until` is killed. */
  leaveTo(next: Instance, until: number): void {
    const { clock } = this.#parts;
    const run = this.#run;
    this.#spent = true;
    next.resume({ ...this.record, fold: freshFold }, undefined);
    if (run === undefined) return;
    void clock.until(until, run.scope.signal).then(() => this.stop("stay", "its time to hand over is up", clock.now()));
  }

  /** It ran, or was about to, when a successor came. */
  get yielded(): boolean {
    return this.#yielded;
  }

  /** In favour of a successor: nothing follows the process that it has, or is about to have. What ends by itself meanwhile is none of that. */
  yield(): void {
    const { state } = this.#fold;
    this.#yielded = isUp(state) || (state.name === "Stopping" && state.next === "restart-now");
  }

  /** The successor is no more: a back-off goes on. @returns whether it had yielded */
  takeBack(): boolean {
    const { state } = this.#fold;
    const yielded = this.#yielded;
    this.#yielded = false;
    if (!yielded && state.name === "Backoff") this.#wait(state.until);
    return yielded;
  }

  /** A stop that is under way ends at `deadline` at the latest; what follows is as it was. */
  hasten(deadline: number): void {
    if (this.#fold.state.name === "Stopping") this.#deadline.shrinkTo(deadline);
  }

  start(): void {
    this.#dispatch({ kind: "start", now: this.#parts.clock.now() });
  }

  /** Asks for a stop that ends at `deadline` at the latest; a later call can only move the deadline forward. */
  stop(next: "stay" | "restart-now", reason: string, deadline?: number): void {
    const { clock, service } = this.#parts;
    const own =
      clock.now() + (service.stop.graceMs ?? (deadline === undefined ? defaultStopMs : Number.POSITIVE_INFINITY));
    this.#deadline.shrinkTo(Math.min(own, deadline ?? Number.POSITIVE_INFINITY));
    this.#dispatch({ kind: "stop", next, reason });
    if (this.#run === undefined) this.#deadline.clear();
  }

  signal(signal: string, scope: SignalScope): Promise<number> {
    return this.#run === undefined ? Promise.resolve(0) : this.#parts.body.signal(this.#run.id, signal, scope);
  }

  /** The id its process has, or would have, according to a record. */
  idOf(record: InstanceRecord): string {
    return this.#id(record.serial);
  }

  /** Takes up what an earlier supervisor knew. `child` is what the init still has of it. */
  resume(record: InstanceRecord, child: { readonly pid: number; readonly exit?: Exit } | undefined): void {
    this.#fold = record.fold;
    this.#serial = record.serial;
    this.#sinceWall = record.sinceWall;
    this.#restarts = record.restarts;
    this.#lastExit = record.lastExit;
    this.#yielded = record.yielded ?? false;
    if (record.stopDeadline !== undefined) this.#deadline.shrinkTo(record.stopDeadline);
    const { state } = record.fold;
    if (state.name === "Backoff") this.#wait(state.until);
    if (!isUp(state) && state.name !== "Stopping") return;
    const run: Run = {
      id: this.idOf(record),
      scope: new Scope(),
      launched: false,
      stopping: false,
      wasReady: false,
      since: 0,
    };
    if (record.stop !== undefined) run.stop = record.stop;
    this.#run = run;
    if (child === undefined) {
      // written down, never started: the supervisor died in between
      if (state.name === "Stopping") void this.#exited(run, { code: 0 });
      else void this.#launch(run);
      return;
    }
    run.pid = child.pid;
    run.launched = true;
    this.#parts.body.resume(run.id, child.pid, (event) => this.#receive(run, event));
    if (child.exit !== undefined) void this.#exited(run, child.exit);
    else if (state.name === "Stopping") {
      void this.#stopRun(run);
    } else this.#watch(run);
  }

  #id(serial: number): string {
    return `${this.#parts.idPrefix}${this.key}#${serial}`;
  }

  #dispatch(event: InstanceEvent): void {
    const { service } = this.#parts;
    // its probes find whoever has its address now
    if (this.#spent && event.kind !== "stop" && event.kind !== "exited") return;
    const restart =
      this.#spent || this.#yielded ? { ...service.restart, policy: "never" as const } : this.#parts.restart();
    const policy = { type: service.type, restart, forever: service.onFailure === "restart" };
    const before = this.#fold;
    const { fold, act } = instanceNext(before, event, policy);
    if (fold === before) return;
    this.#fold = fold;
    if (fold.state.name === "Ready" && this.#run !== undefined) this.#run.wasReady = true;
    if (fold.state.name !== before.state.name) {
      this.#sinceWall = this.#parts.clock.wall();
      void this.#timer.close();
    }
    if (act === "spawn") this.#spawn();
    this.#parts.changed(this, before.state.name);
    if (act === "stop" && this.#run !== undefined) void this.#stopRun(this.#run);
    if (fold.state.name === "Backoff") this.#wait(fold.state.until);
  }

  #wait(until: number): void {
    const { clock } = this.#parts;
    const timer = new Scope();
    void this.#timer.close();
    this.#timer = timer;
    void clock.until(until, timer.signal).then(() => {
      if (!timer.signal.aborted && !this.#parts.paused()) this.#dispatch({ kind: "elapsed", now: clock.now() });
    });
  }

  #spawn(): void {
    this.#serial += 1;
    if (this.restarted) this.#restarts += 1;
    this.#deadline.clear();
    this.healthy = false;
    const run: Run = {
      id: this.#id(this.#serial),
      scope: new Scope(),
      launched: false,
      stopping: false,
      wasReady: false,
      since: 0,
    };
    this.#run = run;
    this.#parts.save();
    void this.#launch(run);
  }

  async #launch(run: Run): Promise<void> {
    const { body, index, clock, random } = this.#parts;
    const result = await body.start(run.id, index, (event) => this.#receive(run, event));
    if (result.ok) {
      run.launched = true;
      if (result.pid !== undefined) run.pid = result.pid;
      this.#parts.changed(this, this.#fold.state.name);
      if (run.exit === undefined) this.#watch(run);
      return;
    }
    run.exit = { code: result.code };
    body.ended(run.id);
    await run.scope.close();
    this.#run = undefined;
    this.#deadline.clear();
    this.#lastExit = { code: result.code, at: clock.wall() };
    this.#dispatch({
      kind: "spawn-failed",
      reason: result.reason,
      code: result.code,
      permanent: result.permanent,
      now: clock.now(),
      random: random(),
    });
  }

  #receive(run: Run, event: BodyEvent): void {
    if (run !== this.#run) return;
    if (event.kind === "exited") void this.#exited(run, event.exit, event.usage, event.reason);
    else {
      this.#read(event);
      // on record before the word is taken from its socket
      if (event.kind === "ready") this.#parts.save();
    }
  }

  readonly #findings: Findings = {
    ready: () => this.#dispatch({ kind: "ready" }),
    unready: (reason, final, output) => {
      if (!final && this.#fold.state.name !== "Starting") return;
      this.#wrote(reason, output);
      this.#dispatch({ kind: "unready", reason });
    },
    unhealthy: (reason, output) => {
      this.#wrote(reason, output);
      this.#dispatch({ kind: "unhealthy", reason });
    },
    healthy: (value) => {
      this.healthy = value;
      this.#parts.changed(this, this.#fold.state.name);
    },
  };

  #wrote(of: string, text: string | undefined): void {
    const before = this.#output?.text;
    this.#output = text === undefined ? undefined : { text, of };
    if (before !== text) this.#parts.changed(this, this.#fold.state.name);
  }

  #watch(run: Run): void {
    const { service, body, clock, prober } = this.#parts;
    run.wasReady = this.#fold.state.name === "Ready";
    run.since = this.#fold.upSince ?? clock.now();
    const acceptedBy = () => (this.#parts.shared() && service.listeners.length > 0 ? this.#parts.pids() : undefined);
    watchRun({ service, id: run.id, body, clock, prober, acceptedBy, scope: run.scope, findings: this.#findings }, run);
  }

  /** Once per run, however often it is asked for: a later stop only moves the deadline. */
  async #stopRun(run: Run): Promise<void> {
    const { body, clock, log, service } = this.#parts;
    if (run.stopping) return;
    run.stopping = true;
    run.stop ??= { began: clock.now() };
    this.#parts.drains.begin(this.watched);
    if (this.#deadline.at === undefined) this.#deadline.shrinkTo(clock.now() + (service.stop.graceMs ?? defaultStopMs));
    if (this.#parts.othersServe() && run.stop.sent === undefined) await this.#drain(run);
    await stopProcess(service.stop, body, run.id, {
      clock,
      deadline: this.#deadline,
      ended: run.scope.signal,
      stage: run.stop,
      reached: (stage) => {
        run.stop = stage;
        if (stage.killed) {
          this.#parts.drains.killing(this.key);
          this.#parts.killing();
        }
        this.#parts.save();
      },
      failed: (reason) => log.warn(`the stop command of ${this.key} was of no use: ${reason}`, { instance: this.key }),
    });
  }

  /**
   * Another generation accepts in its place: it accepts no more, and may answer what it has, before it is told to go. A share of its time
   * is left for that.
   */
  async #drain(run: Run): Promise<void> {
    const { body, clock, drains } = this.#parts;
    const signal = body.drainSignal?.();
    if (signal === undefined) return;
    const { began } = run.stop ?? { began: clock.now() };
    const until = () => began + drainShare * ((this.#deadline.at ?? began) - began);
    const over = new Scope();
    const late = this.#deadline.wait(clock, run.scope.signal, until).then(() => over.close());
    while (!over.signal.aborted && clock.now() < until()) {
      if (body.accepts?.(run.id, run.pid)) {
        // a process may have been forked before it was told
        await body.signal(run.id, signal, "tree");
        await clock.until(clock.now() + drainPollMs, over.signal);
      } else if (await drains.drained(this.watched, Math.min(until(), clock.now() + drainLookMs), over.signal)) break;
    }
    await over.close();
    void late;
  }

  /** What of it can still accept on the service's listeners. */
  get accepts(): boolean {
    return (
      this.#run?.pid !== undefined &&
      this.#run.exit === undefined &&
      this.#parts.body.accepts?.(this.#run.id, this.#run.pid) === true
    );
  }

  /** The process is gone; what it left behind goes, too, before anything else starts in its place. */
  async #exited(run: Run, exit: Exit, usage?: ResourceUsage, reason?: string): Promise<void> {
    if (run.exit !== undefined) return;
    const { body, clock, random, ended, drains } = this.#parts;
    run.exit = exit;
    let killed = run.stop?.killed === true;
    drains.ended(this.key, killed ? "killed" : exit.signal === undefined ? "exited" : "signalled");
    await run.scope.close();
    this.healthy = false;
    const limit = this.#deadline.at ?? clock.now() + leftoverMs;
    if (await sweep(body, run.id, () => Math.min(limit, this.#deadline.at ?? limit), clock)) killed = true;
    if (run === this.#run) this.#run = undefined;
    this.#deadline.clear();
    this.#lastExit = {
      code: codeOf(exit),
      ...(exit.signal === undefined ? {} : { signal: exit.signal }),
      ...(run.stop?.killed ? { killed: true } : {}),
      at: clock.wall(),
    };
    ended(this, {
      killed,
      ...(run.stop === undefined ? {} : { stopMs: clock.now() - run.stop.began }),
      ...(usage === undefined ? {} : { usage }),
    });
    const words = reason === undefined ? {} : { reason };
    this.#dispatch({ kind: "exited", exit, now: clock.now(), random: random(), ...words });
    // first on record, then forgotten: a supervisor that dies in between finds the exit again, and counts it once
    this.#parts.save();
    body.ended(run.id);
  }
}
