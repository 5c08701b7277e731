import {
  agreeOnVersion,
  type HandoverFrame,
  handoverText,
  maxHandoverFrameBytes,
  maxMissingNames,
  maxStopFirst,
  type OlderNews,
  type PeerFacts,
  type StateBlob,
} from "../../core/handover-frame.js";
import { promote, settle } from "../../core/handover-journal.js";
import { type NewEffect, type NewInput, type NewState, newStateFacts, newTable } from "../../core/handover-new.js";
import type { UpgradeCause } from "../../core/upgrade-cause.js";
import type {
  DialledOwner,
  DrainReport,
  HandoverIdentity,
  HandoverStep,
  InheritedSocket,
  NewEnd,
  NewSession,
  Promotion,
} from "../../runtime/handover-ports.js";
import { native } from "../native/addon.js";
import { AwaitedStep } from "./awaited-step.js";
import { openLockFile } from "./directory.js";
import { Engine } from "./engine.js";
import { makeRoomForFiles } from "./file-limit.js";
import { IncomingOffer } from "./incoming-offer.js";
import type { HandoverWorld } from "./world.js";

/** NEW's side of one connection: the table of core/handover-new.ts with a wire, the journal, the lock, and promises for the runtime. */
export class CandidateSession implements NewSession {
  readonly ended: Promise<NewEnd>;
  readonly #world: HandoverWorld;
  readonly #me: HandoverIdentity;
  readonly #attempt: string;
  readonly #engine: Engine<NewState, NewInput, NewEffect>;
  readonly #dialled: (result: DialledOwner) => void;
  readonly #claimed = new AwaitedStep<readonly StateBlob[], NewEnd>();
  readonly #ready = new AwaitedStep<Promotion, NewEnd>();
  readonly #probation = new AwaitedStep<"finalize" | "decision", NewEnd>();
  #resolveEnded!: (end: NewEnd) => void;
  #end: NewEnd | undefined;
  #peer: PeerFacts | undefined;
  #offer = new IncomingOffer(0);
  #claim = { taken: 0, unknown: [] as readonly number[], missing: [] as readonly string[] };
  #stopFirst: readonly string[] = [];
  #promised = 0;
  #batch = 0;
  #acknowledging = false;
  #blobs: StateBlob[] = [];
  #decided = false;
  #waits = "";
  /** ours until it is given to the runtime */
  #lockFd: number | undefined;
  #older: OlderNews | undefined;
  #reports: (readonly [report: DrainReport, drained: boolean, older: OlderNews | undefined])[] = [];
  #receive: Parameters<NewSession["onProgress"]>[0] | undefined;

  /** Takes `fd` over. `dialled` gets the session when all sockets are there, or why there is none. */
  constructor(
    fd: number,
    world: HandoverWorld,
    who: { readonly me: HandoverIdentity; readonly attempt: string },
    dialled: (result: DialledOwner) => void,
  ) {
    this.#world = world;
    this.#me = who.me;
    this.#attempt = who.attempt;
    this.#dialled = dialled;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const side = {
      table: newTable,
      facts: newStateFacts,
      first: "greeting",
      last: "over",
      peer: "OLD",
      screen: (frame: HandoverFrame, fds: readonly number[]) => this.#screen(frame, fds),
      beat: (type: HandoverFrame["type"]) => (type === "PREPARING" ? this.#preparing : undefined),
      perform: (effect: NewEffect, what: { frame: HandoverFrame | undefined; fds: number[] }) =>
        this.#perform(effect, what.frame, what.fds),
    } as const;
    this.#engine = new Engine(fd, maxHandoverFrameBytes, side, world);
    const { nonce, generation, release, build, slot } = who.me;
    const facts = { nonce, generation, release, build, slot, pid: process.pid, attempt: who.attempt };
    this.#engine.wire.send({ type: "HELLO", role: "new", versions: world.versions, facts });
  }

