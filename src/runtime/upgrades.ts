import type { DrainReport, OlderNews } from "../core/handover-frame.js";
import type { Phase } from "../core/phase.js";
import type { ListenerSpec, Plan } from "../core/plan.js";
import type { GenerationView } from "../core/snapshot.js";
import type { UpgradeOutcome } from "../core/upgrade-outcome.js";
import type { HandoverIdentity, Owner, PeerFacts } from "./handover-ports.js";
import type { Inbox, Posted } from "./inbox.js";
import type { LentSockets } from "./lent-sockets.js";
import { heldName } from "./listener-set.js";
import { completed, NewGeneration } from "./new-generation.js";
import { lockName, OldGeneration } from "./old-generation.js";
import { OlderGenerations } from "./older-generations.js";
import type { PingoraWay } from "./pingora-way.js";
import type { BoundListener, ExitStatus, Init } from "./ports.js";
import type { ServerParts } from "./server-parts.js";
import type { ServiceSet } from "./service-set.js";
import type { StatusStore } from "./status-store.js";
import { isForGood, type StopRecord, stopEnd } from "./stop-request.js";
import { UpgradeOrders } from "./upgrade-orders.js";
import type { UpgradeParts } from "./upgrade-parts.js";

/** What of it survives a restart of the supervisor. */
export interface SavedUpgrade {
  readonly me: HandoverIdentity;
  /** the order of a successor that does not own for good yet, or has not come to say so */
  readonly attempt?: string;
  /** an attempt that an operator has ordered here, and has not been told the end of */
  readonly ordered?: string;
  readonly replacedBy?: GenerationView;
  /** listeners that the successor of the latest attempt did not claim */
  readonly unclaimed?: readonly string[];
  /** generations before this one */
  readonly older?: OlderNews;
  readonly lastUpgrade?: UpgradeOutcome;
}

export interface UpgradesParts {
  readonly server: Pick<
    ServerParts,
    "clock" | "log" | "init" | "sockets" | "closeFd" | "addressesOf" | "realPathOf" | "prepareAdmin"
  > & {
    readonly plan: Plan;
  };
  readonly upgrade: UpgradeParts;
  readonly saved: SavedUpgrade | undefined;
  readonly services: ServiceSet;
  readonly listeners: Map<string, BoundListener>;
  readonly lent: LentSockets;
  readonly store: StatusStore;
  readonly inbox: Inbox;
  readonly endpoints: { open(): void; pause(): void };
  readonly save: () => void;
  /** what there is to tell the successor of this generation's end has changed */
  readonly tell: () => void;
  /** a successor that must go */
  readonly failed: (posted: Posted) => void;
  /** the stop of the server, once there is one */
  readonly stop: () => StopRecord | undefined;
  /** the other way in which this generation may be replaced */
  readonly pingora: () => Pick<PingoraWay, "asked" | "dialling" | "candidate"> | undefined;
}

/** This generation among the others: what it does as a new one, as the owner, and as an old one. */
export class Upgrades {
  readonly old: OldGeneration;
  readonly orders: UpgradeOrders;
  readonly #parts: UpgradesParts;
  readonly #new: NewGeneration | undefined;
  readonly #inherited = new Set<string>();
  readonly #older: OlderGenerations;
  /** services that have been told to stop since this generation was replaced */
  readonly #stopped = new Set<string>();
  #owns: boolean;
  /** its own attempt, until that is settled */
  #undecided: string | undefined;

