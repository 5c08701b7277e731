/**
 * The runtime's only way to the world. Adapters implement these; tests replace them; nothing here is a library's type.
 * `deadline` and `now` are CLOCK_MONOTONIC milliseconds, the same in every process of the machine.
 */
import type { Identity, ListenerSpec, ProbeAction, ResourceLimit } from "../core/plan.js";
import type { Snapshot, Transition } from "../core/snapshot.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress } from "../core/upgrade-outcome.js";

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
  /** 0: /dev/null unless given; 1, 2: the init's unless given */
  readonly fds: readonly SpawnFd[];
}

/** fd number in the child -> fd of this process, which stays open here */
export interface SpawnFd {
  readonly target: number;
  readonly fd: number;
  /** the init has it by this name (`hold`) and need not be sent it again: of those there may be thousands, of others 64 */
  readonly held?: string;
}

export type SpawnResult =
  | { readonly ok: true; readonly pid: number }
  /**
   * `stage`: what failed (fork, user, cwd, exec, ...); `errno` by name. `held`: ENOENT, nothing is held by a name; ENOTSUP, too many
   * descriptors for an init of an older release, which has to be sent all of them
   */
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
  /** to the primary: another line is over, its processes are gone and what it held is closed */
  | { readonly kind: "ended"; readonly line: number; readonly status: ExitStatus }
  /** the init has not obeyed, and nobody waits for an answer to that; `verb` as PROTOCOL.md has it, "?" when it could not be read */
  | { readonly kind: "refused"; readonly verb: string; readonly reason: string }
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
  /** the other lines that live; one that is missing here has ended. `pid` of its supervisor, 0 while there is none */
  readonly lines: readonly { readonly line: number; readonly pid: number }[];
}

export type SuccessorResult =
  | { readonly ok: true; readonly line: number; readonly pid: number }
  | { readonly ok: false; readonly stage: string; readonly errno: string };

export type ReplaceResult =
  | { readonly ok: true; readonly version: string }
  /** nothing has changed */
  | { readonly ok: false; readonly reason: string };

/** `child`: the process itself; `group`: its process group; `tree`: every process of its session or with its PINGORA_ENTRY_ID */
export type SignalScope = "child" | "group" | "tree";

/** PID 1, or the spawner that stands in for it under a library user. */
export interface Init {
  readonly pid: number;
  readonly isPid1: boolean;
  /** this supervisor's line: those that followed each other in one generation. The first is 1 */
  readonly line: number;
  /** the init's signals and exit code are this line's; as it was when this supervisor began, or since `own` */
  readonly primary: boolean;
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
  /** the init stops what is left of this line and reaps; it exits with its last line, with the `code` of the primary */
  exit(code: number): void;
  /** starts the first supervisor of a new line, the next generation; resolves when its program runs, or cannot */
  successor(spec: { readonly argv: readonly string[]; readonly env: readonly string[] }): Promise<SuccessorResult>;
  /** this line becomes the primary, the former one stays a line */
  own(): void;
  /** another line, not the primary, is to end at once: its supervisor is killed, its services have half a second. Then comes `ended` */
  abandon(line: number): void;
  /** the init goes on as the program `path`, an init of another release; children, sockets and channels stay */
  replace(path: string): Promise<ReplaceResult>;
  /** this supervisor is about to end; the next one is started when the lock of `lockFd` (a description of its own) was free once */
  standby(lockFd: number): void;
}

export interface BoundListener {
  readonly spec: ListenerSpec;
  /** -1: it is closed here, others have it still */
  readonly fd: number;
  /** of one that is closed here: the socket's inode, by which it is known with those who have it */
  readonly inode?: number;
  /** the address as the kernel tells it, port 0 resolved */
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  /** as the socket has it, which cannot be changed; the spec of one that was taken over may say otherwise */
  readonly reusePort?: boolean;
  /** of a private socket: the listener in whose place it is */
  readonly standsFor?: BoundListener;
}