  get peer(): PeerFacts {
    if (this.#peer === undefined) throw new Error("nobody has said who it is yet");
    return this.#peer;
  }

  get older(): OlderNews | undefined {
    return this.#older;
  }

  get sockets(): readonly InheritedSocket[] {
    return this.#offer.sockets;
  }

  claim(taken: ReadonlySet<string>, missing: readonly string[]): Promise<HandoverStep<readonly StateBlob[], NewEnd>> {
    if (!this.#expects("claim")) return this.#claimed.promise;
    this.#claim = { ...this.#offer.claim(taken), missing: missing.slice(0, maxMissingNames).map(handoverText) };
    this.#engine.feed("claim");
    return this.#claimed.promise;
  }

  waits(text: string): void {
    if (text === this.#waits) return;
    this.#waits = text;
    // OLD may have less time than until the next heartbeat
    if (this.#engine.state === "preparing") this.#engine.wire.send(this.#preparing);
  }

  get #preparing(): HandoverFrame {
    return { type: "PREPARING", ...(this.#waits === "" ? {} : { waits: handoverText(this.#waits) }) };
  }

  ready(stopFirst: readonly string[] = []): Promise<HandoverStep<Promotion, NewEnd>> {
    if (!this.#expects("ready")) return this.#ready.promise;
    this.#stopFirst = stopFirst.slice(0, maxStopFirst);
    this.#engine.feed("ready");
    return this.#ready.promise;
  }

  owned(): void {
    if (this.#expects("owned")) this.#engine.feed("owned");
  }

  probation(): Promise<HandoverStep<"finalize" | "decision", NewEnd>> {
    return this.#probation.promise;
  }

  onProgress(receive: Parameters<NewSession["onProgress"]>[0]): void {
    this.#receive = receive;
    for (const report of this.#reports.splice(0)) receive(...report);
  }

  abort(reason: string, cause: UpgradeCause): void {
    this.#engine.feed("abort", { reason, cause });
  }

  /** Whether to go on: not when it is over, or about to be. @throws Error: called out of order, a bug of the caller */
  #expects(input: NewInput): boolean {
    if (this.#engine.accepts(input)) return true;
    const { state } = this.#engine;
    const elsewhere: readonly NewState[] = ["over", "deciding", "renouncing", "orphaned", "orphanedReady", "settled"];
    if (this.#end === undefined && !elsewhere.includes(state)) throw new Error(`${input} came in state ${state}`);
    return false;
  }

  /** What OLD says must fit what it said before. */
  #screen(frame: HandoverFrame, fds: readonly number[]): { garbage: string } | undefined {
    const problem = this.#problem(frame, fds);
    return problem === undefined ? undefined : { garbage: problem };
  }

  #problem(frame: HandoverFrame, fds: readonly number[]): string | undefined {
    switch (frame.type) {
      case "HELLO": {
        const { versions, role } = frame;
        const ours = this.#world.versions;
        if (agreeOnVersion(ours, versions) === undefined)
          return `OLD speaks versions ${versions.min} to ${versions.max} of the handover protocol, ${ours.min} to ${ours.max} are spoken here`;
        if (role !== "old") return "OLD says that it is a candidate itself";
        this.#peer = frame.facts;
        return undefined;
      }
      case "GRANTED":
        this.#promised = frame.sockets;
        this.#older = frame.older;
        this.#offer = new IncomingOffer(frame.sockets);
        return undefined;
      case "OFFER":
        return this.#offer.problem(frame, fds);
      case "STATE": {
        const first = frame.count === 0 ? 0 : 1;
        const due = this.#blobs.length + first;
        if (frame.index !== due || (frame.blob === undefined) !== (frame.count === 0) || frame.index > frame.count)
          return `OLD sent state ${frame.index} of ${frame.count}, ${due} was due`;
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #perform(effect: NewEffect, frame: HandoverFrame | undefined, fds: number[]): NewInput | undefined {
    switch (effect) {
      case "send LEASE":
        return this.#send({ type: "LEASE" });
      case "send BATCH":
        return this.#acknowledge();
      case "send CLAIM":
        return this.#send({ type: "CLAIM", ...this.#claim });
      case "send READY":
        return this.#send({ type: "READY", stopFirst: this.#stopFirst });
      case "send OWNED":
        return this.#send({ type: "OWNED" });
      case "send FINALIZE":
        return this.#send({ type: "FINALIZE" });
      case "send ABORT":
        this.#engine.sayAbort();
        return undefined;
      case "admit":
        return this.#admit();
      case "take":
        if (frame?.type === "OFFER") this.#take(frame, fds);
        return undefined;
      case "present":
        this.#dialled({ kind: "session", session: this });
        return undefined;
      case "keep blob":
        return this.#keepBlob(frame);
      case "keep lock":
        this.#lockFd = fds.shift();
        return undefined;
      case "confirm":
        return this.#confirm();
      case "decide":
        return this.#decide();
      case "seize":
        return this.#seize();
      case "step":
        return this.#step();
      case "promote":
        this.#ready.done({ lockFd: this.#giveLock(), how: "promoted" });
        this.#probation.done("decision");
        return undefined;
      case "report":
        if (frame?.type === "PROGRESS" || frame?.type === "DRAINED")
          this.#tell(frame.report, frame.type === "DRAINED", frame.older);
        return undefined;
      case "end busy":
        this.#dialled({ kind: "busy", ...this.#whyBusy(frame) });
        return this.#finish("failed");
      case "end failed":
        return this.#finish("failed");
      case "end old-gone":
        return this.#finish("old-gone");
      case "end undecided":
        return this.#finish("undecided");
      case "end done":
        return this.#finish("done");
    }
  }

  #whyBusy(frame: HandoverFrame | undefined): { holder: string; reason: string; msLeft: number } {
    if (frame?.type === "BUSY") return frame;
    return { holder: this.#peer?.slot ?? "", reason: this.#engine.reason, msLeft: this.#world.times.helloMs };
  }

  #send(frame: HandoverFrame): undefined {
    this.#engine.wire.send(frame);
    return undefined;
  }

  #admit(): NewInput {
    const problem = makeRoomForFiles(this.#promised, this.#engine.wire.arrived);
    if (problem === undefined) return "fits";
    this.#engine.blame(problem, "sockets");
    return "refused";
  }

  /** One BATCH for all that one turn of the loop has brought, and at once for the last. */
  #acknowledge(): NewInput | undefined {
    if (this.#offer.complete) {
      this.#send({ type: "BATCH", batch: this.#batch });
      return "complete";
    }
    if (!this.#acknowledging) {
      this.#acknowledging = true;
      queueMicrotask(() => {
        this.#acknowledging = false;
        if (this.#engine.state === "receiving") this.#send({ type: "BATCH", batch: this.#batch });
      });
    }
    return undefined;
  }

  #take(frame: Extract<HandoverFrame, { type: "OFFER" }>, fds: number[]): void {
    this.#offer.add(frame, fds);
    this.#batch = frame.batch;
  }

  #keepBlob(frame: HandoverFrame | undefined): NewInput | undefined {
    if (frame?.type !== "STATE") return undefined;
    if (frame.blob !== undefined) this.#blobs.push(frame.blob);
    return frame.index === frame.count ? "told" : undefined;
  }

  /** Whether OLD still means what it said when we were COMMITted: it may have given up while we stood still. */
  #confirm(): NewInput {
    try {
      const attempt = this.#world.journal.read()?.attempt;
      const ours = attempt?.id === this.#attempt && attempt.nonce === this.#me.nonce;
      if (ours && (attempt.state === "committed" || attempt.state === "finalized")) return "won";
      this.#engine.blame(attempt?.reason ?? "OLD had given up before it was read", "lost");
      return "lost";
    } catch {
      return "unavailable";
    }
  }

  #decide(): NewInput {
    let owns = false;
    const { journal, clock } = this.#world;
    const update = journal.update(
      (found) => {
        const decision = settle(found, this.#me, "finalized", "", clock.wall(), true);
        owns = decision.owns;
        return decision.journal;
      },
      { last: true },
    );
    if (update.kind !== "written") return "unavailable";
    this.#decided = true;
    return owns ? "won" : "lost";
  }

  /** The owner's lock, if nobody is left who holds it. */
  #seize(): NewInput {
    const { directory, remake, journal, clock } = this.#world;
    const { flock, constants: c, close } = native();
    let fd: number;
    try {
      remake();
      fd = openLockFile(directory);
    } catch (error) {
      this.#engine.blame((error as Error).message, "journal");
      return "unavailable";
    }
    if (!flock(fd, c.LOCK_EX | c.LOCK_NB)) {
      close(fd);
      return "held";
    }
    const from = this.peer.nonce;
    const update = journal.update((found) => promote(found, this.#me, from, this.#attempt, clock.wall()));
    if (update.kind === "written") {
      this.#lockFd = fd;
      return "seized";
    }
    close(fd);
    this.#engine.blame(update.reason, "journal");
    return "unavailable";
  }

  #step(): undefined {
    const { state } = this.#engine;
    if (state === "preparing" || state === "promoted") this.#claimed.done(this.#blobs);
    if (state === "committed") this.#ready.done({ lockFd: this.#giveLock(), how: "committed" });
    if (state === "settled") this.#probation.done(this.#decided ? "decision" : "finalize");
    return undefined;
  }

  /** The newest are kept for whoever asks later. */
  #tell(...report: readonly [report: DrainReport, drained: boolean, older: OlderNews | undefined]): void {
    if (this.#receive) this.#receive(...report);
    else this.#reports = [...this.#reports.slice(-1), report];
  }

  #giveLock(): number {
    const fd = this.#lockFd ?? -1;
    this.#lockFd = undefined;
    return fd;
  }

  #finish(kind: NewEnd["kind"]): undefined {
    const end: NewEnd = { kind, step: this.#engine.step, reason: this.#engine.reason };
    this.#end ??= end;
    this.#resolveEnded(end);
    for (const each of [this.#claimed, this.#ready, this.#probation]) each.end(end);
    // all of these are nothing when the session had been given to the runtime
    this.#dialled(
      kind === "old-gone" ? { kind: "nobody", reason: end.reason } : { kind: "refused", reason: end.reason },
    );
    this.#offer.close();
    if (this.#lockFd !== undefined) native().close(this.#giveLock());
    return undefined;
  }
}