  constructor(parts: UpgradesParts) {
    this.#parts = parts;
    const { server, upgrade, services, listeners, store, inbox, endpoints, saved } = parts;
    const { clock, log, init, plan } = server;
    const whyStopping = () => stopEnd(parts.stop());
    this.#owns = upgrade.owner !== undefined;
    this.#undecided = upgrade.attempt;
    const { session } = upgrade;
    this.#older = new OlderGenerations({
      init,
      saved: saved?.older,
      predecessor: session && generationOf(session.peer),
      told: session?.older,
      changed: () => {
        store.set({ draining: this.#older.views });
        parts.save();
        if (this.replacedBy !== undefined) parts.tell();
      },
    });
    if (this.#older.views.length > 0) store.set({ draining: this.#older.views });
    this.old = new OldGeneration({
      upgrade,
      plan: plan.upgrade,
      clock,
      log,
      init,
      yielding: services.yielding,
      left: () => services.left,
      listeners,
      lent: parts.lent,
      busy: () => this.#busy(),
      save: parts.save,
      post: (cause) => {
        // in the phase already, with nobody at upgrade_sock
        if (parts.pingora()?.dialling) parts.pingora()?.candidate();
        else inbox.post("GracefulUpgrade", cause);
      },
      whyStopping,
      stopsForGood: () => isForGood(parts.stop()),
      pauseEndpoints: () => endpoints.pause(),
      openEndpoints: () => {
        endpoints.open();
        this.#takeModes();
      },
      lineOf: (attempt) => this.orders.lineOf(attempt),
      older: () => this.#older.news,
      view: (view) => store.set({ upgrade: view }),
      outcome: (outcome) => {
        this.#ended(outcome);
        this.orders.settled(outcome);
      },
    });
    this.old.replacedBy = saved?.replacedBy ?? supersededBy(upgrade);
    for (const name of saved?.unclaimed ?? []) this.old.unclaimed.add(name);
    this.orders = new UpgradeOrders({
      upgrade,
      old: this.old,
      bootMs: plan.upgrade.bootMs,
      generation: upgrade.me.generation,
      clock,
      log,
      init,
      stop: parts.stop,
      busy: () => this.#busy(),
      change: (signal) => this.#change(signal),
      outcome: (outcome) => this.#ended(outcome),
      save: parts.save,
    });
    this.#new =
      session &&
      new NewGeneration({
        upgrade,
        session,
        clock,
        log,
        init,
        services,
        addressesOf: server.addressesOf,
        realPathOf: server.realPathOf,
        isReachable: (spec) => server.sockets.isReachable(spec),
        prepareAdmin: server.prepareAdmin,
        bootMs: plan.upgrade.bootMs,
        snapshot: () => store.snapshot,
        watch: (look) => store.subscribe({ snapshot: look }),
        owns: (owner) => this.#becomeOwner(owner),
        unsure: () => endpoints.pause(),
        failed: parts.failed,
        whyStopping,
        view: (view) => store.set({ upgrade: view }),
        older: this.#older,
        settled: (outcome) => this.#settled(outcome),
      });
  }

  /** Another generation accepts on the same sockets. */
  get shared(): boolean {
    const { draining = [] } = this.#parts.store.snapshot;
    return this.old.busy || draining.length > 0 || this.#new?.settled === false;
  }

  /** For good, not on probation; a generation that was replaced did. */
  get owns(): boolean {
    return this.#owns && this.#new?.settled !== false;
  }

  /** Another generation accepts in the place of this one, which ends: it was replaced, or is a successor that has failed. */
  get othersServe(): boolean {
    if (this.replacedBy !== undefined || this.#parts.upgrade.lost === "failed") return true;
    // who was asked to stop may have to be gone before the old generation, which was asked, too
    return this.#new?.settled === false && this.#parts.stop()?.requested === false;
  }

  /** The old generation has taken back what this one had. */
  disown(): void {
    this.#owns = false;
  }

  /** The path of this listener is nobody else's. */
  mayRemove(listener: string): boolean {
    // a restarted supervisor of a candidate does not know what that one had bound itself, and what it was lent
    if (this.#parts.upgrade.lost !== undefined) return false;
    // one that has committed and is not settled may yet be rolled back: what it took over is the old one's again
    const ours = !this.#inherited.has(listener) || this.owns;
    return this.replacedBy === undefined && ours;
  }

  /** A line of the init is over. */
  lineEnded(line: number, status: ExitStatus): void {
    this.#older.lineEnded(line);
    if (this.old.lineEnded(line)) this.#parts.lent.putBack();
    this.orders.ended(line, status);
  }

  /** What a restarted supervisor has to say first: others have decided without it. */
  get verdict(): Posted | undefined {
    const { lost } = this.#parts.upgrade;
    if (lost === "failed") return { event: "SuccessionFailed", cause: "its supervisor died before it was the owner" };
    // from Running; in the phases of an upgrade their tasks find out
    if (lost === "superseded") return { event: "GracefulUpgrade", cause: "another generation owns the sockets" };
    return undefined;
  }

  /**
   * This supervisor follows one that died. A successor that it had started is given up, unless the journal says that it owns. When both of
   * an upgrade died on probation, nobody else can say how it ended.
   */
  resume(): void {
    const { saved, server, upgrade } = this.#parts;
    if (upgrade.owner === undefined) return;
    const { init, clock } = server;
    for (const { line } of init.recovered.lines) if (line > init.line) this.old.abandon(line);
    if (this.#undecided !== undefined) {
      // the one before may have died between the journal's word and this
      if (!init.primary) init.own();
      this.#won(completed(upgrade, clock.wall(), clock.wall() - upgrade.me.since));
    }
    const ordered = saved?.ordered;
    if (ordered !== undefined && saved?.lastUpgrade?.attempt !== ordered) this.orders.interrupted(ordered);
  }

  /** Another generation owns what this one had. */
  get replacedBy(): GenerationView | undefined {
    return this.old.replacedBy;
  }

  get saved(): SavedUpgrade {
    const { upgrade, store } = this.#parts;
    const { lastUpgrade } = store.snapshot;
    return {
      me: upgrade.me,
      ...(this.replacedBy !== undefined || this.#undecided === undefined ? {} : { attempt: this.#undecided }),
      ...(this.orders.ordered === undefined ? {} : { ordered: this.orders.ordered }),
      ...(this.replacedBy === undefined ? {} : { replacedBy: this.replacedBy }),
      ...(this.old.unclaimed.size === 0 ? {} : { unclaimed: [...this.old.unclaimed] }),
      older: this.#older.saved,
      ...(lastUpgrade === undefined ? {} : { lastUpgrade }),
    };
  }

  /** The sockets that come from the old generation, by listener; Posted: they do not come. */
  async claim(specs: readonly ListenerSpec[]): Promise<ReadonlyMap<string, number> | Posted> {
    const sockets = (await this.#new?.claim(specs)) ?? new Map<string, number>();
    if (!("event" in sockets)) for (const name of sockets.keys()) this.#inherited.add(name);
    return sockets;
  }

  /** Opens what did not come from the old generation; undefined: there is none. */
  binding(signal: AbortSignal, open: (signal: AbortSignal) => Promise<void>): Promise<void> | undefined {
    return this.#new?.binding(signal, open);
  }

  waits(text: string): void {
    this.#new?.waits(text);
  }

  /** A successor's way from its services' start to Running. */
  takeOver(signal: AbortSignal): Promise<Posted> | undefined {
    return this.#new?.takeOver(signal);
  }

  /** The owner's place and the sockets are another generation's: nothing of them may be kept from it. */
  letGo(): void {
    const { server, listeners, endpoints } = this.#parts;
    const init: Init = server.init;
    endpoints.pause();
    this.leavePlace();
    const fromBefore = init.recovered.held.get(lockName);
    // a restarted supervisor that has not become owner has made nothing of it
    if (fromBefore !== undefined && this.#parts.upgrade.owner === undefined) server.closeFd(fromBefore);
    // ours, and the init's for a supervisor after us, stay, but for `stopping`: by them it is seen who still accepts, and whose connections are whose
    for (const [name, bound] of listeners) {
      if (!this.#isService(name)) init.release(heldName(name));
      if (this.old.unclaimed.has(name)) server.sockets.remove(bound);
    }
    this.stopping([]);
  }

  /**
   * These services of a generation that was replaced are about to be told to stop. A socket that nobody claimed is left to those who take it
   * as soon as none of them is started any more, so that it is gone when they close it: beside another one at its address (reusePort) the
   * kernel would go on giving it connections, which nobody accepts.
   */
  stopping(services: readonly string[]): void {
    const { server, listeners } = this.#parts;
    if (this.replacedBy === undefined) return;
    for (const name of services) this.#stopped.add(name);
    // functions of this process have our descriptors, and no others
    if (server.plan.services.some(({ process }) => process === undefined)) return;
    const needed = new Set(
      server.plan.services.flatMap(({ name, listeners: own }) => (this.#stopped.has(name) ? [] : own)),
    );
    for (const [name, bound] of listeners) {
      if (!this.old.unclaimed.has(name) || !this.#isService(name) || needed.has(name) || bound.fd < 0) continue;
      server.init.release(heldName(name));
      listeners.set(name, server.sockets.leave(bound));
    }
  }

  /** As a restarted supervisor of a generation that was replaced: what its services may still accept from, and have accepted. */
  seeListeners(): void {
    const { server, listeners } = this.#parts;
    if (this.replacedBy === undefined) return;
    for (const spec of server.plan.listeners) {
      const fd = server.init.recovered.held.get(heldName(spec.name));
      if (fd !== undefined) listeners.set(spec.name, server.sockets.asIs(spec, fd));
    }
  }

  /** After the end of a generation that was replaced: the init may live on, and must not keep a socket that nobody serves. */
  forgetListeners(): void {
    const { server } = this.#parts;
    if (this.replacedBy === undefined) return;
    for (const { name } of server.plan.listeners) server.init.release(heldName(name));
  }

  /** Not one of the endpoints. */
  #isService(listener: string): boolean {
    return this.#parts.server.plan.listeners.some(({ name }) => name === listener);
  }

  /** Who takes the listeners is none of ours: the owner's place is free for the next who is. */
  leavePlace(): void {
    this.old.close();
    this.#parts.server.init.release(lockName);
  }

  /** A connection of one of ours that came to upgrade_sock; taken over unless the result is false. */
  acceptOver(connection: number): boolean {
    if (!this.#owns) return false;
    this.#parts.upgrade.handover.acceptOver(connection);
    return true;
  }

  /** The services' end, as the successor and the journal are told of it. */
  report(report: DrainReport, over: boolean): void {
    this.old.progress(report, over);
  }

  #becomeOwner(owner: Owner): void {
    this.#owns = true;
    this.old.become(owner);
    this.#takeModes();
    this.#parts.endpoints.open();
    this.#parts.save();
  }

  /** The paths are the other generation's no longer. */
  #takeModes(): void {
    const { listeners, server } = this.#parts;
    for (const [listener, bound] of listeners) {
      try {
        server.sockets.setMode(bound);
      } catch (error) {
        server.log.warn(`cannot set the mode of listener "${listener}": ${(error as Error).message}`, { listener });
      }
    }
  }

  #busy(): { readonly reason: string; readonly msLeft: number } | undefined {
    const { store, server, services } = this.#parts;
    const { phase, draining = [] } = store.snapshot;
    const [oldest] = draining;
    if (phase !== ("Running" satisfies Phase) && !this.#parts.pingora()?.dialling)
      return { reason: `the running generation is in ${phase}, not in Running`, msLeft: 1_000 };
    if (this.#new?.settled === false) return { reason: "the running generation is on probation", msLeft: 1_000 };
    const { unfinished } = services;
    if (unfinished !== undefined)
      return { reason: `oneshot ${unfinished} still runs (onUpgrade: skip)`, msLeft: 1_000 };
    const older = this.#older.count;
    if (older + 2 <= server.plan.upgrade.maxGenerations) return undefined;
    if (older > 1) return { reason: `${older} older generations still end their services`, msLeft: 1_000 };
    const which = oldest === undefined ? "an older generation" : `generation ${oldest.generation}`;
    return { reason: `${which} still ends its services`, msLeft: 1_000 };
  }

  #ended(outcome: UpgradeOutcome): void {
    this.#parts.store.set({ lastUpgrade: outcome });
    this.#parts.save();
  }

  #settled(outcome: UpgradeOutcome): void {
    this.#parts.endpoints.open();
    this.#won(outcome);
  }

  /** This generation owns for good. */
  #won(outcome: UpgradeOutcome): void {
    this.#undecided = undefined;
    this.#ended(outcome);
    void this.#parts.upgrade.renewInit().then((warning) => {
      if (warning === undefined) return;
      this.#parts.server.log.warn(warning);
      this.#ended({ ...outcome, warnings: [...outcome.warnings, warning] });
    });
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const leave = this.#parts.store.subscribe({
        snapshot: () => {
          leave();
          resolve();
        },
      });
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}

function generationOf({ generation, release, build, pid }: PeerFacts): GenerationView {
  return { generation, release, build, pid };
}

function supersededBy({ lost, handover }: UpgradeParts): GenerationView | undefined {
  if (lost !== "superseded") return undefined;
  const owner = handover.journal()?.owner;
  return { generation: owner?.generation ?? 0, release: owner?.release ?? "", build: owner?.build ?? "", pid: 0 };
}
