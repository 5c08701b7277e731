import type { DrainReport, OlderNews } from "../core/handover-frame.js";
import { describeSocket } from "../core/offered-socket.js";
import type { PhaseEvent } from "../core/phase.js";
import type { Plan } from "../core/plan.js";
import { type ServicesLeft, servicesBlob } from "../core/services-left.js";
import type { GenerationView, UpgradeView } from "../core/snapshot.js";
import type { UpgradeEnd } from "../core/upgrade-cause.js";
import type { UpgradeOutcome, UpgradeResult, UpgradeStep } from "../core/upgrade-outcome.js";
import { aborted } from "./aborted.js";
import type { Task } from "./driver.js";
import type { HandoverStep, OldEnd, OldSession, Owner, OwnSocket, PeerFacts } from "./handover-ports.js";
import type { Posted } from "./inbox.js";
import type { LentSockets } from "./lent-sockets.js";
import type { BoundListener, Clock, Init, Log } from "./ports.js";
import { RejectedLines } from "./rejected-lines.js";
import type { UpgradeParts } from "./upgrade-parts.js";
import type { Yielding } from "./yielding.js";

/** What the owner's lock is called among what the init holds. */
export const lockName = "upgrade:lock";

export interface OldParts {
  readonly upgrade: UpgradeParts;
  readonly plan: Plan["upgrade"];
  readonly clock: Clock;
  readonly log: Log;
  readonly init: Init;
  readonly yielding: Yielding;
  /** what the successor has to know of the services */
  readonly left: () => ServicesLeft;
  readonly listeners: ReadonlyMap<string, BoundListener>;
  readonly lent: Pick<LentSockets, "lend" | "takeBack">;
  /** why no candidate can be served now, and how long that may take; undefined: one can */
  readonly busy: () => { readonly reason: string; readonly msLeft: number } | undefined;
  readonly post: (cause: string) => void;
  /** `unclaimed` has changed */
  readonly save: () => void;
  readonly whyStopping: () => UpgradeEnd;
  /** a stop has been asked for that nothing takes back: nothing is started any more */
  readonly stopsForGood: () => boolean;
  /** stops, and begins again, to accept on the endpoints */
  readonly pauseEndpoints: () => void;
  readonly openEndpoints: () => void;
  /** the line of our init that this attempt's generation is; undefined when it is not of this container */
  readonly lineOf: (attempt: string) => number | undefined;
  /** what there is to tell of generations before this one */
  readonly older: () => OlderNews;
  readonly view: (view: UpgradeView | undefined) => void;
  readonly outcome: (outcome: UpgradeOutcome) => void;
}

/** Why one that became the owner did: there is nothing to explain. */
const completed: UpgradeEnd = { reason: "", cause: "none" };

/** A service that goes on accepting does not keep who ordered the upgrade waiting for ever. */
const retireMs = 10_000;
const retirePollMs = 20;

/** From a candidate's word to the phase that serves it: an instant, when it comes at all. */
const beginMs = 1_000;

/**
 * What the successor waits for between READY and COMMIT must be over clearly before it gives up, which it does after bootMs: by then what
 * does not end is killed, and a while later the attempt is given up here, where it is known what did not end.
 */
const yieldShare = 0.75;
const stuckShare = 0.9;

/** What an attempt looks like from here. */
interface Attempt {
  readonly session: OldSession;
  readonly began: number;
  readonly warnings: string[];
  /** the phase that serves it has come */
  begun: boolean;
  /** that the successor took */
  sockets?: number;
  /** services and endpoints have been left to the successor */
  yielded: boolean;
  /** the journal names the successor */
  committed: boolean;
  /** it is known who serves */
  decided: boolean;
  /** the successor is rejected */
  lost: boolean;
}

export type StepListener = (attempt: string, step: UpgradeStep, text: string) => void;

