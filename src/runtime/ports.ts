/**
 * The runtime's only way to the world. Adapters implement these; tests replace them; nothing here is a library's type.
 * `deadline` and `now` are CLOCK_MONOTONIC milliseconds, the same in every process of the machine.
 */
import type { DrainReport, OfferedSocket, OlderNews, PeerFacts, StateBlob } from "../core/handover-frame.js";
import type { Journal, JournalOwner } from "../core/handover-journal.js";
import type { Identity, ListenerSpec, ProbeAction, ResourceLimit } from "../core/plan.js";
import type { Snapshot, Transition } from "../core/snapshot.js";
import type { UpgradeCause } from "../core/upgrade-cause.js";
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
  readonly fd: number;
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
  /**
   * A socket of the same family and type as the listener's, at an address that nobody has been told: a free port of loopback, or a path of
   * its own. Passed as the listener is; nginx, which finds what it is given by its address, has to adopt it.
   * @throws EntryError os, with the reason
   */
  bindPrivate(listener: BoundListener): BoundListener;
  /** Gives the path of a unix socket the mode of its spec; nothing for others. @throws Error EPERM: it is another user's */
  setMode(listener: BoundListener): void;
  /** a socket that nobody serves any more, here or elsewhere: removes its unix path, when that is still its own */
  remove(listener: BoundListener): void;
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
    processes: readonly { readonly instance: string; readonly pid: number }[],
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
      /** others accepted on the same sockets, and were faster each time: nothing was learnt of the processes that were asked */
      readonly lost?: true;
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

// --- Handover: how a generation takes over from another. The protocol is drawn in core/handover-frame.ts.

export type { DrainReport, Journal, OfferedSocket, OlderNews, PeerFacts, StateBlob };

/** Who this generation is: told to every peer and, when it owns, written in the journal. The nonce is one life of a generation, kept across restarts of its supervisor. */
export type HandoverIdentity = JournalOwner;

/** A listening socket to be offered. What the kernel knows (inode, whether it listens) is added when it is sent; the fd stays the caller's. */
export interface OwnSocket extends Omit<OfferedSocket, "inode" | "listening"> {
  readonly fd: number;
}

/** A socket that came from OLD; the fd is CLOEXEC, and was found to be the socket that was offered (inode, listening). */
export interface InheritedSocket extends OfferedSocket {
  readonly fd: number;
}

/** What NEW did with what it was offered; `unknown`: names that it has no use for; `missing`: names that it needed besides. */
export interface ClaimReport {
  readonly taken: number;
  readonly unknown: readonly string[];
  readonly missing: readonly string[];
}

/** A step ends well, or ends the session: `end` is then the same value as the session's `ended`. */
export type HandoverStep<Value, End> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly end: End };

/**
 * How a session ended for OLD. `reason` is for people.
 * failed: OLD is the owner as before, the attempt is over. superseded: NEW is the owner, decided without us: drain (progress and
 * drained may still be told). undecided: the journal could be neither read nor written for HandoverTimes.decideMs; whoever knows that
 * NEW is dead (or has killed it) asks `Handover.recover`. drained: told, after finalize or superseded, or nobody listens any more.
 */
export interface OldEnd {
  readonly kind: "failed" | "superseded" | "undecided" | "drained";
  /** the state of core/handover-old.ts in which it ended */
  readonly step: string;
  readonly reason: string;
  readonly cause: UpgradeCause;
  /** NEW has said so itself, or lives and is told: it ends its services in its own time */
  readonly leaves: boolean;
}

/**
 * One candidate, for the owner. Everything is awaited in this order: grant, offer, ready, commit, finalize, drained; each ends within
 * its deadline of HandoverTimes, and nothing that the peer does throws. A call out of order is a bug and throws.
 */
