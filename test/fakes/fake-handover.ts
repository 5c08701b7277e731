import { EntryError } from "../../src/core/entry-error.js";
import type { DrainReport, StateBlob } from "../../src/core/handover-frame.js";
import {
  appoint,
  begin,
  commit,
  type Journal,
  partOf,
  promote,
  settle,
  settleAlone,
} from "../../src/core/handover-journal.js";
import type {
  ClaimReport,
  DialledOwner,
  Handover,
  HandoverIdentity,
  HandoverStep,
  InheritedSocket,
  NewEnd,
  NewSession,
  OldEnd,
  OlderNews,
  OldSession,
  OpenedOwner,
  OwnSocket,
  PeerFacts,
  Promotion,
} from "../../src/runtime/handover-ports.js";

/** Something that is settled once, by whoever is first. */
class Once<Value> {
  settled = false;
  readonly promise: Promise<Value>;
  #resolve!: (value: Value) => void;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  set(value: Value): void {
    this.settled = true;
    this.#resolve(value);
  }
}

type Seat = { readonly me: HandoverIdentity; candidate(session: OldSession): void };

/**
 * An upgrade directory in memory: generations that are given the same place meet in it. The journal is the real one. What goes wrong is told
 * by the test: `lose`, `diskFull`, `generationGone`.
 */
export class FakePlace {
  journal: Journal | undefined;
  owner: Seat | undefined;
  /** nonces of the generations that have the owner's lock open */
  readonly lockHolders = new Set<string>();
  /** before COMMIT, writing the journal is refused */
  diskFull = false;
  /** the journal can be neither read nor written */
  unusable = false;
  /** newest last */
  readonly pairs: FakePair[] = [];
  #fd = 1000;

  nextFd(): number {
    return this.#fd++;
  }

  get latest(): FakePair {
    const pair = this.pairs.at(-1);
    if (pair === undefined) throw new Error("nobody has dialled yet");
    return pair;
  }

  /** a whole generation is dead: its copies of the lock are gone */
  generationGone(nonce: string): void {
    this.lockHolders.delete(nonce);
    if (this.owner?.me.nonce === nonce) this.owner = undefined;
    const pair = this.pairs.at(-1);
    if (pair?.oldMe.nonce === nonce) pair.lose("old");
    if (pair?.newMe.nonce === nonce) pair.lose("new");
  }
}

/** One attempt, seen from both sides. `state` is how far it came. */
export class FakePair {
  readonly place: FakePlace;
  readonly oldMe: HandoverIdentity;
  readonly newMe: HandoverIdentity;
  readonly attempt: string;
  readonly dialled = new Once<DialledOwner>();
  readonly old: FakeOldSession;
  readonly new: FakeNewSession;
  state: "asked" | "granted" | "offered" | "claimed" | "ready" | "committed" | "probation" | "finalized" | "over" =
    "asked";
  sockets: readonly OwnSocket[] = [];

  constructor(place: FakePlace, oldMe: HandoverIdentity, newMe: HandoverIdentity, attempt: string) {
    this.place = place;
    this.oldMe = oldMe;
    this.newMe = newMe;
    this.attempt = attempt;
    this.old = new FakeOldSession(this);
    this.new = new FakeNewSession(this);
  }

  /** This side has died or fallen silent: the other does what it does then. */
  lose(side: "old" | "new", reason = `${side} is gone`): void {
    if (this.state === "finalized" || this.state === "over") {
      if (side === "old") this.new.end("done", reason);
    } else if (side === "new") this.fail(reason);
    else if (this.state === "committed" || this.state === "probation") this.decide(reason);
    else if (this.state === "claimed" || this.state === "ready") this.inherit(reason);
    else this.new.end("old-gone", reason);
  }

  /** The lock is free: NEW is the owner. It is held: OLD lives, and NEW has failed. */
  inherit(reason: string): void {
    const { place, newMe, oldMe, attempt } = this;
    const promoted = place.lockHolders.size > 0 ? reason : promote(place.journal, newMe, oldMe.nonce, attempt, 0);
    if (typeof promoted === "string") {
      this.fail(promoted);
      return;
    }
    place.journal = promoted;
    place.lockHolders.add(newMe.nonce);
    this.state = "finalized";
    this.new.promoted();
  }

