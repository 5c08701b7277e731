import {
  agreeOnVersion,
  type DrainReport,
  type HandoverFrame,
  handoverText,
  maxBlobs,
  maxBlobText,
  maxHandoverFrameBytes,
  maxOfferedSockets,
  type OlderNews,
  type PeerFacts,
  type StateBlob,
} from "../../core/handover-frame.js";
import { begin, commit, type JournalOwner, settle } from "../../core/handover-journal.js";
import { type OldEffect, type OldInput, type OldState, oldStateFacts, oldTable } from "../../core/handover-old.js";
import type { UpgradeCause } from "../../core/upgrade-cause.js";
import type {
  ClaimReport,
  HandoverIdentity,
  HandoverStep,
  OldEnd,
  OldSession,
  OwnSocket,
} from "../../runtime/handover-ports.js";
import { native } from "../native/addon.js";
import { AwaitedStep } from "./awaited-step.js";
import { Engine } from "./engine.js";
import type { JournalUpdate } from "./journal-file.js";
import { OutgoingOffer } from "./outgoing-offer.js";
import type { HandoverWorld } from "./world.js";

/** HELLO and LEASE of a stranger are short. */
const strangerBytes = 16 * 1024;
/** Heartbeats within which one must have come for the other side to count as alive. */
const freshBeats = 1.5;
const noReport: DrainReport = { drained: 0, cut: 0, killed: 0, open: 0, seconds: 0 };

/** OLD's side of one connection: the table of core/handover-old.ts with a wire, a journal, and promises for the runtime. */
export class OwnerSession implements OldSession {
  readonly ended: Promise<OldEnd>;
  /** the connection is closed, nothing of this session is left */
  readonly over: Promise<void>;
  /** the process at the other end; 0: of another container */
  readonly pid: number;
  readonly #world: HandoverWorld;
  readonly #me: HandoverIdentity;
  readonly #engine: Engine<OldState, OldInput, OldEffect>;
  readonly #present: (session: OwnerSession) => void;
  readonly #offered = new AwaitedStep<ClaimReport, OldEnd>();
  readonly #ready = new AwaitedStep<readonly string[], OldEnd>();
  readonly #committed = new AwaitedStep<void, OldEnd>();
  readonly #finalized = new AwaitedStep<void, OldEnd>();
  #resolveEnded!: (end: OldEnd) => void;
  #resolveOver!: () => void;
  #end: OldEnd | undefined;
  #peer: PeerFacts | undefined;
  #offer: OutgoingOffer | undefined;
  #blobs: readonly StateBlob[] = [];
  #claim: ClaimReport | undefined;
  #lockFd = -1;
  #busy = { holder: "", reason: "", msLeft: 0 };
  #report = noReport;
  /** what there is to tell of generations before this one */
  #older: { readonly older?: OlderNews } = {};
  #leaves = false;
  /** what NEW waits for, as it said last */
  #waits = "";
  #tellWaits: (text: string) => void = () => {};

