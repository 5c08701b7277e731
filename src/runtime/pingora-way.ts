import { matchPingoraSockets, pingoraKey, pingoraRefusal } from "../core/pingora-handover.js";
import type { ListenerAddress, ListenerSpec, Plan } from "../core/plan.js";
import type { GenerationView, UpgradeView } from "../core/snapshot.js";
import type { UpgradeCause } from "../core/upgrade-cause.js";
import type { UpgradeOutcome, UpgradeResult, UpgradeStep } from "../core/upgrade-outcome.js";
import type { Task } from "./driver.js";
import type { PingoraHandover, PingoraSent, PingoraSocket, PingoraSuccessor } from "./handover-ports.js";
import type { Posted } from "./inbox.js";
import type { LentSockets } from "./lent-sockets.js";
import type { BoundListener, Clock, Log } from "./ports.js";

/** What a server needs to hand over to a pingora, or to take over from one. */
export interface PingoraParts {
  readonly handover: PingoraHandover;
  /** what a pingora handed over to this generation */
  readonly inherited?: readonly PingoraSocket[];
}

export interface PingoraWayParts {
  readonly pingora: PingoraParts;
  readonly plan: Pick<Plan, "upgrade" | "listeners">;
  readonly clock: Clock;
  readonly log: Log;
  readonly generation: number;
  readonly listeners: ReadonlyMap<string, BoundListener>;
  readonly lent: Pick<LentSockets, "lend" | "putBack">;
  readonly addressesOf: (address: ListenerAddress) => readonly string[];
  readonly closeFd: (fd: number) => void;
  readonly post: (cause: string) => void;
  /** one of ours came to upgrade_sock: as if it had come to the owner's socket. False: this generation is no owner */
  readonly acceptOver: (connection: number) => boolean;
  readonly view: (view: UpgradeView | undefined) => void;
  readonly outcome: (outcome: UpgradeOutcome) => void;
}

interface Attempt {
  readonly id: string;
  readonly began: number;
  readonly dialling: AbortController;
  successor?: PingoraSuccessor;
}

/** What one of ours may take from the connection to its request. */
const requestMs = 3_000;
/** A pingora goes on for 5 s after it has handed over; twice that. */
const overlapMs = 10_000;

/** Upgrades in pingora's way: what SIGQUIT and -u mean when upgrade_sock is set. Unlike a pingora, nobody ends before the successor has proved itself. */
export class PingoraWay {
  readonly #parts: PingoraWayParts;
  #attempt: Attempt | undefined;
  /** until then a pingora that handed over to us accepts, too */
  readonly #sharedUntil: number;
  #count = 0;

  constructor(parts: PingoraWayParts) {
    this.#parts = parts;
    this.#sharedUntil = parts.pingora.inherited === undefined ? 0 : parts.clock.now() + overlapMs;
  }

  /** an attempt in this way is under way */
  get asked(): boolean {
    return this.#attempt !== undefined;
  }

  /** nothing has been sent yet: a candidate of ours may still have the sockets instead */
  get dialling(): boolean {
    return this.#attempt !== undefined && this.#attempt.successor === undefined;
  }

  /** Another process has the sockets, too, and may accept. */
  get shared(): boolean {
    return this.#attempt?.successor !== undefined || this.#parts.clock.now() < this.#sharedUntil;
  }

  /** SIGQUIT: begins, or says why not before anything has changed. */
  ask(cause: string): void {
    const { plan, clock, log, post, lent } = this.#parts;
    if (this.#attempt !== undefined) {
      log.info(`${cause} again: an upgrade is under way`, { cause });
      return;
    }
    this.#count += 1;
    const attempt = { id: `pingora-${this.#count}`, began: clock.now(), dialling: new AbortController() };
    const refusal = pingoraRefusal(plan.listeners);
    if (refusal === undefined) {
      this.#attempt = attempt;
      lent.lend();
      post(cause);
    } else this.#failed(attempt, "sockets", `cannot hand over in pingora's way: ${refusal}`);
  }

  /** A candidate of ours has come while nobody was at upgrade_sock: its session goes on instead. */
  candidate(): void {
    this.#attempt?.dialling.abort();
  }

