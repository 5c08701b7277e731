import type {
  ExitStatus,
  Init,
  InitEvent,
  Recovered,
  ReplaceResult,
  SignalScope,
  SpawnResult,
  SpawnSpec,
  SuccessorResult,
} from "../../src/runtime/ports.js";
import type { ManualClock } from "./manual-clock.js";

export interface FakeProcess {
  readonly id: string;
  readonly pid: number;
  readonly spec: SpawnSpec;
  readonly spawnedAt: number;
  /** signals it got, in order, with their instants */
  readonly signals: { readonly signal: string; readonly scope: SignalScope; readonly at: number }[];
  alive: boolean;
  endedAt?: number;
  status?: ExitStatus;
  /** processes it leaves behind when it ends */
  leaves: number;
  leftovers: number;
}

export function exitEvent(id: string, pid: number, status: ExitStatus, at = 0): Extract<InitEvent, { kind: "exited" }> {
  return { kind: "exited", id, pid, status, usage: { userMs: 0, systemMs: 0, maxRssKb: 0 }, at };
}

export type Behaviour = (process: FakeProcess, signal: string) => number | "ignore";

/** of all inits together, as one init numbers them for all of its supervisors */
let signals = 0;

/** An init without processes: what a process does with a signal is `behaviour`: exit after so many ms, or nothing. */
export class FakeInit implements Init {
  readonly pid = 1;
  readonly isPid1 = true;
  line = 1;
  primary = true;
  readonly held = new Map<string, number>();
  recovered: Recovered = { restarts: 0, children: [], held: new Map(), state: new Map(), lines: [] };
  readonly processes: FakeProcess[] = [];
  readonly saved = new Map<string, string>();
  readonly forgotten = new Set<string>();
  exitCode: number | undefined;
  backstopAt: number | undefined;
  /** lines that `successor` started and that have not ended */
  readonly lines = new Set<number>();
  readonly successors: { readonly argv: readonly string[]; readonly env: readonly string[] }[] = [];
  successorFailure: Extract<SuccessorResult, { ok: false }> | undefined;
  replaceResult: ReplaceResult = { ok: true, version: "0.0.0" };
  /** the descriptor of `standby` */
  standbyFd: number | undefined;
  spawnFailure: ((id: string) => Extract<SpawnResult, { ok: false }> | undefined) | undefined;
  behaviour: Behaviour = (_process, signal) => (signal === "SIGTERM" ? 10 : "ignore");
  readonly #clock: ManualClock;
  #receive: (event: InitEvent) => void = () => {};
  #pid = 100;
  /** its supervisor is no more: what that still does has no effect */
  dead = false;
  /** told of every text that is saved */
  saving: (text: string) => void = () => {};

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  listen(receive: (event: InitEvent) => void): void {
    this.#receive = receive;
  }

  spawn(id: string, spec: SpawnSpec): Promise<SpawnResult> {
    const failure = this.spawnFailure?.(id);
    if (failure !== undefined) return Promise.resolve(failure);
    if (this.processes.some((process) => process.id === id)) throw new Error(`id ${id} used twice`);
    this.#pid += 1;
    this.processes.push({
      id,
      pid: this.#pid,
      spec,
      spawnedAt: this.#clock.now(),
      signals: [],
      alive: true,
      leaves: 0,
      leftovers: 0,
    });
    return Promise.resolve({ ok: true, pid: this.#pid });
  }

  signal(id: string, signal: string, scope: SignalScope): Promise<number> {
    const process = this.find(id);
    if (process === undefined) return Promise.resolve(0);
    const count = (process.alive ? 1 : 0) + (scope === "child" ? 0 : process.leftovers);
    if (signal === "0" || count === 0) return Promise.resolve(count);
    process.signals.push({ signal, scope, at: this.#clock.now() });
    if (signal === "SIGKILL") {
      process.leftovers = 0;
      process.leaves = 0;
      this.end(id, { signal });
      return Promise.resolve(count);
    }
    const after = this.behaviour(process, signal);
    if (after !== "ignore") void this.#clock.until(this.#clock.now() + after).then(() => this.end(id, { signal }));
    return Promise.resolve(count);
  }

  /** The process ends now, by itself or by a signal. */
  end(id: string, status: { code?: number; signal?: string }): void {
    const process = this.find(id);
    if (process === undefined || !process.alive) return;
    process.alive = false;
    process.status = status;
    process.leftovers = process.leaves;
    process.endedAt = this.#clock.now();
    this.#receive(exitEvent(process.id, process.pid, status, this.#clock.now()));
  }

  /** The number of the signal, to tell it again. */
  send(signal: string, { sequence = ++signals, senderPid = 0 } = {}): number {
    this.#receive({ kind: "signal", signal, senderPid, senderUid: 0, sequence });
    return sequence;
  }

  /** The process of this id, or the newest one of this instance ("web/0"). */
  find(id: string): FakeProcess | undefined {
    return this.processes.findLast((process) => process.id === id || process.id.startsWith(`${id}#`));
  }

  alive(): string[] {
    return this.processes.filter((process) => process.alive).map((process) => process.id);
  }

  forget(id: string): void {
    if (this.dead) return;
    this.forgotten.add(id);
  }
  hold(name: string, fd: number): Promise<void> {
    this.held.set(name, fd);
    return Promise.resolve();
  }
  release(name: string): void {
    this.held.delete(name);
  }
  save(name: string, text: string): void {
    if (this.dead) return;
    this.saved.set(name, text);
    this.saving(text);
  }
  grace(): void {}
  backstop(deadline: number | undefined): void {
    this.backstopAt = deadline;
  }
  exit(code: number): void {
    this.exitCode = code;
  }
  successor(spec: { readonly argv: readonly string[]; readonly env: readonly string[] }): Promise<SuccessorResult> {
    if (this.successorFailure !== undefined) return Promise.resolve(this.successorFailure);
    this.successors.push(spec);
    const line = this.line + this.successors.length;
    this.lines.add(line);
    this.#pid += 1;
    return Promise.resolve({ ok: true, line, pid: this.#pid });
  }
  own(): void {
    this.primary = true;
  }
  abandon(line: number): void {
    queueMicrotask(() => this.endLine(line, { signal: "SIGKILL" }));
  }
  /** A line is over by itself. */
  endLine(line: number, status: ExitStatus): void {
    if (this.lines.delete(line)) this.#receive({ kind: "ended", line, status });
  }
  replace(): Promise<ReplaceResult> {
    return Promise.resolve(this.replaceResult);
  }
  standby(lockFd: number): void {
    this.standbyFd = lockFd;
  }
}
