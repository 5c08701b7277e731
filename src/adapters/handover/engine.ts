import { type HandoverFrame, handoverFrameTypes, handoverText } from "../../core/handover-frame.js";
import { causeOf, type StateFacts, type Table } from "../../core/handover-machine.js";
import type { HandoverTimes } from "../../core/handover-times.js";
import type { UpgradeCause, UpgradeEnd } from "../../core/upgrade-cause.js";
import type { Clock } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { Wire } from "./wire.js";

/** What happened: an input of the table with what came along. */
export interface Occurrence {
  readonly frame?: HandoverFrame;
  readonly fds?: readonly number[];
  /** for people, of an input that may end it */
  readonly reason?: string;
  /** the same in one word; undefined: what such an input counts as */
  readonly cause?: UpgradeCause;
}

export interface Side<State extends string, Input extends string, Effect extends string> {
  readonly table: Table<State, Input, Effect>;
  readonly facts: Readonly<Record<State, StateFacts<Effect>>>;
  readonly first: State;
  readonly last: State;
  /** "NEW" or "OLD": the other */
  readonly peer: string;
  /** Looks at a frame before the table does: an input instead of its type, or why it cannot be. */
  screen(frame: HandoverFrame, fds: readonly number[]): { readonly garbage: string } | undefined;
  /** Told of every frame, also of those that change nothing. */
  heard?(frame: HandoverFrame): void;
  /** The heartbeat of this type, when there is more to say than that this side lives. */
  beat?(type: HandoverFrame["type"]): HandoverFrame | undefined;
  /** What the other side has said that it waits for: why it may be late. */
  held?(): UpgradeEnd | undefined;
  /** Does it; the outcome, if it has one, is the next input. Descriptors of the occurrence that it keeps are taken out of `fds`. */
  perform(effect: Effect, what: { frame: HandoverFrame | undefined; fds: number[] }): Input | undefined;
}

type Common = HandoverFrame["type"] | "timeout" | "silent" | "gone" | "garbage" | "abort" | "unavailable";

/** Runs a table over a wire: frames, deadlines, silence, heartbeats and repeated tries become inputs, cells become effects. */
export class Engine<State extends string, Input extends string, Effect extends string> {
  readonly #side: Side<State, Input | Common, Effect>;
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #times: HandoverTimes;
  readonly #inbox: { readonly input: Input | Common; readonly what: Occurrence }[] = [];
  #state: State;
  #busy = false;
  #lost = false;
  #heard: number;
  #deadline = Number.POSITIVE_INFINITY;
  #scope = new AbortController();
  #reason = "";
  #cause: UpgradeCause = "other";
  #step: State;

