import { exitCodes } from "../core/entry-error.js";
import type { DrainReport } from "../core/handover-frame.js";
import type { Phase } from "../core/phase.js";
import type { ListenerSpec } from "../core/plan.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress } from "../core/upgrade-outcome.js";
import type { Task } from "./driver.js";
import type { Inbox, Posted } from "./inbox.js";
import { LentSockets } from "./lent-sockets.js";
import { heldName } from "./listener-set.js";
import { PingoraWay } from "./pingora-way.js";
import type { BoundListener, ExitStatus } from "./ports.js";
import type { ServerParts } from "./server-parts.js";
import type { ServiceSet } from "./service-set.js";
import type { Shutdown } from "./shutdown.js";
import type { StatusStore } from "./status-store.js";
import { noUpgrades } from "./upgrade-orders.js";
import { type SavedUpgrade, Upgrades } from "./upgrades.js";

export interface SuccessionParts {
  readonly server: ServerParts;
  readonly saved: SavedUpgrade | undefined;
  /** listeners that a supervisor before this one had lent, and that blocked then */
  readonly lent: readonly string[] | undefined;
  readonly services: ServiceSet;
  readonly listeners: Map<string, BoundListener>;
  readonly store: StatusStore;
  readonly inbox: Inbox;
  readonly endpoints: { open(): void; pause(): void };
  readonly shutdown: Shutdown;
  readonly drainReport: () => DrainReport;
  readonly save: () => void;
}

const noSockets: ReadonlyMap<string, number> = new Map();

/** How this server comes into the place of another, and leaves its own to one: in our way, in pingora's, or not at all. */
export class Succession {
  readonly #parts: SuccessionParts;
  readonly #lent: LentSockets;
  readonly #ours: Upgrades | undefined;
  readonly #pingora: PingoraWay | undefined;

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
    const { server, listeners, store, inbox, shutdown } = parts;
    this.#lent = new LentSockets({ ...server, listeners, saved: parts.lent, save: parts.save });
    this.#ours =
      server.upgrade &&
      new Upgrades({
        ...parts,
        upgrade: server.upgrade,
        lent: this.#lent,
        pingora: () => this.#pingora,
        tell: () => this.report(false),
        stop: () => shutdown.record,
        failed: (posted) => inbox.post(this.#succeeded(posted).event, posted.cause),
      });
    this.#pingora =
      server.pingora &&
      new PingoraWay({
        ...server,
        pingora: server.pingora,
        listeners,
        lent: this.#lent,
        post: (cause) => inbox.post("GracefulUpgrade", cause),
        acceptOver: (connection) => this.#ours?.acceptOver(connection) ?? false,
        view: (view) => store.set({ upgrade: view }),
        outcome: (outcome) => store.set({ lastUpgrade: outcome }),
      });
  }

  /** Another generation owns what this one had. */
  get replaced(): boolean {
    return this.#ours?.replacedBy !== undefined;
  }

  /** False for a generation that has yet to take over for good, and for one that had to give back. */
  get owns(): boolean {
    return this.#ours?.owns ?? true;
  }

  /** Its successor has its place, and is of another container. */
  get replacedElsewhere(): boolean {
    return this.#ours?.old.replacedElsewhere ?? false;
  }

  /** Another generation accepts in the place of this one, which ends. */
  get othersServe(): boolean {
    return this.#ours?.othersServe ?? false;
  }