  /** Takes `fd` over. `present` gets the session when the candidate asks for a lease. */
  constructor(fd: number, world: HandoverWorld, me: HandoverIdentity, present: (session: OwnerSession) => void) {
    this.#world = world;
    this.#me = me;
    this.#present = present;
    this.pid = native().getPeerCredentials(fd).pid;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    const side = {
      table: oldTable,
      facts: oldStateFacts,
      first: "greeting",
      last: "over",
      peer: "NEW",
      screen: (frame: HandoverFrame) => this.#screen(frame),
      heard: (frame: HandoverFrame) => this.#hear(frame),
      held: () => (this.#waits === "" ? undefined : ({ reason: this.#waits, cause: "listener" } as const)),
      perform: (effect: OldEffect, { frame }: { frame: HandoverFrame | undefined }) => this.#perform(effect, frame),
    } as const;
    this.#engine = new Engine(fd, strangerBytes, side, world);
    const { nonce, generation, release, build, slot } = me;
    const facts = { nonce, generation, release, build, slot, pid: process.pid, attempt: "" };
    this.#engine.wire.send({ type: "HELLO", role: "old", versions: world.versions, facts });
  }

  get peer(): PeerFacts {
    if (this.#peer === undefined) throw new Error("nobody has said who it is yet");
    return this.#peer;
  }

  /** the candidate has been granted a lease, and it is not over */
  get holdsLease(): boolean {
    const { state } = this.#engine;
    return !["greeting", "greeted", "asked", "draining", "over"].includes(state);
  }

  /** it has not asked for a lease yet */
  get isStranger(): boolean {
    return ["greeting", "greeted"].includes(this.#engine.state);
  }

  /** its descriptor is closed */
  get isOver(): boolean {
    return this.#engine.state === "over";
  }

  /** Whether it has said nothing so far; what has come, and has not been read yet, is read for that. */
  isSilent(): boolean {
    this.#engine.wire.drain();
    return this.#engine.state === "greeting";
  }

  get msLeft(): number {
    const { msLeft } = this.#engine;
    return Math.round(Number.isFinite(msLeft) ? msLeft : this.#world.times.probationMs);
  }

  grant(sockets: readonly OwnSocket[], older?: OlderNews): HandoverStep<void, OldEnd> {
    if (!this.#expects("grant")) return this.#over();
    this.#older = older === undefined ? {} : { older };
    const problem = this.#prepare(sockets);
    if (problem === undefined) this.#engine.feed("grant");
    else this.abort(problem, "sockets");
    return this.#end === undefined ? { ok: true, value: undefined } : { ok: false, end: this.#end };
  }

  busy(reason: string, msLeft: number, holder = this.#me.release): void {
    if (!this.#expects("busy")) return;
    this.#busy = {
      holder: handoverText(holder),
      reason: handoverText(reason),
      msLeft: Math.max(0, Math.round(msLeft)),
    };
    this.#engine.feed("busy", { reason, cause: "busy" });
  }

  offer(blobs: readonly StateBlob[]): Promise<HandoverStep<ClaimReport, OldEnd>> {
    if (!this.#expects("offer")) return this.#offered.promise;
    this.#blobs = blobs;
    const long = blobs.find(({ text }) => text.length > maxBlobText);
    if (long !== undefined)
      this.abort(`state "${long.name}" has ${long.text.length} characters, at most ${maxBlobText} fit`, "other");
    else if (blobs.length > maxBlobs) this.abort(`there are ${blobs.length} states, at most ${maxBlobs} fit`, "other");
    else this.#engine.feed("offer");
    return this.#offered.promise;
  }

  onWaits(receive: (text: string) => void): void {
    this.#tellWaits = receive;
  }

  ready(): Promise<HandoverStep<readonly string[], OldEnd>> {
    return this.#ready.promise;
  }

  commit(lockFd: number): Promise<HandoverStep<void, OldEnd>> {
    if (!this.#expects("commit")) return this.#committed.promise;
    this.#lockFd = lockFd;
    this.#engine.feed("commit");
    return this.#committed.promise;
  }

  finalize(): Promise<HandoverStep<void, OldEnd>> {
    if (this.#expects("finalize")) this.#engine.feed("finalize");
    return this.#finalized.promise;
  }

  progress(report: DrainReport, older?: OlderNews): void {
    this.#report = report;
    this.#older = older === undefined ? {} : { older };
    this.#engine.feed("progress");
  }

  drained(report: DrainReport, older?: OlderNews): void {
    this.#report = report;
    this.#older = older === undefined ? {} : { older };
    this.#engine.feed("drained", { reason: "the services have ended", cause: "none" });
  }

  abort(reason: string, cause: UpgradeCause): void {
    this.#leaves ||= this.#isFresh;
    this.#engine.feed("abort", { reason, cause });
  }

  vanish(reason: string): void {
    if (this.#engine.state === "over") return;
    this.#engine.vanish(reason);
    this.#finish("end failed");
  }

  /** NEW has been heard not long ago. */
  get #isFresh(): boolean {
    return this.#engine.quietMs <= freshBeats * this.#world.times.heartbeatMs;
  }

  /** Whether to go on: not when it is over. @throws Error: called out of order, a bug of the caller */
  #expects(input: OldInput): boolean {
    if (this.#engine.accepts(input)) return true;
    if (
      this.#end === undefined &&
      !["reclaiming", "proving", "finalizing", "draining", "over"].includes(this.#engine.state)
    )
      throw new Error(`${input} came in state ${this.#engine.state}`);
    return false;
  }

  #over(): { readonly ok: false; readonly end: OldEnd } {
    return { ok: false, end: this.#end ?? this.#ending("failed") };
  }

  #ending(kind: OldEnd["kind"]): OldEnd {
    const { step, reason, cause } = this.#engine;
    return { kind, step, reason, cause, leaves: this.#leaves };
  }

  #hear(frame: HandoverFrame): void {
    if (frame.type === "READY") this.#waits = "";
    if (frame.type !== "PREPARING") return;
    const { waits = "" } = frame;
    if (waits !== this.#waits && waits !== "") this.#tellWaits(waits);
    this.#waits = waits;
  }

  /** What NEW says must fit what it was told. */
  #screen(frame: HandoverFrame): { garbage: string } | undefined {
    if (frame.type === "HELLO") {
      const { versions, role } = frame;
      const ours = this.#world.versions;
      if (agreeOnVersion(ours, versions) === undefined)
        return {
          garbage: `NEW speaks versions ${versions.min} to ${versions.max} of the handover protocol, ${ours.min} to ${ours.max} are spoken here`,
        };
      if (role !== "new") return { garbage: "NEW says that it is an owner itself" };
      if (frame.facts.attempt === "" || frame.facts.nonce === this.#me.nonce)
        return { garbage: "NEW has no order, or is this very generation" };
      this.#peer = frame.facts;
    }
    if (frame.type === "ABORT") this.#leaves = true;
    if (frame.type === "LEASE") this.#engine.wire.limit = maxHandoverFrameBytes;
    if (frame.type === "BATCH" && !this.#offer?.mayAcknowledge(frame.batch))
      return { garbage: `NEW acknowledged batch ${frame.batch}, which is not under way` };
    if (frame.type === "CLAIM") return this.#screenClaim(frame);
    return undefined;
  }

  #screenClaim(frame: Extract<HandoverFrame, { type: "CLAIM" }>): { garbage: string } | undefined {
    const unknown = frame.unknown.map((place) => this.#offer?.nameAt(place));
    const count = this.#offer?.count ?? 0;
    if (unknown.includes(undefined) || frame.taken + unknown.length !== count)
      return { garbage: `NEW claimed ${frame.taken} and left ${unknown.length} of ${count} sockets` };
    const names = unknown.filter((name): name is string => name !== undefined);
    this.#claim = { taken: frame.taken, unknown: names, missing: frame.missing };
    return undefined;
  }

  /** @returns why these cannot be offered */
  #prepare(sockets: readonly OwnSocket[]): string | undefined {
    if (sockets.length > maxOfferedSockets)
      return `there are ${sockets.length} sockets, at most ${maxOfferedSockets} can be handed over`;
    try {
      this.#offer = new OutgoingOffer(sockets);
      return undefined;
    } catch (error) {
      // too long a name, or a descriptor that is none
      return `cannot offer the sockets: ${(error as Error).message}`;
    }
  }

  #perform(effect: OldEffect, frame: HandoverFrame | undefined): OldInput | undefined {
    switch (effect) {
      case "present":
        queueMicrotask(() => this.#present(this));
        return undefined;
      case "send GRANTED":
        return this.#send({ type: "GRANTED", sockets: this.#offer?.count ?? 0, ...this.#older });
      case "send BUSY":
        return this.#send({ type: "BUSY", ...this.#busy });
      case "send OFFER":
        return this.#sendOffer();
      case "send STATE":
        return this.#sendState();
      case "send COMMIT":
        return this.#send({ type: "COMMIT" }, [this.#lockFd]);
      case "send FINALIZE":
        return this.#send({ type: "FINALIZE" });
      case "send PROGRESS":
        return this.#send({ type: "PROGRESS", report: this.#report, ...this.#older });
      case "send DRAINED":
        return this.#send({ type: "DRAINED", report: this.#report, ...this.#older });
      case "send ABORT":
        this.#engine.sayAbort();
        return undefined;
      case "listen back":
        return this.#isFresh ? "heard" : undefined;
      case "acknowledge":
        if (frame?.type === "BATCH") this.#offer?.acknowledge(frame.batch);
        return this.#offer?.complete ? "acknowledged" : this.#sendOffer();
      case "step":
        return this.#step(frame);
      case "write transferring":
      case "write committed":
      case "write finalized":
      case "write failed":
      case "decide":
        return this.#write(effect);
      case "end busy":
      case "end failed":
      case "end superseded":
      case "end undecided":
      case "end drained":
        return this.#finish(effect);
    }
  }

  #send(frame: HandoverFrame, fds: readonly number[] = []): undefined {
    this.#engine.wire.send(frame, fds);
    return undefined;
  }

  #sendOffer(): OldInput | undefined {
    try {
      this.#offer?.send(this.#engine.wire);
      return undefined;
    } catch (error) {
      // closed meanwhile
      this.#engine.blame(`cannot offer the sockets: ${(error as Error).message}`, "sockets");
      return "abort";
    }
  }

  #sendState(): undefined {
    const count = this.#blobs.length;
    for (const [i, blob] of this.#blobs.entries()) this.#send({ type: "STATE", index: i + 1, count, blob });
    return count === 0 ? this.#send({ type: "STATE", index: 0, count: 0 }) : undefined;
  }

  #step(frame: HandoverFrame | undefined): undefined {
    const { state } = this.#engine;
    if (state === "preparing" && frame?.type === "CLAIM" && this.#claim) this.#offered.done(this.#claim);
    if (state === "ready" && frame?.type === "READY") this.#ready.done(frame.stopFirst);
    if (state === "probation") this.#committed.done();
    if (state === "draining") this.#finalized.done();
    return undefined;
  }

  #write(effect: Extract<OldEffect, `write ${string}` | "decide">): OldInput | undefined {
    const { journal, clock } = this.#world;
    const old = this.#me;
    const { nonce, attempt } = this.peer;
    const at = clock.wall();
    if (effect === "write failed") {
      // if it cannot be written, nothing is lost: the owner has not changed
      journal.update((found) => settle(found, old, "failed", this.#engine.reason, at).journal);
      return undefined;
    }
    if (effect === "write transferring")
      return this.#told(journal.update((found) => begin(found, { old, nonce, attempt }, at)));
    if (effect === "write committed") {
      const successor = this.#successor(at);
      return this.#told(journal.update((found) => commit(found, { old, successor, attempt }, at), { reserve: true }));
    }
    return this.#settle(effect === "decide" ? "failed" : "finalized", at);
  }

  #settle(verdict: "failed" | "finalized", at: number): OldInput {
    let owns = true;
    const update = this.#world.journal.update(
      (found) => {
        const decision = settle(found, this.#me, verdict, this.#engine.reason, at, true);
        owns = decision.owns;
        return decision.journal;
      },
      { last: true },
    );
    if (update.kind !== "written") return "unavailable";
    if (verdict === "failed") return owns ? "kept" : "lost";
    return owns ? "refused" : "written";
  }

  #told(update: JournalUpdate): OldInput {
    if (update.kind !== "written") this.#engine.blame(update.reason, "journal");
    return update.kind;
  }

  #successor(since: number): JournalOwner {
    const { nonce, generation, release, build, slot } = this.peer;
    return { nonce, generation, release, build, slot, since };
  }

  #finish(effect: Extract<OldEffect, `end ${string}`>): undefined {
    const word = effect.slice(4);
    const kind = word === "busy" ? "failed" : (word as OldEnd["kind"]);
    const end = this.#ending(kind);
    this.#end ??= end;
    this.#resolveEnded(end);
    if (this.#engine.state === "over") this.#resolveOver();
    for (const each of [this.#offered, this.#ready, this.#committed, this.#finalized]) each.end(end);
    return undefined;
  }
}