export interface Sockets {
  /**
   * Binds and listens outside libuv: CLOEXEC, and O_NONBLOCK only as nginx needs it. Retries an address in use; replaces a stale unix path, never a live one.
   * `inUse` is told once that it has to be tried again, and who has the address where /proc tells.
   * @throws EntryError os, naming the holder
   */
  bind(spec: ListenerSpec, signal: AbortSignal, inUse?: (problem: string) => void): Promise<BoundListener>;
  /** wraps a socket that an earlier supervisor bound; throws EntryError when it is not what `spec` says */
  adopt(spec: ListenerSpec, fd: number): BoundListener;
  /** wraps one that is another generation's by now: nothing about it is changed */
  asIs(spec: ListenerSpec, fd: number): BoundListener;
  /**
   * A socket of the same family and type as the listener's, at an address that nobody has been told: a free port of loopback, or a path of
   * its own. Passed as the listener is; nginx, which finds what it is given by its address, has to adopt it.
   * @throws EntryError os, with the reason
   */
  bindPrivate(listener: BoundListener): BoundListener;
  /** False for a unix socket whose path is not there: what is bound at it is in another container. */
  isReachable(spec: ListenerSpec): boolean;
  /** whether accept(2) waits there, for all who have the socket */
  isBlocking(listener: BoundListener): boolean;
  /** Puts back what others who have the socket may have changed: this, and the backlog of its spec. @throws Error with errno as `code` */
  takeBack(listener: BoundListener, blocking: boolean): void;
  /** Gives the path of a unix socket the mode of its spec; nothing for others. @throws Error EPERM: it is another user's */
  setMode(listener: BoundListener): void;
  /** a socket that nobody serves any more, here or elsewhere: removes its unix path, when that is still its own */
  remove(listener: BoundListener): void;
  /** Closes it here. What comes back tells of the socket, which others have, without a descriptor of it. */
  leave(listener: BoundListener): BoundListener;
  /** close(2) only: never shutdown(2), never unlink */
  close(listener: BoundListener): void;
}

export interface ConnectionCount {
  readonly listener: string;
  /** absent together with `instance`: a process whose sockets may not be seen has it, or has not */
  readonly service?: string;
  readonly instance?: string;
  readonly connections: number;
}

/** Counts stream connections, as the kernel knows them. Never rejects; takes some milliseconds for thousands. */
export interface Connections {
  /**
   * `processes`: the main process of each instance; everything below it counts for it. Connections that belong to other processes (another
   * generation's) and those of probes, our own and other generations', are left out. The table is read before the call returns.
   */
  count(
    listeners: ReadonlyMap<string, BoundListener>,
    processes: readonly {
      readonly instance: string;
      readonly pid: number;
      /** of several at one address (reusePort) only its own can be what its connections came in at */
      readonly listeners?: readonly string[];
    }[],
  ): Promise<{
    readonly counts: readonly ConnectionCount[];
    /**
     * Not among `counts`: their client, on this machine, had closed its end before they were first seen, while others than clients asked here.
     * Probably a probe's; a client's may still have something to be read.
     */
    readonly deserted: readonly ConnectionCount[];
    /** connections that these instances had in the look before, and that live on with another process, to which they were passed */
    readonly moved: readonly ConnectionCount[];
    /** by listener: connections that nobody has accepted yet */
    readonly queued: ReadonlyMap<string, number>;
    /** false: read from text tables, or a process's sockets could not be seen */
    readonly exact: boolean;
  }>;
}

export type ProbeResult =
  | { readonly ok: true }
  /** `output`: the last line that a command wrote */
  | {
      readonly ok: false;
      readonly reason: string;
      readonly output?: string;
      /**
       * Nothing was learnt of the processes that were asked: others accepted on the same sockets, and were faster each time; or whoever accepted
       * had closed the connection before it was seen who that was (`unseen`).
       */
      readonly lost?: "others" | "unseen";
    };
/** Asks once. Never throws, never later than `timeoutMs`; with `acceptedBy` they may pass twice: until one of them has accepted, and until it answers. */
export interface Prober {
  ask(action: ProbeAction, context: ProbeContext, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

export interface ProbeContext {
  /** only a connection that one of these processes, or one below them, has accepted tells anything; undefined: whoever accepts */
  readonly acceptedBy?: readonly number[];
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
  /** Starts a successor and resolves when it is known who serves; never rejects for what a successor does. `signal` only ends waiting for a turn. */
  upgrade(
    order: UpgradeOrder,
    report: (progress: UpgradeProgress) => void,
    signal: AbortSignal,
  ): Promise<UpgradeOutcome>;
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
