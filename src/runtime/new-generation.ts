import { EntryError, type Problem } from "../core/entry-error.js";
import type { DrainReport } from "../core/handover-frame.js";
import type { Phase } from "../core/phase.js";
import type { ListenerAddress, ListenerSpec } from "../core/plan.js";
import { readServicesLeft } from "../core/services-left.js";
import type { GenerationView, Snapshot, UpgradeView } from "../core/snapshot.js";
import { type Crossed, crossed, matchSockets, type SocketFacts } from "../core/socket-manifest.js";
import type { UpgradeEnd } from "../core/upgrade-cause.js";
import type { UpgradeOutcome, UpgradeStep } from "../core/upgrade-outcome.js";
import { readiness, stateText } from "../core/views.js";
import type { NewEnd, NewSession, Owner } from "./handover-ports.js";
import type { Posted } from "./inbox.js";
import { lockName } from "./old-generation.js";
import type { OlderGenerations } from "./older-generations.js";
import type { Clock, Init, Log } from "./ports.js";
import type { ServiceSet } from "./service-set.js";
import type { UpgradeParts } from "./upgrade-parts.js";

export interface NewParts {
  readonly upgrade: UpgradeParts;
  readonly session: NewSession;
  readonly clock: Clock;
  readonly log: Log;
  readonly init: Init;
  readonly services: Pick<
    ServiceSet,
    "beCandidate" | "inherit" | "stopFirst" | "commit" | "excuseNobody" | "allReady" | "missing"
  >;
  readonly addressesOf: (address: ListenerAddress) => readonly string[];
  /** the one path of a socket, however it is written */
  readonly realPathOf: (path: string) => string;
  /** false: what is offered at its path is in another container, and is bound here anew */
  readonly isReachable: (spec: ListenerSpec) => boolean;
  /** loads what its endpoints need: they open when it owns */
  readonly prepareAdmin: () => Promise<void>;
  /** how long its services may take to be ready */
  readonly bootMs: number;
  readonly snapshot: () => Snapshot;
  /** calls on every snapshot until the result is called */
  readonly watch: (look: (snapshot: Snapshot) => void) => () => void;
  /** this generation is the owner: it serves the endpoints, and candidates come to it */
  readonly owns: (owner: Owner) => void;
  /** it wants to be the owner no more, and may have to be */
  readonly unsure: () => void;
  readonly failed: (posted: Posted) => void;
  /** why the server is stopping */
  readonly whyStopping: () => UpgradeEnd;
  readonly view: (view: UpgradeView | undefined) => void;
  /** told what the old generation says of itself, and of those before it */
  readonly older: Pick<OlderGenerations, "settled" | "progress" | "lost">;
  /** this generation owns for good */
  readonly settled: (outcome: UpgradeOutcome) => void;
}

/** In which one on probation serves. */
const serving: readonly Phase[] = ["BootstrapComplete", "Running"];

/** It gives up so much before the old generation does, which could not say what was missing. */
const soonerMs = 1_000;

/** A successor's part in an upgrade: takes the sockets, gets its services ready on them, becomes the owner, and proves itself. */
export class NewGeneration {
  readonly #parts: NewParts;
  readonly #old: GenerationView;
  readonly #began: number;
  /** of the same container as the old generation: both are asked to stop by one hook, and one signal */
  readonly #together: boolean;
  #sockets: number | undefined;
  /** what cannot be bound as long as the old generation has its sockets */
  #crossed: readonly Problem[] = [];
  /** when its required services must be ready: sooner than the old generation gives up */
  #readyBy = 0;
  /** the old generation has let go for good */
  settled = false;

  constructor(parts: NewParts) {
    this.#parts = parts;
    const { generation, release, build, pid } = parts.session.peer;
    this.#old = { generation, release, build, pid };
    this.#began = parts.clock.now();
    this.#together = !parts.init.primary;
    parts.services.beCandidate();
    parts.session.onProgress((report, over, told) => {
      if (over) parts.log.info(`upgrade: DRAINED: ${drainText(report)}`, { step: "DRAINED", side: "new", ...report });
      parts.older.progress({ connections: report.open, deadlineAt: report.deadlineAt }, over, told);
    });
    void parts.session.ended.then(() => parts.older.lost());
  }