/** The owner in upgrades: lends its sockets to one candidate at a time, watches it, and leaves, or takes back what it had left. */
export class OldGeneration {
  readonly #parts: OldParts;
  #owner: Owner | undefined;
  #attempt: Attempt | undefined;
  #vanished = false;
  readonly #listeners = new Set<StepListener>();
  #room = new AbortController();
  /** names of the sockets that the successor did not want */
  readonly unclaimed = new Set<string>();
  readonly #rejected: RejectedLines;
  /** settles when the end of the upgrade has been told */
  retired: Promise<void> | undefined;
  /** the successor owns: this generation ends */
  replacedBy: GenerationView | undefined;
  /** the successor is under our own init */
  #replacedHere = false;

  constructor(parts: OldParts) {
    this.#parts = parts;
    this.#owner = parts.upgrade.owner;
    this.#rejected = new RejectedLines(parts.init, parts.clock);
    parts.upgrade.candidates((session) => this.#candidate(session));
  }

  /** After this generation has taken over from another one: it is the owner from now on. */
  become(owner: Owner): void {
    this.#owner = owner;
  }

  /** The successor is of another container: the place of this one is free. */
  get replacedElsewhere(): boolean {
    return this.replacedBy !== undefined && !this.#replacedHere;
  }

  get busy(): boolean {
    return this.#attempt !== undefined;
  }

  /** Whose attempt is under way, or has succeeded. */
  get candidate(): PeerFacts | undefined {
    return this.#attempt?.session.peer;
  }

  /**
   * What somebody has removed from the upgrade directory is made anew: nobody could reach this generation.
   * @throws Error it cannot be, or another generation owns the directory
   */
  mend(): void {
    if (this.#attempt !== undefined || !this.#owner?.mend()) return;
    // the init's closes: who waits for the old one comes to wait for this
    void this.#parts.init.hold(lockName, this.#owner.lockFd).catch(() => {});
  }

  /** Before a successor is started: what still ends from an attempt that failed has had its time. */
  makeRoom(): void {
    this.#room.abort();
    this.#room = new AbortController();
  }

  /** Tells every step of any attempt, until the result is called. */
  onStep(listener: StepListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The task of GracefulUpgradeTransferringFds: from the lease to COMMIT. */
  readonly transfer: Task = async (scope) => {
    const attempt = this.#attempt;
    const owner = this.#owner;
    if (attempt === undefined || owner === undefined)
      return this.#afterRestart("HandoverDone", "HandoverFailed", scope.signal);
    attempt.begun = true;
    const { session } = attempt;
    const stopped = () =>
      session.abort(`the old generation is stopping: ${this.#parts.whyStopping().reason}`, "stopped");
    scope.signal.addEventListener("abort", stopped, { once: true });
    const failed = await this.#transfer(attempt, owner, session);
    scope.signal.removeEventListener("abort", stopped);
    if (failed === undefined)
      return { event: "HandoverDone", cause: `generation ${session.peer.generation} owns the sockets` };
    return this.#lost(attempt, failed, "HandoverFailed", scope.signal);
  };

  /** The task of GracefulUpgradeCloseTimeout: until the successor has proved itself. */
  readonly probation: Task = async (scope) => {
    const attempt = this.#attempt;
    if (attempt === undefined) return this.#afterRestart("ProbationPassed", "SuccessorLost", scope.signal);
    const { clock, plan } = this.#parts;
    const until = clock.now() + plan.probationMs;
    this.#enter(attempt, "PROBATION", `both generations serve for ${plan.probationMs / 1000} s`, until);
    // whatever ends this phase early, the successor owns
    const leave = () => void attempt.session.finalize();
    scope.signal.addEventListener("abort", leave, { once: true });
    await Promise.race([clock.until(until, scope.signal), attempt.session.ended]);
    scope.signal.removeEventListener("abort", leave);
    const step = await attempt.session.finalize();
    if (step.ok || step.end.kind === "drained") return this.#replaced(attempt);
    return this.#lost(attempt, step.end, "SuccessorLost", scope.signal);
  };

  /** Tells that the upgrade is done as soon as nothing of this generation accepts any more: from then on only the successor answers. */
  retire(accepting: () => boolean): Promise<void> {
    this.retired = this.#retire(accepting);
    return this.retired;
  }

  /** Said to the successor while this generation's services end. */
  progress(report: DrainReport, over: boolean): void {
    const session = this.#attempt?.session;
    if (over) session?.drained(report, this.#parts.older());
    else session?.progress(report, this.#parts.older());
  }

  /** Lets go of what belongs to the owner; the successor has it, or nobody needs it any more. */
  close(): void {
    this.#owner?.close();
    this.#owner = undefined;
  }

  /** Nothing of this generation lives on: who has been lent its sockets may not be told to give up. */
  vanish(reason: string): void {
    this.#vanished = true;
    this.#owner?.vanish(reason);
    this.#owner = undefined;
  }

  /** A line of our init that a supervisor before this one has left: what it may have lent it is back. */
  abandon(line: number): void {
    this.#rejected.add(line);
  }

  /** @returns whether nobody has any more what had been lent to it */
  lineEnded(line: number): boolean {
    return this.#rejected.ended(line) && this.#attempt?.lost !== false;
  }

  async #retire(accepting: () => boolean): Promise<void> {
    const { clock } = this.#parts;
    for (const late = clock.now() + retireMs; clock.now() < late && accepting(); )
      await clock.until(clock.now() + retirePollMs);
    const attempt = this.#attempt;
    if (attempt !== undefined && !attempt.decided) this.#settle(attempt, "completed", completed);
  }

  #candidate(session: OldSession): void {
    const { busy, post, upgrade } = this.#parts;
    const why = busy();
    if (why !== undefined || this.#attempt !== undefined) {
      upgrade.refused();
      session.busy(why?.reason ?? "another upgrade is under way", why?.msLeft ?? 1_000);
      return;
    }
    const { clock } = this.#parts;
    const attempt: Attempt = {
      session,
      began: clock.now(),
      warnings: [],
      begun: false,
      yielded: false,
      committed: false,
      decided: false,
      lost: false,
    };
    this.#attempt = attempt;
    this.#parts.lent.lend();
    void session.ended.then(() => this.#unbegun(attempt));
    const { generation, release } = session.peer;
    post(`generation ${generation}${release === "" ? "" : ` (${release})`} asks for the sockets`);
  }

  /** A stop was faster: the phase that would have served this attempt does not come, and nobody else would tell its end. */
  async #unbegun(attempt: Attempt): Promise<void> {
    const { clock, whyStopping } = this.#parts;
    if (attempt.begun) return;
    // it may be on its way
    await clock.until(clock.now() + beginMs);
    if (attempt.begun || this.#vanished) return;
    const { reason, cause } = whyStopping();
    this.#settle(attempt, "rolled-back", { reason: `the old generation is stopping: ${reason}`, cause });
  }

  /** Undefined when the successor has the sockets and is on probation; else how it ended. */
  async #transfer(attempt: Attempt, owner: Owner, session: OldSession): Promise<OldEnd | undefined> {
    const { clock, plan, log, yielding, left } = this.#parts;
    const sockets = this.#sockets();
    this.#enter(attempt, "LEASE", `lent to generation ${session.peer.generation} (attempt ${session.peer.attempt})`);
    const granted = session.grant(sockets, this.#parts.older());
    if (!granted.ok) return granted.end;
    this.#enter(attempt, "OFFER", `${count(sockets.length, "socket")}`);
    session.onWaits((text) => {
      log.info(`upgrade: PREPARING: the new generation waits: ${text}`, { step: "PREPARING", side: "old" });
      for (const listener of this.#listeners) listener(session.peer.attempt, "PREPARING", `it waits: ${text}`);
    });
    yielding.holdBack();
    const offered = await session.offer([servicesBlob(left())]);
    if (!offered.ok) return offered.end;
    const { taken, unknown, missing } = offered.value;
    attempt.sockets = taken;
    this.unclaimed.clear();
    for (const name of unknown) this.unclaimed.add(name);
    // before the successor can be the owner: a supervisor after this one would take the attempt before's for it
    this.#parts.save();
    for (const name of unknown)
      attempt.warnings.push(
        `nobody claimed listener "${name}": it is closed when the services of this generation stop`,
      );
    for (const name of missing) log.info(`the new generation binds listener "${name}" by itself`);
    this.#enter(attempt, "CLAIM", `${taken} taken`);
    this.#enter(attempt, "PREPARING", "its services start", clock.now() + plan.bootMs);
    const ready = await session.ready();
    if (!ready.ok) return ready.end;
    this.#enter(attempt, "READY", "its services are ready");
    attempt.yielded = true;
    const stuck = await this.#yield(session, ready.value);
    if (stuck !== undefined) return stuck;
    this.#parts.pauseEndpoints();
    this.#enter(attempt, "COMMIT", "the sockets are its own", clock.now() + plan.bootMs);
    const committed: HandoverStep<void, OldEnd> = await session.commit(owner.lockFd);
    if (!committed.ok) return committed.end;
    attempt.committed = true;
    return undefined;
  }

  /** Undefined when what only one can have has ended; else how the attempt did. */
  async #yield(session: OldSession, stopFirst: readonly string[]): Promise<OldEnd | undefined> {
    const { clock, plan, yielding } = this.#parts;
    const over = new AbortController();
    const from = clock.now();
    void clock.until(from + stuckShare * plan.bootMs, over.signal).then(() => over.abort());
    void session.ended.then(() => over.abort());
    const deadline = from + yieldShare * plan.bootMs;
    const left = await yielding.begin(deadline, "left to the new generation", over.signal, stopFirst);
    over.abort();
    if (left.length === 0) return undefined;
    const names = `${left.length === 1 ? "service" : "services"} ${left.join(", ")}`;
    const seconds = ((clock.now() - from) / 1000).toFixed(1);
    session.abort(`${names} did not end within ${seconds} s`, "service");
    const end = await session.ended;
    // one whose bootSeconds are shorter has given up before
    return end.cause === "unready" ? { ...end, reason: `${end.reason}: ${names} had not ended` } : end;
  }

  #sockets(): OwnSocket[] {
    return [...this.#parts.listeners.values()].map((bound) => ({ ...describeSocket(bound.spec, bound), fd: bound.fd }));
  }

  /** The session is over without a finalize of ours: what the journal says decides. */
  async #lost(
    attempt: Attempt,
    end: OldEnd,
    event: "HandoverFailed" | "SuccessorLost",
    stopping: AbortSignal,
  ): Promise<Posted> {
    if (this.#vanished) return { event, cause: end.reason };
    const { log } = this.#parts;
    let { kind } = end;
    if (kind === "undecided") {
      kind = this.#recover(attempt, end.reason) === "owner" ? "failed" : "superseded";
    }
    if (kind === "superseded" || kind === "drained") {
      // the next phase, or this one, ends at once: the journal has been written
      const posted = this.#replaced(attempt);
      return event === "SuccessorLost" ? posted : { event: "HandoverDone", cause: posted.cause };
    }
    await this.#takeBack(attempt, end, stopping);
    log.warn(`upgrade rolled back: ${end.reason}`, { attempt: attempt.session.peer.attempt, step: end.step });
    this.#settle(attempt, "rolled-back", end);
    return { event, cause: end.reason };
  }

  /**
   * Who owns by the journal. When that cannot be used, it is this generation if it can end the other one: of two that cannot decide one must
   * go on. What the other one may have written in its last moment stands against that until somebody removes the journal.
   */
  #recover(attempt: Attempt, reason: string): ReturnType<UpgradeParts["handover"]["recover"]> {
    const { upgrade, log } = this.#parts;
    try {
      return upgrade.handover.recover(upgrade.me, reason, { owned: true });
    } catch (error) {
      if (this.#lineOf(attempt) === undefined) throw error;
      log.error("the upgrade journal cannot be used: the new generation is ended, this one goes on", { err: error });
      return "owner";
    }
  }

  async #takeBack(attempt: Attempt, { leaves }: OldEnd, stopping: AbortSignal): Promise<void> {
    const { init, lent, yielding, stopsForGood, openEndpoints, log, clock, plan } = this.#parts;
    attempt.lost = true;
    init.own();
    lent.takeBack();
    // what it has accepted it may answer, unless something of ours waits for its end; one that falls silent is killed
    const mayDrain = leaves && (!yielding.madeRoom || stopsForGood());
    const line = this.#lineOf(attempt);
    if (line !== undefined)
      this.#rejected.add(line, mayDrain ? clock.until(clock.now() + plan.drainMs, this.#room.signal) : undefined);
    if (attempt.yielded) openEndpoints();
    await Promise.race([this.#startAgain(), aborted(stopping)]);
    if (!attempt.yielded) return;
    try {
      this.#owner?.reopen();
    } catch (error) {
      log.error("no candidate can reach this generation any more", { err: error });
    }
  }

  /** Of a successor under our own init. */
  #lineOf({ session }: Attempt): number | undefined {
    return this.#parts.lineOf(session.peer.attempt);
  }

  /**
   * What has made room: what only one generation can have is free when nothing of the rejected one is left, which in another container cannot
   * be seen. Goes on when the phase is over: a hook may have ended it, and until the signal comes all services are there.
   */
  async #startAgain(): Promise<void> {
    const { yielding, stopsForGood } = this.#parts;
    if (!stopsForGood()) yielding.replaceOwn();
    if (yielding.stopped) await this.#rejected.gone();
    yielding.takeBack(!stopsForGood());
  }

  #replaced(attempt: Attempt): Posted {
    const { peer } = attempt.session;
    const { generation, release, build, pid } = peer;
    this.replacedBy = { generation, release, build, pid };
    this.#replacedHere = this.#lineOf(attempt) !== undefined;
    if (!attempt.decided)
      this.#enter(attempt, "FINALIZE", `generation ${generation} serves; this one ends its services`);
    return { event: "ProbationPassed", cause: `replaced by generation ${generation}` };
  }

  /** Of a supervisor that was restarted meanwhile: its session is gone, and the journal said who owns. */
  async #afterRestart(superseded: PhaseEvent, owner: PhaseEvent, stopping: AbortSignal): Promise<Posted> {
    if (this.replacedBy !== undefined)
      return { event: superseded, cause: `replaced by generation ${this.replacedBy.generation}` };
    this.#parts.init.own();
    await Promise.race([this.#startAgain(), aborted(stopping)]);
    return { event: owner, cause: "the supervisor was restarted during the upgrade" };
  }

  #enter(attempt: Attempt, step: UpgradeStep, text: string, until?: number): void {
    const { clock, log, view } = this.#parts;
    const { peer } = attempt.session;
    log.info(`upgrade: ${step}: ${text}`, { step, side: "old", attempt: peer.attempt });
    const wall = (at: number) => Math.round(clock.wall() + at - clock.now());
    const { generation, release, build, pid } = peer;
    view({
      attempt: peer.attempt,
      role: "old",
      step,
      since: clock.wall(),
      ...(until === undefined ? {} : { until: wall(until) }),
      ...(attempt.sockets === undefined ? {} : { sockets: attempt.sockets }),
      peer: { generation, release, build, pid },
    });
    for (const listener of this.#listeners) listener(peer.attempt, step, text);
  }

  #settle(attempt: Attempt, result: UpgradeResult, { reason, cause }: UpgradeEnd): void {
    const { clock, upgrade, view, outcome } = this.#parts;
    attempt.decided = true;
    outcome({
      attempt: attempt.session.peer.attempt,
      result,
      reason,
      cause,
      at: clock.wall(),
      seconds: (clock.now() - attempt.began) / 1000,
      generation: result === "completed" ? attempt.session.peer.generation : upgrade.me.generation,
      // they are of what the replaced one leaves
      warnings: result === "completed" ? attempt.warnings : [],
    });
    if (result !== "completed") {
      this.#attempt = undefined;
      view(undefined);
    }
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
