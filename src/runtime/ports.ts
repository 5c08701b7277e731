/**
 * The runtime's only way to the world. Adapters implement these; tests replace them; nothing here is a library's type.
 * `deadline` and `now` are CLOCK_MONOTONIC milliseconds, the same in every process of the machine.
 */
import type { Identity, ListenerSpec, ProbeAction, ResourceLimit } from "../core/plan.js";
import type { Snapshot, Transition } from "../core/snapshot.js";

export interface Clock {
  /** CLOCK_MONOTONIC in milliseconds */
  now(): number;
  /** wall clock, milliseconds since the epoch */
  wall(): number;
  /** resolves at `deadline`, or at once when the signal aborts; never rejects */
  until(deadline: number, signal?: AbortSignal): Promise<void>;
}

export interface Log {
  /** `fields` are merged with phase and service of the line */
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  child(fields: Readonly<Record<string, unknown>>): Log;
  /** writes what is buffered, synchronously and bounded in time; never throws */
  flush(): void;
}

/** What to start, complete: nothing is inherited that is not written here, except stdio where it says so. */
export interface SpawnSpec {
  readonly argv: readonly string[];
  /** complete environment as NAME=value; the init adds PINGORA_ENTRY_ID */
  readonly env: readonly string[];
  /** variables that get the child's own pid: LISTEN_PID */
  readonly pidEnv: readonly string[];
  readonly cwd?: string;
  readonly identity?: Pick<Identity, "uid" | "gid" | "groups">;
  readonly umask?: number;
  readonly nice?: number;
  readonly oomScoreAdj?: number;
  readonly limits: readonly ResourceLimit[];
  /** a session of its own (the default for services); false: the init's session, own process group */
  readonly newSession: boolean;
  readonly tty: boolean;
  /** fd number in the child -> fd of this process, which stays open here. 0: /dev/null unless given; 1, 2: the init's unless given */
  readonly fds: readonly { readonly target: number; readonly fd: number }[];
}

export type SpawnResult =
  | { readonly ok: true; readonly pid: number }
  /** `stage`: what failed (fork, user, cwd, exec, ...); `errno` by name */
  | { readonly ok: false; readonly stage: string; readonly errno: string };

export interface ResourceUsage {
  readonly userMs: number;
  readonly systemMs: number;
  readonly maxRssKb: number;
}

export interface ExitStatus {
  /** exactly one of the two */
  readonly code?: number;
  readonly signal?: string;
}

export type InitEvent =
  | {
      readonly kind: "signal";
      readonly signal: string;
      readonly senderPid: number;
      readonly senderUid: number;
      /** grows with each signal of this container; one that a dead supervisor was told of, too, has the number it had then */
      readonly sequence: number;
    }
  | {
      readonly kind: "exited";
      readonly id: string;
      readonly pid: number;
      readonly status: ExitStatus;
      readonly usage: ResourceUsage;
      /** CLOCK_MONOTONIC ms at which the init saw it */
      readonly at: number;
    }
  | { readonly kind: "reaped"; readonly total: number }
  /** the channel is gone: the init is dead (library use) or this supervisor was replaced */
  | { readonly kind: "closed" };

/** What an earlier supervisor left with the init. Empty for the first one. */
export interface Recovered {
  readonly restarts: number;
  readonly children: readonly {
    readonly id: string;
    readonly pid: number;
    readonly exit?: Extract<InitEvent, { kind: "exited" }>;
  }[];
  /** what was held, by name; the receiver owns these fds */
  readonly held: ReadonlyMap<string, number>;
  /** named texts from `save` */
  readonly state: ReadonlyMap<string, string>;
}

/** `child`: the process itself; `group`: its process group; `tree`: every process of its session or with its PINGORA_ENTRY_ID */
export type SignalScope = "child" | "group" | "tree";

/** PID 1, or the spawner that stands in for it under a library user. */
export interface Init {
  readonly pid: number;
  readonly isPid1: boolean;
  readonly recovered: Recovered;
  /** events arrive in order, none before this call */
  listen(receive: (event: InitEvent) => void): void;
  /** `id` names one process for its life; an id is used once */
  spawn(id: string, spec: SpawnSpec): Promise<SpawnResult>;
  /** number of processes reached; 0 is gone. `"0"` as signal only counts */
  signal(id: string, signal: string, scope: SignalScope): Promise<number>;
  /** the exit of `id` is dealt with: the init may forget it */
  forget(id: string): void;
  /** the init keeps a duplicate until release */
  hold(name: string, fd: number): Promise<void>;
  release(name: string): void;
  /** newest text wins; survives this process */
  save(name: string, text: string): void;
  /** what a last-resort stop by the init alone may take */
  grace(ms: number): void;
  /** last resort: at this instant the init kills everything and exits with `code`; undefined takes it back */
  backstop(deadline: number | undefined, code: number): void;
  /** the init stops what is left, reaps, and exits with `code` */
  exit(code: number): void;
}