export interface OldSession {
  readonly peer: PeerFacts;
  /** settles when the session is over, or as soon as it is known who owns without a finalize of ours */
  readonly ended: Promise<OldEnd>;
  /**
   * NEW may have these sockets (and is told of generations older than OLD), whose fds stay open until `ended` or finalize. Prepares the offer and writes the attempt into the journal: what
   * cannot be offered or written (disk full) is refused before anything has changed, and told to NEW.
   */
  grant(sockets: readonly OwnSocket[], older?: OlderNews): HandoverStep<void, OldEnd>;
  /** not now; NEW hears the reason and when to ask again */
  busy(reason: string, msLeft: number): void;
  /** sends the sockets, in batches; resolves when NEW has claimed, which gets the blobs then */
  offer(blobs: readonly StateBlob[]): Promise<HandoverStep<ClaimReport, OldEnd>>;
  /** NEW says what holds it up; asked for before `offer` */
  onWaits(receive: (text: string) => void): void;
  /** resolves when NEW says READY */
  ready(): Promise<HandoverStep<void, OldEnd>>;
  /**
   * Journal, then COMMIT with a copy of the lock; resolves when NEW says OWNED: probation has begun. The caller keeps its lockFd.
   * `failed` after this: the journal says that we own.
   */
  commit(lockFd: number): Promise<HandoverStep<void, OldEnd>>;
  /** Probation is over: journal, then FINALIZE. From then on NEW owns; the caller closes its copies of the lock and of the sockets. */
  finalize(): Promise<HandoverStep<void, OldEnd>>;
  /** told to NEW while services end; dropped when nobody listens */
  progress(report: DrainReport, older?: OlderNews): void;
  drained(report: DrainReport, older?: OlderNews): void;
  /** Ends the attempt at any step before finalize. After commit the journal decides: await `ended`. Never throws; nothing when it is over. */
  abort(reason: string, cause: UpgradeCause): void;
}

/**
 * How a session ended for NEW.
 * failed: OLD is (or will be) the owner; this generation must go. old-gone: no generation is there any more and nothing was taken
 * over: become owner oneself. undecided: as for OLD. done: NEW is the owner and OLD has drained, or is gone.
 */
export interface NewEnd {
  readonly kind: "failed" | "old-gone" | "undecided" | "done";
  /** the state of core/handover-new.ts in which it ended */
  readonly step: string;
  readonly reason: string;
}

export interface Promotion {
  /** the owner's lock; belongs to the caller. Held by OLD, too, until it finalizes. */
  readonly lockFd: number;
  /**
   * committed: OLD handed over; `owned` and `probation` follow. promoted: the whole old generation is gone, we are the owner, and the
   * journal says so: there is no probation.
   */
  readonly how: "committed" | "promoted";
}

/** One owner, for the candidate. In this order: claim, ready, owned, probation. Heartbeats go by themselves. */
export interface NewSession {
  readonly peer: PeerFacts;
  readonly ended: Promise<NewEnd>;
  /** what was offered, checked. Until `claim` the fds are the session's. */
  readonly sockets: readonly InheritedSocket[];
  /** what OLD knew of generations before it when it let us in; undefined: its release says nothing of them */
  readonly older: OlderNews | undefined;
  /** Names of the sockets that are taken: their fds are the caller's from now on, all others are closed and reported. Resolves with OLD's state. */
  claim(taken: ReadonlySet<string>, missing: readonly string[]): Promise<HandoverStep<readonly StateBlob[], NewEnd>>;
  /** What holds this generation up, for OLD to tell; "": nothing any more. */
  waits(text: string): void;
  /** The required services are ready. Resolves at COMMIT, or when this generation was promoted because the old one is gone. */
  ready(): Promise<HandoverStep<Promotion, NewEnd>>;
  /** The lock is held, this generation does what an owner does. Only after `ready` resolved with `committed`. */
  owned(): void;
  /** Resolves when the journal says that we own: `finalize` by OLD, `decision` by us because OLD is gone. failed: OLD took back. */
  probation(): Promise<HandoverStep<"finalize" | "decision", NewEnd>>;
  /** OLD's services end; the last call has `drained` */
  onProgress(receive: (report: DrainReport, drained: boolean, older: OlderNews | undefined) => void): void;
  /** Ends the attempt. After `ready` OLD has to take back: await `ended`, or `probation` (OLD may be gone: then we own all the same). */
  abort(reason: string, cause: UpgradeCause): void;
}

/** The owner's place: lock, socket, journal. */
export interface Owner {
  /** belongs to this object until it is closed; to be held with the init as `upgrade:lock` */
  readonly lockFd: number;
  /**
   * Listens at the path again: a successor that was taken back had put its own socket there.
   * @throws Error when the socket cannot be made
   */
  reopen(): void;
  /** As if this process had died: candidates find the connection closed and the lock free, and the journal as it is. */
  vanish(reason: string): void;
  /** Ends sessions that are not granted, stops listening, closes its copy of the lock. The path is left: it may be another's by now. */
  close(): void;
}