  /** Until a pingora has the sockets. `instead`: goes on with a candidate of ours. */
  async transfer(scope: Parameters<Task>[0], instead: Task): Promise<Posted> {
    const attempt = this.#attempt;
    if (attempt === undefined) return afterRestart("HandoverFailed");
    const { pingora, log } = this.#parts;
    const { path } = pingora.handover;
    this.#enter(attempt, "LEASE", `looking for a successor at ${path}`);
    const signal = AbortSignal.any([scope.signal, attempt.dialling.signal]);
    const retrying = (reason: string, tries: number) => log.info(`${reason}: try ${tries}`, { attempt: attempt.id });
    const sent = await pingora.handover.send(this.#sockets(), { signal, retrying });
    if (sent.kind === "sent") return this.#taken(attempt, sent.successor, scope.signal);
    if (sent.kind === "ours") await this.#request(attempt, sent, scope.signal);
    if (attempt.dialling.signal.aborted && !scope.signal.aborted) {
      this.#attempt = undefined;
      return instead(scope);
    }
    const reason = sent.kind === "ours" ? "who came did not ask for the sockets" : sent.reason;
    return scope.signal.aborted
      ? this.#back(attempt, "HandoverFailed", "stopped", "this generation is stopping")
      : this.#back(attempt, "HandoverFailed", "start", reason);
  }

  /** Both serve; ends when the successor has lived and accepted for the time of a probation, or is gone. */
  async probation(scope: Parameters<Task>[0]): Promise<Posted> {
    const attempt = this.#attempt;
    const successor = attempt?.successor;
    if (attempt === undefined || successor === undefined) return afterRestart("SuccessorLost");
    const { clock, plan } = this.#parts;
    const until = clock.now() + plan.upgrade.probationMs;
    this.#enter(attempt, "PROBATION", `both serve for ${plan.upgrade.probationMs / 1000} s`, until);
    const lost = await successor.proved(until, scope.signal);
    if (lost !== undefined)
      return this.#back(attempt, "SuccessorLost", scope.signal.aborted ? "stopped" : "lost", lost);
    successor.close();
    const who = nameOf(successor);
    this.#enter(attempt, "FINALIZE", `${who} serves; this generation ends its services`);
    this.#settle(attempt, "completed", "none", "");
    return { event: "ProbationPassed", cause: `replaced by ${who}` };
  }

  /** Which listeners the received sockets are, by name; what nobody wants is closed. */
  claim(specs: readonly ListenerSpec[]): ReadonlyMap<string, number> | undefined {
    const { pingora, log, addressesOf, closeFd } = this.#parts;
    if (pingora.inherited === undefined) return undefined;
    const { taken, extra, unclaimed, remarks } = matchPingoraSockets(specs, pingora.inherited, addressesOf);
    for (const remark of remarks) log.warn(remark);
    for (const { key, fd } of unclaimed) {
      log.warn(`nobody here claims "${key}": it ends with who handed it over`);
      closeFd(fd);
    }
    for (const { name } of extra) log.info(`listener "${name}" did not come over: it is bound`);
    return new Map([...taken].map(([name, { fd }]) => [name, fd]));
  }

  #sockets(): { readonly key: string; readonly fd: number }[] {
    const { plan, listeners } = this.#parts;
    return plan.listeners.flatMap((spec) => {
      const bound = listeners.get(spec.name);
      return bound === undefined ? [] : [{ key: pingoraKey(spec), fd: bound.fd }];
    });
  }

  async #taken(attempt: Attempt, successor: PingoraSuccessor, signal: AbortSignal): Promise<Posted> {
    const { clock, plan } = this.#parts;
    attempt.successor = successor;
    this.#enter(
      attempt,
      "OFFER",
      `the sockets are sent to process ${successor.pid}`,
      clock.now() + plan.upgrade.bootMs,
    );
    const lost = await successor.received(clock.now() + plan.upgrade.bootMs, signal);
    if (lost !== undefined) return this.#back(attempt, "HandoverFailed", signal.aborted ? "stopped" : "lost", lost);
    return { event: "HandoverDone", cause: `process ${successor.pid} has the sockets` };
  }

  async #request(attempt: Attempt, sent: Extract<PingoraSent, { kind: "ours" }>, signal: AbortSignal): Promise<void> {
    const { clock, acceptOver, closeFd } = this.#parts;
    if (signal.aborted || !acceptOver(sent.connection)) closeFd(sent.connection);
    else await clock.until(clock.now() + requestMs, AbortSignal.any([signal, attempt.dialling.signal]));
  }

  #back(attempt: Attempt, event: "HandoverFailed" | "SuccessorLost", cause: UpgradeCause, reason: string): Posted {
    attempt.successor?.close();
    this.#parts.lent.putBack();
    this.#failed(attempt, cause, reason);
    return { event, cause: reason };
  }

  #failed(attempt: Attempt, cause: UpgradeCause, reason: string): void {
    this.#parts.log.warn(`upgrade rolled back: ${reason}`, { attempt: attempt.id });
    this.#settle(attempt, "rolled-back", cause, reason);
    this.#parts.view(undefined);
    this.#attempt = undefined;
  }

  #enter(attempt: Attempt, step: UpgradeStep, text: string, until?: number): void {
    const { clock, log, view } = this.#parts;
    log.info(`upgrade: ${step}: ${text}`, { step, role: "old", attempt: attempt.id });
    const { successor } = attempt;
    const build = successor === undefined ? "" : successor.ours ? "pingora-entry" : "pingora";
    const peer: GenerationView = { generation: 0, release: "", build, pid: successor?.pid ?? 0 };
    const ends = until === undefined ? {} : { until: Math.round(clock.wall() + until - clock.now()) };
    view({ attempt: attempt.id, role: "old", step, since: clock.wall(), ...ends, peer });
  }

  #settle(attempt: Attempt, result: UpgradeResult, cause: UpgradeCause, reason: string): void {
    const { clock, generation, outcome } = this.#parts;
    const seconds = (clock.now() - attempt.began) / 1000;
    outcome({ attempt: attempt.id, result, reason, cause, at: clock.wall(), seconds, generation, warnings: [] });
  }
}

/** One of ours goes by another journal, else it would have spoken our own protocol. */
function nameOf({ ours, pid }: PingoraSuccessor): string {
  const what = ours ? "a pingora-entry with an upgrade directory of its own" : "a pingora";
  return pid === 0 ? what : `${what} (process ${pid})`;
}

function afterRestart(event: "HandoverFailed" | "SuccessorLost"): Posted {
  return { event, cause: "the supervisor was restarted during the upgrade" };
}
