import { EntryError, exitCodes } from "../core/entry-error.js";
import type { GenerationView } from "../core/snapshot.js";
import type { UpgradeCause } from "../core/upgrade-cause.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress, UpgradeStep } from "../core/upgrade-outcome.js";
import type { OldGeneration } from "./old-generation.js";
import type { Clock, ExitStatus, Init, Log } from "./ports.js";
import { Scope } from "./scope.js";
import { isForGood, type StopRecord } from "./stop-request.js";
import type { UpgradeParts } from "./upgrade-parts.js";

export interface OrderParts {
  readonly upgrade: UpgradeParts;
  readonly old: OldGeneration;
  readonly bootMs: number;
  readonly generation: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly init: Init;
  /** the stop of this server, once there is one */
  readonly stop: () => StopRecord | undefined;
  /** why none can begin now; undefined: one can */
  readonly busy: () => { readonly reason: string } | undefined;
  /** resolves at the next change of the server, or when the signal aborts */
  readonly change: (signal: AbortSignal) => Promise<void>;
  readonly outcome: (outcome: UpgradeOutcome) => void;
  /** what is ordered has changed: it must survive this supervisor */
  readonly save: () => void;
}

interface Running {
  readonly attempt: string;
  readonly line: number;
  readonly settle: (outcome: UpgradeOutcome) => void;
}

type Successor = Awaited<ReturnType<Init["successor"]>>;

/** An init that stands still is not waited for. */
const answerMs = 1_000;

/** An order that waits is tried again after so long at the earliest: what was in its way may not show here. */
const retryMs = 1_000;

/** A candidate's words are meant for a terminal. */
const program = /^pingora-entry: /;

/** Upgrades that an operator orders from this generation: a successor under the same init. One at a time. */
export class UpgradeOrders {
  readonly #parts: OrderParts;
  #running: Running | undefined;
  /** attempts by their line, as long as that lives: also of those that are over */
  readonly #candidates = new Map<number, string>();
  /** lines that have ended while the init's answer was not looked at: after a pause of ours both are there at once */
  #early: Map<number, ExitStatus> | undefined;
  #ordered: string | undefined;
  /** aborts when the order under way has ended: nothing else need have changed */
  #turn = new AbortController();

  constructor(parts: OrderParts) {
    this.#parts = parts;
  }

  /** The attempt that was ordered and has not ended. */
  get ordered(): string | undefined {
    return this.#ordered;
  }

  /** The supervisor that had taken this order died: who ordered it asks its successor how it ended. */
  interrupted(attempt: string): void {
    this.#parts.outcome(this.#rolledBack(attempt, "lost", "the supervisor of the running generation died meanwhile"));
  }

  /** The init's line of an attempt that was ordered here. */
  lineOf(attempt: string): number | undefined {
    return this.#running?.attempt === attempt ? this.#running.line : undefined;
  }