  constructor(
    fd: number,
    limit: number,
    side: Side<State, Input | Common, Effect>,
    world: { readonly clock: Clock; readonly times: HandoverTimes },
  ) {
    this.#side = side;
    this.#clock = world.clock;
    this.#times = world.times;
    this.#state = side.first;
    this.#step = side.first;
    this.#heard = world.clock.now();
    this.#wire = new Wire(
      fd,
      limit,
      {
        frame: (frame, fds) => this.#frame(frame, fds),
        garbage: (reason) => this.#lose("garbage", `${side.peer} sent what is no frame: ${reason}`),
        lost: () => this.#lose("gone", `${side.peer} closed the connection`),
      },
      (retry) => {
        void this.#clock.until(this.#clock.now() + this.#times.retryMs, this.#scope.signal).then(retry);
      },
    );
    this.#enter();
  }

  get state(): State {
    return this.#state;
  }

  /** the first cause of the end, or of the doubt, in words */
  get reason(): string {
    return this.#reason;
  }

  /** the same in one word */
  get cause(): UpgradeCause {
    return this.#cause;
  }

  /** the state in which that was */
  get step(): State {
    return this.#step;
  }

  /** until when the present state may last */
  get msLeft(): number {
    return Math.max(0, this.#deadline - this.#clock.now());
  }

  /** since the last frame, or since the present watching state began */
  get quietMs(): number {
    return this.#clock.now() - this.#heard;
  }

  get wire(): Wire {
    return this.#wire;
  }

  /** what the table says of this input now */
  accepts(input: Input | Common): boolean {
    return this.#side.table[this.#state][input] !== "stay";
  }

  feed(input: Input | Common, what: Occurrence = {}): void {
    this.#inbox.push({ input, what });
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift())
        this.#take(next.input, next.what);
    } finally {
      this.#busy = false;
    }
  }

  /** As if this process had died: not a word more, to the other side or to the journal. */
  vanish(reason: string): void {
    this.blame(reason, "lost");
    this.#step = this.#state;
    this.#state = this.#side.last;
    this.#enter();
  }

  #frame(frame: HandoverFrame, fds: readonly number[]): void {
    this.#heard = this.#clock.now();
    this.#side.heard?.(frame);
    this.feed(frame.type, { frame, fds });
  }

  #lose(input: "garbage" | "gone", reason: string): void {
    this.#lost = true;
    this.feed(input, { reason });
  }

  #take(input: Input | Common, what: Occurrence): void {
    const fds = [...(what.fds ?? [])];
    const problem = what.frame && this.accepts(input) ? this.#side.screen(what.frame, fds) : undefined;
    if (problem !== undefined) this.#apply("garbage", { reason: problem.garbage }, []);
    else this.#apply(input, what, fds);
    for (const fd of fds) native().close(fd);
  }

  #apply(input: Input | Common, what: Occurrence, fds: number[]): void {
    const before = this.#state;
    const cell = this.#side.table[before][input];
    if (cell === "stay") return;
    this.#explain(input, what, cell.to);
    this.#state = cell.to;
    for (const effect of cell.effects) this.#do(effect, what.frame, fds);
    if (this.#state !== before) this.#enter();
  }

  #do(effect: Effect, frame: HandoverFrame | undefined, fds: number[]): void {
    const outcome = this.#side.perform(effect, { frame, fds });
    // before what waits: nothing may come between an effect and its outcome
    if (outcome !== undefined) this.#inbox.unshift({ input: outcome, what: {} });
  }

  /** What it was that ended it: the first cause, not what the journal then said. */
  #explain(input: Input | Common, { frame, reason, cause }: Occurrence, to: State): void {
    const { facts, last, peer } = this.#side;
    const { retry, wait } = facts[this.#state];
    if (retry !== undefined && this.#reason !== "") return;
    this.#step = this.#state;
    if (frame?.type === "ABORT") this.blame(`${peer}: ${frame.reason}`, frame.cause);
    else if (frame?.type === "BUSY") this.blame(`${peer}: ${frame.reason}`, "busy");
    else if (frame?.type === "DRAINED") this.blame(`${peer} has drained`, "none");
    else if (reason !== undefined) this.blame(reason, cause ?? causeOf(input, wait));
    else if (
      (handoverFrameTypes as readonly string[]).includes(input) &&
      (to === last || facts[to].retry !== undefined)
    )
      this.blame(`${peer} sent ${input} at the wrong moment`, "protocol");
  }

  /** why, for an outcome that an effect returns */
  blame(reason: string, cause: UpgradeCause): void {
    this.#reason = reason;
    this.#cause = cause;
  }

  /** The last word: why this side ends it. */
  sayAbort(): void {
    this.#wire.sendLast({ type: "ABORT", reason: handoverText(this.#reason), cause: this.#cause });
  }

  #enter(): void {
    this.#scope.abort();
    this.#scope = new AbortController();
    const { signal } = this.#scope;
    this.#deadline = Number.POSITIVE_INFINITY;
    if (this.#state === this.#side.last) {
      this.#wire.close();
      return;
    }
    const { wait, watches, beat, retry } = this.#side.facts[this.#state];
    if (wait !== undefined) this.#expire(this.#times[wait], signal);
    if (watches) this.#listen(signal);
    if (beat !== undefined) this.#beat({ type: beat } as HandoverFrame, signal);
    if (retry !== undefined) this.#again(retry, signal);
    // told once, perhaps to a state that did not want to know
    if (this.#lost && this.accepts("gone"))
      this.#inbox.push({ input: "gone", what: { reason: `${this.#side.peer} closed the connection` } });
  }

  #expire(ms: number, signal: AbortSignal): void {
    this.#deadline = this.#clock.now() + ms;
    const { peer } = this.#side;
    void this.#clock.until(this.#deadline, signal).then(() => {
      // it may be we who stood still, with the answer in the socket
      if (!signal.aborted) this.#wire.drain();
      if (signal.aborted) return;
      const reason = `${peer} did not go on within ${ms / 1000} s (${this.#state})`;
      const held = this.#side.held?.();
      this.feed("timeout", held === undefined ? { reason } : { ...held, reason: `${reason}: ${held.reason}` });
    });
  }

  async #listen(signal: AbortSignal): Promise<void> {
    this.#heard = this.#clock.now();
    for (;;) {
      await this.#clock.until(this.#heard + this.#times.silenceMs, signal);
      if (signal.aborted) return;
      this.#wire.drain();
      if (signal.aborted) return;
      if (this.#clock.now() - this.#heard >= this.#times.silenceMs) break;
    }
    this.feed("silent", {
      reason: `${this.#side.peer} was silent for ${this.#times.silenceMs / 1000} s (${this.#state})`,
    });
  }

  async #beat(frame: HandoverFrame, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // one that does not read needs no more of them
      if (this.#wire.backlog === 0) this.#wire.send(this.#side.beat?.(frame.type) ?? frame);
      await this.#clock.until(this.#clock.now() + this.#times.heartbeatMs, signal);
    }
  }

  async #again(effect: Effect, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.until(this.#clock.now() + this.#times.retryMs, signal);
      if (signal.aborted) return;
      const outcome = this.#side.perform(effect, { frame: undefined, fds: [] });
      if (outcome !== undefined) this.feed(outcome);
    }
  }
}