export type OpenedOwner =
  | { readonly kind: "owner"; readonly owner: Owner }
  /** another generation holds the lock; `journal` as it was found */
  | { readonly kind: "held"; readonly journal: Journal | undefined };

export type DialledOwner =
  | { readonly kind: "session"; readonly session: NewSession }
  /** nobody listens; the lock tells whether there is an owner (`openOwner`) */
  | { readonly kind: "nobody"; readonly reason: string }
  | { readonly kind: "busy"; readonly holder: string; readonly reason: string; readonly msLeft: number }
  /** versions, credentials, limits, silence: nothing has changed */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * The upgrade directory. All of it fails with EntryError os only for what is wrong on this side (directory, permissions, journal that cannot
 * be read).
 */
export interface Handover {
  /** as it is written now; undefined: there has been no owner */
  journal(): Journal | undefined;
  /**
   * Becomes the owner when the lock is free, or holds it already (`lockFd`: from COMMIT, from a promotion, or from the init after a restart;
   * taken over). A lock that was free makes an owner, whatever the journal says; one that was given does when the journal names nobody
   * else (else: `held`). Then listens. `candidate` gets who asks for a lease; while one session lasts,
   * others are told BUSY without it, and `refused` is called.
   */
  openOwner(options: {
    readonly me: HandoverIdentity;
    readonly lockFd?: number;
    candidate(session: OldSession): void;
    readonly refused?: () => void;
  }): Promise<OpenedOwner>;
  /** Asks the owner for a lease as attempt `attempt`; resolves when all sockets have arrived, or with why not. */
  dialOwner(options: {
    readonly me: HandoverIdentity;
    readonly attempt: string;
    readonly signal?: AbortSignal;
  }): Promise<DialledOwner>;
  /**
   * A supervisor that was restarted, or that a session left undecided: what the journal says of this generation, after an attempt that nobody
   * decided was decided for us. owner: go on as owner; superseded: drain; failed: a candidate that did not become owner.
   */
  recover(me: HandoverIdentity, reason: string): "owner" | "superseded" | "failed";
  /** As dialOwner, over a connection made otherwise (pingora's way to meet). Takes the fd over. */
  dialOver(fd: number, options: { readonly me: HandoverIdentity; readonly attempt: string }): Promise<DialledOwner>;
  /** The owner's end of a connection made otherwise: as one that came to its socket. Takes the fd over. */
  acceptOver(fd: number): void;
  /** the lock's file, opened anew and not locked: for STANDBY. Belongs to the caller. */
  openLock(): number;
}

// --- pingora's own way to hand over: one message over upgrade_sock, without an answer.

/** A listening socket that came from a pingora; `key` is what pingora calls it. The fd is CLOEXEC and the receiver's. */
export interface PingoraSocket {
  readonly key: string;
  readonly fd: number;
  readonly inode: number;
  readonly type: "stream" | "dgram" | "seqpacket";
  readonly address: string;
}

/** Who was sent the sockets, as far as it can be seen. Reasons are for people; undefined: all is well. */
export interface PingoraSuccessor {
  /** 0: of another PID namespace */
  readonly pid: number;
  /** a server of this kind with another upgrade directory, and no pingora */
  readonly ours: boolean;
  /** resolves when it has read the message, or why it has not */
  received(deadline: number, signal: AbortSignal): Promise<string | undefined>;
  /** resolves at the deadline when it still lives and accepts, or as soon as it is gone */
  proved(deadline: number, signal: AbortSignal): Promise<string | undefined>;
  close(): void;
}

export type PingoraSent =
  | { readonly kind: "sent"; readonly successor: PingoraSuccessor }
  /** one of ours, by the same upgrade directory: for Handover.acceptOver */
  | { readonly kind: "ours"; readonly connection: number }
  /** nothing was sent */
  | { readonly kind: "failed"; readonly reason: string };

export interface PingoraHandover {
  readonly path: string;
  /** Waits for somebody at upgrade_sock, tries counted, and sends. Never rejects for what a peer does. */
  send(
    sockets: readonly { readonly key: string; readonly fd: number }[],
    options: { readonly signal: AbortSignal; readonly retrying: (reason: string, tries: number) => void },
  ): Promise<PingoraSent>;
}