  /** Somebody else decided how an attempt ended. */
  settled(outcome: UpgradeOutcome): void {
    if (this.#running?.attempt === outcome.attempt) this.#running.settle(outcome);
  }

  /** A line of the init is over: a candidate that never asked for the sockets, or whose session tells more. */
  ended(line: number, status: ExitStatus): void {
    const attempt = this.#candidates.get(line);
    if (attempt === undefined) {
      this.#early?.set(line, status);
      return;
    }
    this.#candidates.delete(line);
    // taken in any case: nobody else will
    const said = this.#parts.upgrade.refusal(attempt)?.replace(program, "");
    // one that has come to ask has a session, which tells more
    if (this.#running?.line !== line || this.#asks(attempt)) return;
    this.#running.settle(this.#ending(attempt, status, said));
  }

  async run(
    order: UpgradeOrder,
    report: (progress: UpgradeProgress) => void,
    signal: AbortSignal,
  ): Promise<UpgradeOutcome> {
    const { clock, upgrade, old, change } = this.#parts;
    for (let said = ""; ; ) {
      const attempt = upgrade.attemptId();
      const say = (step: UpgradeStep, text: string) => report({ attempt, step, at: clock.wall(), text });
      for (let why = this.#busy(); why !== undefined; why = this.#busy()) {
        const stop = this.#parts.stop();
        const stops = stop && isForGood(stop) ? `the server is being stopped: ${stop.cause}` : undefined;
        if (!order.wait || signal.aborted || stops !== undefined) {
          upgrade.refused();
          return this.#busyEnd(attempt, stops ?? why);
        }
        // this generation will never be free: who still waits asks again, where its successor answers
        if (old.replacedBy !== undefined) return this.#replacedEnd(attempt, old.replacedBy);
        if (why !== said) say("wait", why);
        said = why;
        await change(AbortSignal.any([signal, this.#turn.signal]));
      }
      const outcome = await this.#try(order, attempt, say);
      if (outcome.result !== "busy" || !order.wait) return outcome;
      said = outcome.reason;
      say("wait", said);
      await clock.until(clock.now() + retryMs, signal);
      if (signal.aborted) return outcome;
    }
  }

  async #try(
    order: UpgradeOrder,
    attempt: string,
    say: (step: UpgradeStep, text: string) => void,
  ): Promise<UpgradeOutcome> {
    const { clock, upgrade, old } = this.#parts;
    const command = upgrade.command(order, attempt);
    this.#ordered = attempt;
    this.#parts.save();
    const began = clock.now();
    const unlisten = old.onStep((whose, step, text) => {
      if (whose === attempt) say(step, text);
      else if (step === "FINALIZE") this.#superseded();
    });
    try {
      const outcome = await this.#attempt(attempt, command, order.wait, say);
      const stopping = (await this.#isStopping(outcome)) ? ({ stopping: true } as const) : {};
      const ended = { ...outcome, ...stopping, seconds: (clock.now() - began) / 1000 };
      // the last that was tried is still what there is to tell
      if (ended.result !== "busy") this.#parts.outcome(ended);
      return ended;
    } finally {
      unlisten();
      this.#ordered = undefined;
      this.#turn.abort();
      this.#turn = new AbortController();
      this.#parts.save();
    }
  }

  /** This attempt's candidate has come to ask: how it goes on is its session's to tell, which ends in any case. */
  #asks(attempt: string): boolean {
    return this.#parts.old.candidate?.attempt === attempt;
  }

  /** How a candidate that has not come to ask did end. */
  #ending(attempt: string, status: ExitStatus, said: string | undefined): UpgradeOutcome {
    const stop = this.#parts.stop();
    if (status.code === exitCodes.tryLater.code)
      // for a server that is told to end there is no later
      return stop?.signalled
        ? this.#rolledBack(attempt, "stopped", stop.cause)
        : this.#busyEnd(attempt, this.#whyRefused(said));
    const how = status.signal === undefined ? `exited with code ${status.code ?? 0}` : `died of ${status.signal}`;
    const ending = `the new generation ${how} before it asked for the sockets`;
    const cause = status.code === exitCodes.config.code ? "check" : "start";
    const words = said === undefined ? `${ending}; the log may say why` : `${ending}: ${said}`;
    return this.#rolledBack(attempt, cause, cause === "check" && said !== undefined ? `check failed: ${said}` : words);
  }

  /** A candidate was told to try later; whoever was in its way may be gone by now. */
  #whyRefused(said: string | undefined): string {
    const other = this.#parts.old.candidate;
    if (other === undefined) return `the new generation was refused: ${said ?? "the log may say why"}`;
    const release = other.release === "" ? "" : ` (${other.release})`;
    return `another upgrade is under way: generation ${other.generation}${release} was faster`;
  }

  /** Another attempt has succeeded: a candidate of ours would meet a generation that did not start it. */
  #superseded(): void {
    const { old, init } = this.#parts;
    if (this.#running === undefined || old.replacedBy === undefined) return;
    const { attempt, line, settle } = this.#running;
    init.abandon(line);
    settle(this.#replacedEnd(attempt, old.replacedBy));
  }

  /** Whether who owns now is about to end. */
  async #isStopping({ result, cause }: UpgradeOutcome): Promise<boolean> {
    const { clock, init, stop } = this.#parts;
    if (cause === "stopped" && stop() === undefined) {
      // a signal goes to all generations: when the new one was faster, what has come for this one is before the init's next answer
      const over = new AbortController();
      await Promise.race([init.signal("", "0", "child"), clock.until(clock.now() + answerMs, over.signal)]);
      over.abort();
    }
    const record = stop();
    // of a replaced generation every stop but one that came from outside is the upgrade's own
    const replaced = result === "completed" || this.#parts.old.replacedBy !== undefined;
    return record !== undefined && (!replaced || record.signalled);
  }

  async #attempt(
    attempt: string,
    command: ReturnType<UpgradeParts["command"]>,
    wait: boolean,
    say: (step: UpgradeStep, text: string) => void,
  ): Promise<UpgradeOutcome> {
    const { clock, init, bootMs, log, upgrade, old } = this.#parts;
    say("start", "the new generation");
    old.makeRoom();
    try {
      old.mend();
    } catch (error) {
      return this.#rolledBack(attempt, "start", (error as Error).message);
    }
    const early = new Map<number, ExitStatus>();
    this.#early = early;
    const started = await this.#start(command);
    this.#early = undefined;
    if (started === undefined)
      return this.#rolledBack(attempt, "start", `the init did not answer within ${bootMs / 1000} s`);
    if (!started.ok && started.stage === "table") {
      if (!wait) upgrade.refused();
      return this.#busyEnd(attempt, "older generations still end their services, the init has room for no more");
    }
    if (!started.ok) return this.#rolledBack(attempt, "start", `cannot start it: ${notStarted(started)}`);
    this.#candidates.set(started.line, attempt);
    log.info(`upgrade: start: the new generation is process ${started.pid}`, { step: "start", attempt });
    const scope = new Scope();
    const outcome = new Promise<UpgradeOutcome>((settle) => {
      this.#running = { attempt, line: started.line, settle };
    });
    const over = early.get(started.line);
    if (over !== undefined) this.ended(started.line, over);
    this.#superseded();
    const late = clock.until(clock.now() + bootMs, scope.signal).then(() => {
      if (scope.signal.aborted || this.#asks(attempt)) return outcome;
      init.abandon(started.line);
      return this.#rolledBack(
        attempt,
        "start",
        `the new generation did not ask for the sockets within ${bootMs / 1000} s`,
      );
    });
    const result = await Promise.race([outcome, late]);
    await scope.close();
    this.#running = undefined;
    return result;
  }

  /** Undefined: an init that stands still. What it starts when it goes on is not wanted any more. */
  async #start({ argv, env }: ReturnType<UpgradeParts["command"]>): Promise<Successor | undefined> {
    const { clock, init, bootMs } = this.#parts;
    const asked = init.successor({ argv, env });
    const scope = new Scope();
    const late = clock.until(clock.now() + bootMs, scope.signal).then(() => undefined);
    const started = await Promise.race([asked, late]);
    await scope.close();
    if (started === undefined) void asked.then((each) => each.ok && init.abandon(each.line));
    return started;
  }