  /** OLD is the owner as before. */
  fail(reason: string): void {
    if (this.state === "finalized" || this.state === "over") return;
    const { owns, journal } = settle(this.place.journal, this.oldMe, "failed", reason, 0);
    this.place.journal = journal;
    this.place.lockHolders.delete(this.newMe.nonce);
    this.old.end(owns ? "failed" : "superseded", reason);
    this.new.end("failed", reason);
    this.state = "over";
  }

  /** NEW decides that it owns, because OLD is silent. */
  decide(reason: string): void {
    this.place.journal = settle(this.place.journal, this.newMe, "finalized", reason, 0).journal;
    this.state = "finalized";
    this.old.end("superseded", reason);
    this.new.probationStep.set({ ok: true, value: "decision" });
  }
}

function factsOf(me: HandoverIdentity, attempt: string): PeerFacts {
  const { generation, release, build, nonce, slot } = me;
  return { generation, release, build, nonce, slot, attempt, pid: 4711 };
}

export class FakeOldSession implements OldSession {
  readonly peer: PeerFacts;
  readonly #pair: FakePair;
  readonly #ended = new Once<OldEnd>();
  readonly #steps = {
    offer: new Once<HandoverStep<ClaimReport, OldEnd>>(),
    ready: new Once<HandoverStep<readonly string[], OldEnd>>(),
    commit: new Once<HandoverStep<void, OldEnd>>(),
    finalize: new Once<HandoverStep<void, OldEnd>>(),
  };
  blobs: readonly StateBlob[] = [];

  constructor(pair: FakePair) {
    this.#pair = pair;
    this.peer = factsOf(pair.newMe, pair.attempt);
  }

  get ended(): Promise<OldEnd> {
    return this.#ended.promise;
  }

  grant(sockets: readonly OwnSocket[], older?: OlderNews): HandoverStep<void, OldEnd> {
    this.#pair.new.older = older;
    const { place, oldMe, attempt, newMe } = this.#pair;
    const journal = place.diskFull
      ? "cannot write the journal: no space left"
      : begin(place.journal, { old: oldMe, nonce: newMe.nonce, attempt }, 0);
    if (typeof journal === "string") {
      const end = this.end("failed", journal);
      this.#pair.dialled.set({ kind: "refused", reason: journal });
      this.#pair.state = "over";
      return { ok: false, end };
    }
    place.journal = journal;
    this.#pair.sockets = sockets;
    this.#pair.state = "granted";
    return { ok: true, value: undefined };
  }

  busy(reason: string, msLeft: number): void {
    this.end("failed", reason);
    this.#pair.state = "over";
    this.#pair.dialled.set({ kind: "busy", holder: this.#pair.oldMe.release, reason, msLeft });
  }

  offer(blobs: readonly StateBlob[]): Promise<HandoverStep<ClaimReport, OldEnd>> {
    this.blobs = blobs;
    if (this.#pair.state === "granted") {
      this.#pair.state = "offered";
      this.#pair.dialled.set({ kind: "session", session: this.#pair.new });
    }
    return this.#steps.offer.promise;
  }

  ready(): Promise<HandoverStep<readonly string[], OldEnd>> {
    return this.#steps.ready.promise;
  }

  commit(_lockFd: number): Promise<HandoverStep<void, OldEnd>> {
    const { place, oldMe, newMe, attempt } = this.#pair;
    if (this.#pair.state !== "ready") return this.#steps.commit.promise;
    const journal = place.diskFull
      ? "cannot write the journal: no space left"
      : commit(place.journal, { old: oldMe, successor: newMe, attempt }, 0);
    if (typeof journal === "string") this.#pair.fail(journal);
    else {
      place.journal = journal;
      place.lockHolders.add(newMe.nonce);
      this.#pair.state = "committed";
      this.#pair.new.readyStep.set({ ok: true, value: { lockFd: place.nextFd(), how: "committed" } });
    }
    return this.#steps.commit.promise;
  }

  finalize(): Promise<HandoverStep<void, OldEnd>> {
    const pair = this.#pair;
    if (pair.state === "probation") {
      pair.place.journal = settle(pair.place.journal, pair.oldMe, "finalized", "", 0).journal;
      pair.state = "finalized";
      pair.new.probationStep.set({ ok: true, value: "finalize" });
      this.#steps.finalize.set({ ok: true, value: undefined });
    }
    return this.#steps.finalize.promise;
  }

  onWaits(): void {}

  progress(report: DrainReport, older?: OlderNews): void {
    this.#pair.new.report(report, false, older);
  }

  drained(report: DrainReport, older?: OlderNews): void {
    this.end("drained", "the services have ended");
    this.#pair.new.report(report, true, older);
    this.#pair.new.end("done", "OLD has drained");
    this.#pair.state = "over";
  }

  abort(reason: string): void {
    this.#pair.fail(reason);
  }

  /** @internal what the other side did */
  readied(stopFirst: readonly string[]): void {
    this.#steps.ready.set({ ok: true, value: stopFirst });
  }

  /** @internal */
  owned(): void {
    this.#steps.commit.set({ ok: true, value: undefined });
  }

  /** @internal */
  claimed(report: ClaimReport): void {
    this.#steps.offer.set({ ok: true, value: report });
  }

  /** @internal */
  end(kind: OldEnd["kind"], reason: string): OldEnd {
    const end: OldEnd = { kind, step: this.#pair.state, reason, cause: "other", leaves: false };
    this.#ended.set(end);
    for (const step of Object.values(this.#steps)) step.set({ ok: false, end });
    return end;
  }
}

export class FakeNewSession implements NewSession {
  readonly peer: PeerFacts;
  readonly readyStep = new Once<HandoverStep<Promotion, NewEnd>>();
  readonly probationStep = new Once<HandoverStep<"finalize" | "decision", NewEnd>>();
  readonly #claimStep = new Once<HandoverStep<readonly StateBlob[], NewEnd>>();
  readonly #ended = new Once<NewEnd>();
  readonly #pair: FakePair;
  older: OlderNews | undefined;
  readonly #reports: [DrainReport, boolean, OlderNews | undefined][] = [];
  #receive: Parameters<NewSession["onProgress"]>[0] | undefined;
  #sockets: readonly InheritedSocket[] | undefined;
  #promoted = false;
  #isReady = false;
  /** of the sockets that were not claimed */
  readonly closed: number[] = [];

  constructor(pair: FakePair) {
    this.#pair = pair;
    this.peer = factsOf(pair.oldMe, "");
  }

  get ended(): Promise<NewEnd> {
    return this.#ended.promise;
  }

  get sockets(): readonly InheritedSocket[] {
    this.#sockets ??= this.#pair.sockets.map((socket) => ({
      ...socket,
      inode: socket.fd,
      listening: socket.type !== "dgram",
      fd: this.#pair.place.nextFd(),
    }));
    return this.#sockets;
  }

  waits(): void {}

  claim(taken: ReadonlySet<string>, missing: readonly string[]): Promise<HandoverStep<readonly StateBlob[], NewEnd>> {
    const left = this.sockets.filter(({ name }) => !taken.has(name));
    this.closed.push(...left.map(({ fd }) => fd));
    if (this.#pair.state === "offered") {
      this.#pair.state = "claimed";
      const report = { taken: this.sockets.length - left.length, unknown: left.map(({ name }) => name), missing };
      this.#pair.old.claimed(report);
      this.#claimStep.set({ ok: true, value: this.#pair.old.blobs });
    }
    return this.#claimStep.promise;
  }

  ready(stopFirst: readonly string[] = []): Promise<HandoverStep<Promotion, NewEnd>> {
    this.#isReady = true;
    if (this.#promoted) this.#promote();
    if (this.#pair.state === "claimed") {
      this.#pair.state = "ready";
      this.#pair.old.readied(stopFirst);
    }
    return this.readyStep.promise;
  }

  owned(): void {
    if (this.#pair.state !== "committed") return;
    this.#pair.state = "probation";
    this.#pair.old.owned();
  }

  probation(): Promise<HandoverStep<"finalize" | "decision", NewEnd>> {
    return this.probationStep.promise;
  }

  onProgress(receive: Parameters<NewSession["onProgress"]>[0]): void {
    this.#receive = receive;
    for (const report of this.#reports.splice(0)) receive(...report);
  }

  abort(reason: string): void {
    this.#pair.fail(reason);
  }

  /** @internal */
  report(...report: [DrainReport, boolean, OlderNews | undefined]): void {
    if (this.#receive) this.#receive(...report);
    else this.#reports.push(report);
  }

  /** @internal the whole old generation is gone */
  promoted(): void {
    this.#promoted = true;
    if (this.#isReady) this.#promote();
  }

  /** @internal */
  end(kind: NewEnd["kind"], reason: string): void {
    const end: NewEnd = { kind, step: this.#pair.state, reason };
    this.#ended.set(end);
    for (const step of [this.#claimStep, this.readyStep, this.probationStep]) step.set({ ok: false, end });
    this.#pair.dialled.set(kind === "old-gone" ? { kind: "nobody", reason } : { kind: "refused", reason });
  }

  #promote(): void {
    this.readyStep.set({ ok: true, value: { lockFd: this.#pair.place.nextFd(), how: "promoted" } });
    this.probationStep.set({ ok: true, value: "decision" });
  }
}

/** One generation's view of a place. */
export class FakeHandover implements Handover {
  readonly place: FakePlace;

  constructor(place: FakePlace) {
    this.place = place;
  }

  journal(): Journal | undefined {
    return this.place.journal;
  }

  openOwner(options: Seat & { readonly lockFd?: number }): Promise<OpenedOwner> {
    const { place } = this;
    const { nonce } = options.me;
    if (![...place.lockHolders].every((holder) => holder === nonce) && options.lockFd === undefined)
      return Promise.resolve({ kind: "held", journal: place.journal });
    place.lockHolders.add(nonce);
    if (place.journal?.owner.nonce !== nonce) place.journal = appoint(place.journal, options.me);
    place.owner = options;
    const close = () => {
      place.lockHolders.delete(nonce);
      if (place.owner === options) place.owner = undefined;
    };
    return Promise.resolve({
      kind: "owner",
      owner: { lockFd: options.lockFd ?? place.nextFd(), reopen() {}, mend: () => false, vanish() {}, close },
    });
  }

  dialOwner(options: {
    readonly me: HandoverIdentity;
    readonly attempt: string;
    readonly signal?: AbortSignal;
  }): Promise<DialledOwner> {
    const { place } = this;
    if (place.owner === undefined) return Promise.resolve({ kind: "nobody", reason: "nobody listens" });
    const before = place.pairs.at(-1);
    if (before !== undefined && before.state !== "over" && before.state !== "finalized")
      return Promise.resolve({
        kind: "busy",
        holder: before.newMe.release,
        reason: `attempt ${before.attempt} is under way`,
        msLeft: 1000,
      });
    const pair = new FakePair(place, place.owner.me, options.me, options.attempt);
    place.pairs.push(pair);
    options.signal?.addEventListener("abort", () => pair.fail("it is not wanted any more"), { once: true });
    place.owner.candidate(pair.old);
    return pair.dialled.promise;
  }

  dialOver(_fd: number, options: { readonly me: HandoverIdentity; readonly attempt: string }): Promise<DialledOwner> {
    return this.dialOwner(options);
  }

  acceptOver(_fd: number): void {
    throw new Error("a fake has no connections");
  }

  recover(
    me: HandoverIdentity,
    reason: string,
    { owned }: { readonly owned: boolean },
  ): "owner" | "superseded" | "failed" {
    const { place } = this;
    if (place.unusable) throw new EntryError("os", "cannot read the upgrade journal: EIO");
    const part = partOf(place.journal?.attempt, me);
    const { owns, journal } = settleAlone(place.journal, me, reason, 0, owned);
    place.journal = journal;
    if (owns) return "owner";
    return part === "new" ? "failed" : "superseded";
  }

  openLock(): number {
    return this.place.nextFd();
  }
}
