import type { Plan } from "../core/plan.js";
import { isEnded, isIdle, isUp } from "../core/service-state.js";
import type { Instance } from "./instance.js";
import { isReady, type Member, partOf, yieldPartOf } from "./member.js";
import type { Clock, Log } from "./ports.js";

export interface YieldingParts {
  readonly members: ReadonlyMap<string, Member>;
  readonly plan: Pick<Plan, "upgrade">;
  readonly clock: Clock;
  readonly log: Log;
  /** false while the server stops: nothing is started any more */
  readonly starting: () => boolean;
  /** resolves at the next change of any instance, or when the signal aborts */
  readonly change: (signal: AbortSignal) => Promise<void>;
  readonly startWhatCan: () => void;
  /** what an end means that nobody has looked at */
  readonly judge: (member: Member, instance: Instance) => void;
  readonly excuseNobody: () => void;
  readonly changed: () => void;
  readonly save: () => void;
}

/** What the services of an owner do for a successor, and when there is none any more. */
export class Yielding {
  readonly #parts: YieldingParts;
  /** while what starts again after a rollback is excused */
  #mercy = new AbortController();
  /** in favour of a successor that may have it already */
  #active = false;
  /** the successor knows what has ended, and what an operator has stopped */
  #told = false;

  constructor(parts: YieldingParts) {
    this.#parts = parts;
  }

  /** Names of services held in favour of a successor. */
  get names(): string[] {
    return this.#yielded.map(({ spec }) => spec.name);
  }

  /**
   * Why this may not be done to the service now: the successor has been told what has ended here and what is to stay so, and only one generation
   * can have what makes room.
   */
  refusal(name: string, action: "start" | "stop" | "restart"): string | undefined {
    const member = this.#parts.members.get(name);
    if (member === undefined) return undefined;
    const part = yieldPartOf(member);
    // a restarted supervisor knows which have been left, and not that others would have been
    if (member.yielded || (this.#active && part !== "keep"))
      return "it makes room for the new generation of an upgrade that is under way, try again afterwards";
    const runs = !member.held && member.instances.some(({ fold }) => isUp(fold.state));
    const changesNothing = action === "restart" && runs && member.spec.type !== "oneshot";
    return this.#told && !changesNothing
      ? "an upgrade is under way, and the new generation has been told how it is, try again afterwards"
      : undefined;
  }

  get #yielded(): Member[] {
    return [...this.#parts.members.values()].filter(({ yielded }) => yielded);
  }

  /** The server stops: nothing is waited for any more. */
  end(): void {
    this.#mercy.abort();
  }

  /** Before a successor is told what has been completed: a oneshot that it is about to run instead is not begun here any more. */
  holdBack(): void {
    this.#told = true;
    for (const member of this.#parts.members.values()) {
      const states = member.instances.map(({ fold }) => fold.state);
      const due = states.some(({ name }) => name === "Waiting" || name === "Backoff");
      if (!due || member.held || partOf(member) !== "skipped") continue;
      member.held = true;
      member.yielded = true;
    }
    this.#parts.changed();
  }

  /**
   * In favour of a successor: stops what only one generation can have, by its configuration or the successor's (`stopFirst`), tells what replaces itself to do so, and excuses both. What has no
   * process, and is about to get one, is held back. Resolves when the former have ended, which are killed at `deadline`, or when the signal aborts, with the names of those that have not.
   */
  async begin(
    deadline: number,
    reason: string,
    signal: AbortSignal,
    stopFirst: readonly string[] = [],
  ): Promise<string[]> {
    const stopped: Member[] = [];
    this.#active = true;
    this.#mercy.abort();
    for (const member of this.#parts.members.values()) {
      if (stopFirst.includes(member.spec.name)) member.strategy = "restart";
      const part = yieldPartOf(member);
      if (part === "keep" || member.held || member.instances.every(({ fold }) => isEnded(fold.state))) continue;
      member.excused = true;
      member.held = true;
      member.yielded = true;
      for (const instance of member.instances) instance.yield();
      // on record before it is told: whoever comes after this supervisor must know what becomes of its process
      if (part === "signal") this.#parts.save();
      for (const instance of member.instances) {
        const told = part === "signal" && instance.pid !== undefined && isUp(instance.fold.state);
        if (!instance.yielded) instance.hasten(deadline);
        else if (told) void instance.signal(member.spec.upgrade.signal, "child");
        else instance.stop("stay", reason, deadline);
      }
      if (part === "stop") stopped.push(member);
    }
    this.#parts.changed();
    const left = () => stopped.filter(({ instances }) => instances.some(({ fold }) => !isIdle(fold.state)));
    while (left().length > 0 && !signal.aborted) await this.#parts.change(signal);
    return left().map(({ spec }) => spec.name);
  }

  /**
   * The successor is no more: what was stopped in its favour starts again, and what was told to hand over by itself is replaced. Everything else
   * goes on where it was: what waits, waits, a back-off ends when it would have, and what has ended, has. The pod was ready,
   * and stays so while the former starts: each is excused until it has been ready once, or failed, and all for the time that a boot may take at
   * most. The latter is not, for while it is replaced people may be refused.
   */
  takeBack(): void {
    this.#active = false;
    this.#told = false;
    const back = this.#yielded;
    if (back.length === 0) return;
    const { clock, plan, starting, startWhatCan, changed } = this.#parts;
    for (const member of back) {
      const own = yieldPartOf(member) === "signal";
      member.strategy = member.spec.upgrade.strategy;
      member.yielded = false;
      member.held = false;
      const yielded = new Set(member.instances.filter((instance) => instance.takeBack()));
      if (own || isReady(member) || yielded.size === 0) member.excused = false;
      if (own) member.contestedUntil = clock.now() + plan.upgrade.bootMs;
      // not while the server stops
      if (!starting()) continue;
      for (const [index, instance] of [...member.instances.entries()]) {
        const { state } = instance.fold;
        if (!yielded.has(instance)) {
          if (isEnded(state)) this.#parts.judge(member, instance);
        } else if (isIdle(state)) instance.start();
        // its stop is not waited for any more
        else if (state.name === "Stopping") instance.stop("restart-now", "the new generation is no more");
        else if (own) this.#replace(member, index, instance);
      }
    }
    startWhatCan();
    void this.#mercyEnds();
    changed();
  }

  /** It accepts no more, or will not for long: it ends what it has, beside a new one, in the time that any replaced process has. */
  #replace(member: Member, index: number, instance: Instance): void {
    const { clock, plan, log } = this.#parts;
    const next = member.make(index);
    instance.leaveTo(next, clock.now() + plan.upgrade.drainMs);
    member.instances[index] = next;
    member.spent = [...member.spent, instance];
    log.warn(`${instance.key} is replaced: process ${instance.pid} has been told to hand over, and ends what it has`, {
      instance: instance.key,
    });
    next.start();
  }

  async #mercyEnds(): Promise<void> {
    const { clock, plan } = this.#parts;
    this.#mercy = new AbortController();
    const { signal } = this.#mercy;
    await clock.until(clock.now() + plan.upgrade.bootMs, signal);
    if (!signal.aborted) this.#parts.excuseNobody();
  }
}