  #busy(): string | undefined {
    return this.#ordered !== undefined ? "another upgrade is under way" : this.#parts.busy()?.reason;
  }

  #rolledBack(attempt: string, cause: UpgradeCause, reason: string): UpgradeOutcome {
    return this.#end(attempt, "rolled-back", reason, cause);
  }

  #busyEnd(attempt: string, reason: string): UpgradeOutcome {
    return this.#end(attempt, "busy", reason, "busy");
  }

  #replacedEnd(attempt: string, { generation }: GenerationView): UpgradeOutcome {
    return { ...this.#busyEnd(attempt, `generation ${generation} has replaced this one meanwhile`), generation };
  }

  #end(attempt: string, result: "rolled-back" | "busy", reason: string, cause: UpgradeCause): UpgradeOutcome {
    const { clock, generation } = this.#parts;
    return { attempt, result, reason, cause, at: clock.wall(), seconds: 0, generation, warnings: [] };
  }
}

function notStarted({ stage, errno }: { readonly stage: string; readonly errno: string }): string {
  if (errno === "EMFILE") return "the init may open no more files (limit nofile); raise the container's hard limit";
  return `${stage}: ${errno}`;
}

/** For a server that takes part in no upgrade. */
export function noUpgrades(reason: string): Promise<never> {
  return Promise.reject(new EntryError("failed", `cannot upgrade: ${reason}`));
}