  /** Which of the old generation's sockets are whose; all others are bound. Resolves with the fds by listener, which are the caller's. */
  async claim(specs: readonly ListenerSpec[]): Promise<ReadonlyMap<string, number> | Posted> {
    const { session, log, addressesOf, realPathOf, isReachable, services } = this.#parts;
    this.#enter("OFFER", `${session.sockets.length} sockets from generation ${this.#old.generation}`);
    const here = specs.filter(isReachable);
    const { taken, unclaimed, kept } = matchSockets(here, session.sockets, addressesOf, realPathOf);
    const bound = specs.filter(({ name }) => !taken.has(name));
    for (const { name, address } of unclaimed)
      log.warn(`nobody here claims listener "${name}" at ${address}: the old generation closes it`);
    for (const text of kept) log.warn(text);
    this.#crossed = crossed(bound, session.sockets, addressesOf).flatMap(crossing);
    const names = new Set([...taken.values()].map(({ name }) => name));
    const claimed = await session.claim(
      names,
      bound.map(({ name }) => name),
    );
    if (!claimed.ok) return failure(claimed.end);
    const problem = services.inherit(readServicesLeft(claimed.value));
    if (problem !== undefined) {
      this.#giveUp({ reason: problem, cause: "service" });
      return failure(await session.ended);
    }
    this.#sockets = taken.size;
    this.#enter("CLAIM", `${taken.size} taken, ${bound.length} to be bound`);
    this.#enter("PREPARING", "services start");
    this.#readyBy = this.#late();
    return new Map([...taken].map(([name, { fd }]) => [name, fd]));
  }

