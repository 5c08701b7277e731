/** The ports by which a generation takes over from another. The protocol is drawn in core/handover-frame.ts. */
import type { DrainReport, OfferedSocket, OlderNews, PeerFacts, StateBlob } from "../core/handover-frame.js";
import type { Journal, JournalOwner } from "../core/handover-journal.js";
import type { UpgradeCause } from "../core/upgrade-cause.js";

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
  /** resolves when NEW says READY, with the services that it wants stopped before it is committed, besides those that would be anyway */
  ready(): Promise<HandoverStep<readonly string[], OldEnd>>;
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
  /**
   * The required services are ready; OLD stops these of its own before COMMIT. Resolves then, or when this generation was promoted because the
   * old one is gone.
   */
  ready(stopFirst?: readonly string[]): Promise<HandoverStep<Promotion, NewEnd>>;
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
  /** belongs to this object until it is closed; to be held with the init as `upgrade:lock`. Another one after `mend`, and when the given one's file was gone */
  readonly lockFd: number;
  /**
   * Listens at the path again: a successor that was taken back had put its own socket there.
   * @throws Error when the socket cannot be made
   */
  reopen(): void;
  /**
   * Makes anew what somebody has removed from the directory, or the directory itself: lock, journal, socket. Not during an attempt.
   * @returns whether the lock is another one now
   * @throws Error when that cannot be done, or another generation was faster
   */
  mend(): boolean;
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
    /** that this generation was started with: used up when it becomes the owner because nobody else is */
    readonly order?: string | undefined;
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
   * `owned`: it has been the owner, on probation or for good, and nobody has told it otherwise: what the answer is when the journal is
   * gone. `lockFd`: the lock it had; when that is not in the directory any more, what others have written there since is no word to us.
   * @throws EntryError os: it cannot be decided, or another generation owns a directory that was made anew
   */
  recover(
    me: HandoverIdentity,
    reason: string,
    facts: { readonly owned: boolean; readonly lockFd?: number | undefined },
  ): "owner" | "superseded" | "failed";
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
