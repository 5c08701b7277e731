import type { Plan } from "../core/plan.js";
import { isEnded, isIdle, isUp } from "../core/service-state.js";
import { upgradePart, type YieldPart, yieldPart } from "../core/upgrade-part.js";
import type { Instance } from "./instance.js";
import { isReady, type Member, processesOf } from "./member.js";
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
  /** by the successor's word, whatever the own configuration says */
  #stopFirst: ReadonlySet<string> = new Set();

  constructor(parts: YieldingParts) {
    this.#parts = parts;
  }

  /** What is held in favour of a successor: part of what a restarted supervisor needs. */
  get saved(): Record<string, YieldPart> {
    return Object.fromEntries(this.#yielded.flatMap(({ spec, yielded }) => (yielded ? [[spec.name, yielded]] : [])));
  }

  /** Something has been stopped, and needs what only one can have. */
  get stopped(): boolean {
    return this.#yielded.some(({ yielded }) => yielded === "stop");
  }

  /** Something has been stopped, or told to hand over: it waits for the end of whoever has it now. */
  get madeRoom(): boolean {
    return this.#yielded.some(({ yielded }) => yielded !== "keep");
  }

  /**
   * Why this may not be done to the service now: the successor has been told what has ended here and what is to stay so, and only one generation
   * can have what makes room.
   */
  refusal(name: string, action: "start" | "stop" | "restart"): string | undefined {
    const member = this.#parts.members.get(name);
    if (member === undefined) return undefined;
    const part = this.#partOf(member);
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

  #partOf({ spec }: Member): YieldPart {
    return this.#stopFirst.has(spec.name) && spec.type === "long-running" ? "stop" : yieldPart(spec);
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
      if (!due || member.held || upgradePart(member.spec) !== "skipped") continue;
      member.held = true;
      member.yielded = "keep";
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
    this.#stopFirst = new Set(stopFirst);
    this.#mercy.abort();
    for (const member of this.#parts.members.values()) {
      const part = this.#partOf(member);
      if (part === "keep" || member.held || member.instances.every(({ fold }) => isEnded(fold.state))) continue;
      member.excused = true;
      member.held = true;
      member.yielded = part;
      for (const instance of member.instances) instance.yield();
      // on record before it is told: whoever comes after this supervisor must know what becomes of its process
      if (part === "signal") this.#parts.save();
      for (const instance of member.instances) {
        const told = part === "signal" && instance.pid !== undefined && isUp(instance.fold.state);
        if (!instance.yielded) instance.hasten(deadline);
        else if (told) void instance.signal(member.spec.upgrade.signal, "child");
        else instance.stop("stay", reason, deadline);
      }
      if (part !== "stop") continue;
      // replaced after an attempt before, and may still have what only one can have
      for (const instance of member.spent) instance.stop("stay", reason, deadline);
      stopped.push(member);
    }
    this.#parts.changed();
    const left = () => stopped.filter((member) => processesOf(member).some(({ fold }) => !isIdle(fold.state)));
    while (left().length > 0 && !signal.aborted) await this.#parts.change(signal);
    return left().map(({ spec }) => spec.name);
  }

  /**
   * The successor is no more, and what was told to hand over by itself is replaced: while that is done people may be refused, so it is not
   * excused.
   */
  replaceOwn(): void {
    this.#back(({ yielded }) => yielded === "signal");
  }

  /**
   * Nothing is left of the successor: what was stopped in its favour starts again. Everything else goes on where it was: what waits, waits, a
   * back-off ends when it would have, and what has ended, has. The pod was ready, and stays so while the former starts: each is excused until
   * it has been ready once, or failed, and all for the time that a boot may take at most. `starts`: false in a stop, where nothing is begun.
   */
  takeBack(starts = true): void {
    const excuses = this.#active;
    this.#active = false;
    this.#told = false;
    this.#stopFirst = new Set();
    const any = this.#yielded.length > 0;
    this.#back(() => true, starts);
    if (any || excuses) void this.#mercyEnds();
  }

  #back(which: (member: Member) => boolean, mayStart = true): void {
    const { clock, plan, starting, startWhatCan, changed } = this.#parts;
    const starts = mayStart && starting();
    const back = this.#yielded.filter(which);
    for (const member of back) {
      const own = member.yielded === "signal";
      member.yielded = undefined;
      member.held = false;
      const yielded = new Set(member.instances.filter((instance) => instance.takeBack()));
      if (own || isReady(member) || yielded.size === 0) member.excused = false;
      if (own) member.contestedUntil = clock.now() + plan.upgrade.bootMs;
      // not while the server stops
      if (!starts) continue;
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
    if (back.length === 0) return;
    if (starts) startWhatCan();
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
    this.#mercy.abort();
    this.#mercy = new AbortController();
    const { signal } = this.#mercy;
    await clock.until(clock.now() + plan.upgrade.bootMs, signal);
    if (!signal.aborted) this.#parts.excuseNobody();
  }
}