export interface BoundListener {
  readonly spec: ListenerSpec;
  readonly fd: number;
  /** the address as the kernel tells it, port 0 resolved */
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

export interface Sockets {
  /**
   * Binds and listens outside libuv: CLOEXEC, and O_NONBLOCK only as nginx needs it. Retries an address in use; replaces a stale unix path, never a live one.
   * @throws EntryError os, naming the holder where /proc tells
   */
  bind(spec: ListenerSpec, signal: AbortSignal): Promise<BoundListener>;
  /** wraps a socket that an earlier supervisor bound; throws EntryError when it is not what `spec` says */
  adopt(spec: ListenerSpec, fd: number): BoundListener;
  /** a socket that nobody serves any more, here or elsewhere: removes its unix path, when that is still its own */
  remove(listener: BoundListener): void;
  /** close(2) only: never shutdown(2), never unlink */
  close(listener: BoundListener): void;
}

/** `output`: what the probe's command wrote, when it had something to say. Kept apart: it can be anything, and not everybody may read it */
export type ProbeResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly output?: string };

/** Asks once. Never throws, never later than `timeoutMs`. */
export interface Prober {
  ask(action: ProbeAction, context: ProbeContext, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

export interface ProbeContext {
  /** a unique prefix for processes of exec probes */
  readonly id: string;
  readonly env: readonly string[];
  readonly cwd?: string;
  readonly identity?: Pick<Identity, "uid" | "gid" | "groups">;
}

/** What a service says of itself: NOTIFY_SOCKET datagrams, a newline on its fd, lines of its output. */
export type NotifyMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "stopping" }
  | { readonly kind: "status"; readonly text: string }
  | { readonly kind: "watchdog" }
  | { readonly kind: "line"; readonly stream: "stdout" | "stderr"; readonly text: string };

/** Ends of pipes and sockets through which one process talks to us. `kept` are the ends that the init holds for a next supervisor. */
export interface ServiceWires {
  /** to be held under `name` while the process lives, so that its pipes survive this supervisor */
  readonly kept: readonly { readonly name: string; readonly fd: number }[];
  /** to be added to SpawnSpec.fds; closed by `started` */
  readonly fds: readonly { readonly target: number; readonly fd: number }[];
  readonly env: readonly string[];
  /** the process has been spawned (or not): closes the child's ends here */
  started(pid: number | undefined): void;
  close(): void;
}

export interface WireSpec {
  readonly service: string;
  /** the process id given to Init.spawn; unique for the life of the container */
  readonly id: string;
  readonly output: "inherit" | "prefix" | "json";
  /** a line callback is wanted even when output is inherit (log probes) */
  readonly lines: boolean;
  readonly notifySocket: boolean;
  readonly notifyFd?: number;
  /** who the process runs as, when that is not us: may use NOTIFY_SOCKET */
  readonly identity?: Pick<Identity, "uid" | "gid">;
}

export interface Wiring {
  connect(spec: WireSpec, receive: (message: NotifyMessage) => void): ServiceWires;
  /** after a restart of the supervisor: takes `held` ends (by the names given in `kept`) up again */
  resume(spec: WireSpec, held: ReadonlyMap<string, number>, receive: (message: NotifyMessage) => void): ServiceWires;
}

/** Gets every snapshot and transition; never answers, never throws, never blocks. */
export interface Sink {
  snapshot?(snapshot: Snapshot): void;
  transition?(transition: Transition): void;
  /** the last words, awaited before exit */
  close?(): Promise<void>;
}

/** What requests may ask of the running server. HTTP and CLI post through this what signals post, too. */
export interface Control {
  snapshot(): Snapshot;
  /** every later snapshot and transition, none missed; call the result to leave */
  subscribe(sink: Sink): () => void;
  /** begins the lame duck (once) and resolves when the pod may be told to go on: drained, or out of time */
  prestop(signal: AbortSignal): Promise<void>;
  /** resolve when done; reject with EntryError (usage: unknown name; failed: what happened) */
  startService(name: string): Promise<void>;
  stopService(name: string): Promise<void>;
  restartService(name: string): Promise<void>;
  /** number of processes reached */
  signalService(name: string, signal: string, scope: SignalScope): Promise<number>;
}

/** Lines of service output that passed through the supervisor (output prefix or json, or a log probe). */
export interface OutputLine {
  /** wall clock, milliseconds since the epoch */
  readonly at: number;
  readonly service: string;
  readonly id: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface OutputHistory {
  /** the last lines kept, oldest first; all services when `service` is undefined */
  tail(service: string | undefined, limit: number): readonly OutputLine[];
  follow(service: string | undefined, receive: (line: OutputLine) => void): () => void;
}