  /** Opens the listeners that did not come over. The old generation is told what holds that up, and why it failed. */
  async binding(signal: AbortSignal, open: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { session, clock, whyStopping } = this.#parts;
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const stopped = () => this.#giveUp(whyStopping());
    signal.addEventListener("abort", stopped, { once: true });
    void clock.until(this.#readyBy, either).then(() => over.abort());
    void session.ended.then(() => over.abort());
    try {
      if (this.#crossed.length > 0)
        throw new EntryError("os", "cannot open the listeners", { problems: this.#crossed });
      await open(either);
    } catch (error) {
      if (!signal.aborted) this.#giveUp({ reason: problemsOf(error), cause: "listener" });
      throw error;
    } finally {
      signal.removeEventListener("abort", stopped);
      over.abort();
    }
  }

  waits(text: string): void {
    this.#parts.session.waits(text);
  }

  /** From the services' start to OWNED. Posted is what the phase ends with. */
  async takeOver(signal: AbortSignal): Promise<Posted> {
    const { session, services, init, upgrade } = this.#parts;
    const stopped = () => this.#giveUp(this.#parts.whyStopping());
    signal.addEventListener("abort", stopped, { once: true });
    try {
      const prepared = this.#adminPrepared();
      const ended = await this.#servicesReady(signal, this.#readyBy);
      if (ended !== undefined) return failure(ended);
      if (!(await prepared)) return failure(await session.ended);
      this.#enter("READY", "required services are ready");
      const promoted = await session.ready(services.stopFirst);
      if (!promoted.ok) return failure(promoted.end);
      const { lockFd, how } = promoted.value;
      await this.#holdLock(lockFd);
      const opened = await upgrade.handover.openOwner({
        me: upgrade.me,
        lockFd,
        candidate: upgrade.candidate,
        refused: upgrade.refused,
      });
      if (opened.kind !== "owner") return { event: "SuccessionFailed", cause: "another generation has become owner" };
      init.own();
      this.#parts.owns(opened.owner);
      this.#enter("COMMIT", how === "promoted" ? "the old generation is gone" : "the sockets are our own");
      services.commit();
      if (how === "promoted") {
        this.#settle();
        await services.allReady(signal);
        return { event: "ServicesReady", cause: "took the place of a generation that is gone" };
      }
      const lost = await this.#servicesReady(signal, this.#late());
      if (lost?.kind === "failed") return failure(lost);
      session.owned();
      void this.#prove();
      return { event: "ServicesReady", cause: `took over from generation ${this.#old.generation}` };
    } finally {
      signal.removeEventListener("abort", stopped);
    }
  }

  async #holdLock(lockFd: number): Promise<void> {
    try {
      await this.#parts.init.hold(lockName, lockFd);
    } catch (error) {
      this.#giveUp({ reason: problemsOf(error), cause: "other" });
      throw error;
    }
  }

  /** After COMMIT it would be too late to find that a part of the release is missing. */
  async #adminPrepared(): Promise<boolean> {
    try {
      await this.#parts.prepareAdmin();
      return true;
    } catch (error) {
      if (!(error instanceof EntryError)) this.#parts.log.error("the endpoints cannot be loaded", { err: error });
      this.#giveUp({ reason: problemsOf(error), cause: "check" });
      return false;
    }
  }

  #late(): number {
    const { clock, bootMs } = this.#parts;
    return clock.now() + bootMs - Math.min(soonerMs, bootMs / 10);
  }

  /** Undefined when they are; else how it ended, which may be that they took too long. */
  async #servicesReady(signal: AbortSignal, late: number): Promise<NewEnd | undefined> {
    const { session, services, clock, bootMs, snapshot } = this.#parts;
    const over = new AbortController();
    void clock.until(late, AbortSignal.any([signal, over.signal])).then(() => {
      if (!signal.aborted && !over.signal.aborted)
        this.#giveUp({
          reason: `not ready within ${bootMs / 1000} s: ${unready(snapshot(), services.missing)}`,
          cause: "unready",
        });
    });
    const ended = await Promise.race([services.allReady(signal).then(() => undefined), session.ended]);
    over.abort();
    return ended;
  }

  /** Both serve; this generation must stay ready, and not begin to stop, until the old one says that it leaves. */
  async #prove(): Promise<void> {
    const { session, watch, failed, log, whyStopping } = this.#parts;
    this.#enter("PROBATION", "both generations serve");
    const unwatch = watch((now) => {
      // its lame duck serves, and the old one, which ends with it, may leave
      const asked = this.#together && now.phase === "GracefulTerminate";
      if (!serving.includes(now.phase) && !asked) {
        // at once: until it is over the old one may leave, and then nobody is left
        unwatch();
        this.#giveUp(whyStopping());
        return;
      }
      // what an operator has stopped says nothing against it
      const services = now.services.filter(({ held }) => !held);
      const worst = readiness({ ...now, phase: "Running", services }).checks.find(({ ok }) => !ok);
      if (now.phase === "BootstrapComplete" || worst === undefined) return;
      unwatch();
      this.#giveUp({ reason: `not ready any more: ${worst.name}: ${worst.reason}`, cause: "unready" });
    });
    const proved = await session.probation();
    unwatch();
    if (!proved.ok) {
      failed(failure(proved.end));
      return;
    }
    log.info("upgrade: FINALIZE: this generation owns the sockets", { step: "FINALIZE", side: "new" });
    this.#settle();
    this.#parts.older.settled();
  }

  #settle(): void {
    const { clock, services, settled, upgrade, view } = this.#parts;
    this.settled = true;
    services.excuseNobody();
    view(undefined);
    settled(completed(upgrade, clock.wall(), clock.now() - this.#began));
  }

  /** Whoever asks at the endpoints from now on asks the owner, which is not known yet. */
  #giveUp({ reason, cause }: UpgradeEnd): void {
    this.#parts.unsure();
    this.#parts.session.abort(reason, cause);
  }

  #enter(step: UpgradeStep, text: string): void {
    const { clock, log, view, session } = this.#parts;
    log.info(`upgrade: ${step}: ${text}`, { step, side: "new", attempt: this.#parts.upgrade.attempt });
    view({
      attempt: this.#parts.upgrade.attempt ?? session.peer.attempt,
      role: "new",
      step,
      since: clock.wall(),
      ...(this.#sockets === undefined ? {} : { sockets: this.#sockets }),
      peer: this.#old,
    });
  }
}

/** What a successor says that owns for good. */
export function completed({ attempt = "", me }: UpgradeParts, at: number, tookMs: number): UpgradeOutcome {
  const { generation } = me;
  const seconds = Math.max(0, tookMs) / 1000;
  return { attempt, result: "completed", reason: "", cause: "none", at, seconds, generation, warnings: [] };
}

function crossing({ spec: { name, address }, by, same }: Crossed<SocketFacts>): Problem[] {
  if (address.kind === "unix") return [];
  const host = /^[^[].*:/.test(address.host) ? `[${address.host}]` : address.host;
  const has = `listener "${by.name}" of the running generation has ${by.address}`;
  const why = !same
    ? `${has}, and an upgrade cannot widen or narrow an address`
    : by.reusePort
      ? `${has}, and shares it only with reusePort`
      : `${has} without reusePort, and an open socket cannot get it`;
  return [
    {
      message: `cannot bind listener "${name}" to ${host}:${address.port}: ${why}; use another port, or start the pod anew`,
    },
  ];
}

function problemsOf(error: unknown): string {
  if (!(error instanceof EntryError)) return `a bug: ${String(error)}`;
  return error.problems.length === 0 ? error.message : error.problems.map(({ message }) => message).join("; ");
}

function drainText({ drained, cut, killed, seconds }: DrainReport): string {
  return `the old generation has ended: ${drained} connections drained, ${cut} cut, ${killed} services killed, ${seconds.toFixed(1)} s`;
}

function unready({ services }: Snapshot, missing: readonly string[]): string {
  return services
    .filter(({ name }) => missing.includes(name))
    .map((service) => `service/${service.name}: ${stateText(service)}`)
    .join("; ");
}

function failure(end: NewEnd): Posted {
  return { event: "SuccessionFailed", cause: end.reason };
}