  /** Another generation accepts on the same sockets. */
  get shared(): boolean {
    return (this.#ours?.shared ?? false) || (this.#pingora?.shared ?? false);
  }

  /** Of one whose upgrades are off for now: what the supervisor before it had saved, for the one after it. */
  get saved(): SavedUpgrade | undefined {
    return this.#ours ? this.#ours.saved : this.#parts.saved;
  }

  get lent(): readonly string[] | undefined {
    return this.#lent.saved;
  }

  /** what SIGQUIT is for */
  get handsOverToPingora(): boolean {
    return this.#pingora !== undefined;
  }

  /** Settles when the end of the upgrade that replaced this generation has been told. */
  get retired(): Promise<void> | undefined {
    return this.#ours?.old.retired;
  }

  /** The path of this listener is nobody else's. */
  mayRemove(listener: string): boolean {
    return this.#ours?.mayRemove(listener) ?? true;
  }

  order(
    order: UpgradeOrder,
    report: (progress: UpgradeProgress) => void,
    signal: AbortSignal,
  ): Promise<UpgradeOutcome> {
    return this.#ours?.orders.run(order, report, signal) ?? noUpgrades(this.#parts.server.noUpgrades);
  }

  /** What SIGQUIT asks for. False: there is no way in which it may be done. */
  ask(cause: string): boolean {
    if (this.#pingora === undefined) return false;
    const { phase } = this.#parts.store.snapshot;
    if (phase === "Running" || this.#pingora.asked) this.#pingora.ask(cause);
    else this.#parts.server.log.warn(`${cause} ignored in ${phase}: only a server in Running hands over`);
    return true;
  }

  /** A line of the init is over. */
  lineEnded(line: number, status: ExitStatus): void {
    this.#ours?.lineEnded(line, status);
  }

  /** The init is gone, and with it the services and all that it held. */
  vanish(reason: string): void {
    this.#ours?.old.vanish(reason);
  }

  /** The server has ended: the owner's place is free. */
  leavePlace(): void {
    this.#ours?.forgetListeners();
    this.#ours?.leavePlace();
  }

  /** As a restarted supervisor of a generation that was replaced: the sockets are seen, and not touched. */
  seeListeners(): void {
    this.#ours?.seeListeners();
  }

  /** These services are about to be told to stop. */
  stopping(services: readonly string[]): void {
    this.#ours?.stopping(services);
  }

  /** The services' end, as the successor and the journal are told of it. */
  report(over: boolean): void {
    this.#ours?.report(this.#parts.drainReport(), over);
  }

  /** This supervisor follows one that died. @returns what others have decided meanwhile */
  resume(): Posted | undefined {
    this.#ours?.resume();
    const verdict = this.#ours?.verdict;
    return verdict && this.#succeeded(verdict);
  }

  /** As a restarted supervisor that owns, and has its sockets: the successor that had them, too, has lost. */
  takeBackLent(): void {
    this.#lent.takeBack();
  }

  /** The sockets that come from another generation, by listener; Posted: they do not come. */
  async claim(specs: readonly ListenerSpec[]): Promise<ReadonlyMap<string, number> | Posted> {
    const inherited = this.#pingora?.claim(specs) ?? (await this.#ours?.claim(specs)) ?? noSockets;
    return "event" in inherited ? this.#succeeded(inherited) : inherited;
  }

  /** Opens what did not come over; when that fails, whoever has sockets lent to this generation hears why. */
  binding(signal: AbortSignal, open: (signal: AbortSignal) => Promise<void>): Promise<void> {
    return this.#ours?.binding(signal, open) ?? open(signal);
  }

  /** What holds this generation up; "": nothing any more. */
  waits(text: string): void {
    this.#ours?.waits(text);
  }

  /** From the services' start to Running; undefined: there is nobody whose place could be taken. */
  takeOver(signal: AbortSignal): Promise<Posted> | undefined {
    return this.#ours?.takeOver(signal)?.then((posted) => this.#succeeded(posted));
  }

  readonly tasks = {
    GracefulUpgradeTransferringFds: (scope) =>
      this.#byPingora
        ? this.#toPingora((way) => way.transfer(scope, (each) => this.#toOurs((ours) => ours.old.transfer(each))))
        : this.#toOurs((ours) => ours.old.transfer(scope)),
    GracefulUpgradeCloseTimeout: (scope) =>
      this.#byPingora
        ? this.#toPingora((way) => way.probation(scope))
        : this.#toOurs((ours) => ours.old.probation(scope)),
  } satisfies Partial<Record<Phase, Task>>;

  /** A successor that failed ends with its own exit code, whatever its services do. */
  #succeeded(posted: Posted): Posted {
    if (posted.event !== "SuccessionFailed") return posted;
    this.#ours?.disown();
    const { shutdown } = this.#parts;
    shutdown.begin({ cause: posted.cause, requested: false, signalled: false, own: exitCodes.failed.code });
    return posted;
  }

  get #byPingora(): boolean {
    return this.#pingora?.asked === true || this.#ours === undefined;
  }

  /** When one of ours owns after it, this generation ends, in its own time. */
  async #toOurs(task: (ours: Upgrades) => Promise<Posted>): Promise<Posted> {
    if (this.#ours === undefined) throw new TypeError("a server without upgrades hands nothing over");
    const posted = await task(this.#ours);
    if (posted.event === "ProbationPassed") {
      const { services } = this.#parts;
      this.#ours.letGo();
      void this.#ours.old.retire(() => services.accepting);
      this.#leave(posted.cause);
      // what it has missed until now: the init tells ends of lines to the owner alone
      this.report(false);
    }
    return posted;
  }

  /** The same for a pingora, which takes the listeners and nothing else: the endpoints are served to the end. */
  async #toPingora(task: (way: PingoraWay) => Promise<Posted>): Promise<Posted> {
    if (this.#pingora === undefined) throw new TypeError("a server without upgrades hands nothing over");
    const posted = await task(this.#pingora);
    if (posted.event === "ProbationPassed") {
      const { server, listeners } = this.#parts;
      this.#ours?.leavePlace();
      for (const { name } of server.plan.listeners) {
        const bound = listeners.get(name);
        server.init.release(heldName(name));
        if (bound !== undefined) server.sockets.close(bound);
      }
      this.#leave(posted.cause);
    }
    return posted;
  }

  #leave(cause: string): void {
    const { shutdown, server } = this.#parts;
    shutdown.begin({ cause, requested: true, signalled: false, drainMs: server.plan.upgrade.drainMs });
  }
}
