import type { DrainView } from "../core/snapshot.js";
import { DrainTally, type Ending } from "./drain-tally.js";
import type { BoundListener, Clock, ConnectionCount, Connections, Log } from "./ports.js";

export interface WatchedInstance {
  readonly instance: string;
  /** its main process; what is below it counts for it */
  readonly pid: number;
  /** names of the listeners it accepts on; others' connections do not count */
  readonly listeners: readonly string[];
}

export interface DrainWatchParts {
  readonly connections: Connections;
  readonly clock: Clock;
  readonly log: Log;
  readonly listeners: () => ReadonlyMap<string, BoundListener>;
  /** what `views` gives is new */
  readonly changed: () => void;
  /** when a stop of the whole server was asked for: from then on the figures of a listener's stops add up */
  readonly stopSince: () => number | undefined;
}

/** Looking may take this share of one processor's time. */
const costShare = 1 / 25;
const quickestMs = 10;
/** as long as nothing changes, the looks become rarer up to this */
const slowestMs = 100;
const slower = 1.5;

/**
 * Counts the connections of processes that are stopping, beside the stop: nothing waits for it, nothing fails because of it. The first look
 * is over when `begin` returns, so that it comes before the signal.
 */
export class DrainWatch {
  readonly #parts: DrainWatchParts;
  readonly #watched = new Map<string, WatchedInstance>();
  /** those of the watched that have been sent SIGKILL */
  readonly #killed = new Set<string>();
  readonly #tally: DrainTally;
  #over = new AbortController();
  #lookers = new Set<() => void>();

  constructor(parts: DrainWatchParts) {
    this.#parts = parts;
    this.#tally = new DrainTally(parts.clock);
  }

  /** By listener, in the order of their first drain. */
  get views(): readonly DrainView[] {
    return this.#tally.views;
  }

  /** These are about to be stopped. Those that are watched already, or have no listeners, are left as they are. */
  begin(instances: readonly WatchedInstance[]): void {
    const fresh = instances.filter(({ instance, listeners }) => listeners.length > 0 && !this.#watched.has(instance));
    if (fresh.length === 0) return;
    const idle = this.#watched.size === 0;
    for (const each of fresh) {
      this.#watched.set(each.instance, each);
      this.#tally.begin(each, this.#parts.stopSince());
    }
    const first = this.#look();
    if (!idle) return;
    this.#over = new AbortController();
    void this.#poll(first, this.#over.signal);
  }

  /**
   * SIGKILL follows in this turn: what it had in the last look is cut. The kernel closes its sockets before we are told of its end, and a look
   * in between would take them for drained.
   */
  killing(instance: string): void {
    if (this.#watched.has(instance)) this.#killed.add(instance);
  }

  /** Its process is gone. */
  ended(instance: string, how: Ending): void {
    const watched = this.#watched.get(instance);
    if (watched === undefined) return;
    this.#watched.delete(instance);
    this.#killed.delete(instance);
    if (this.#watched.size === 0) this.#over.abort();
    this.#wake();
    void this.#account(watched, how);
  }

  /** What the process has passed on to another one lives on: that is seen only now. */
  async #account(watched: WatchedInstance, how: Ending): Promise<void> {
    const { connections, log, changed } = this.#parts;
    let moved: readonly ConnectionCount[] = [];
    // what is left of a process that was killed may be still dying
    if (how === "exited" && this.#tally.openOf(watched.instance) > 0) {
      try {
        moved = (await connections.count(this.#bound([watched]), [watched])).moved;
      } catch (error) {
        log.debug("cannot count connections", { err: error });
      }
    }
    this.#tally.end(watched, how, moved, [...this.#watched.values()]);
    const own = new Set(watched.listeners);
    for (const view of this.views) if (view.done && own.has(view.listener)) this.#report(view);
    changed();
  }

  #bound(watched: readonly WatchedInstance[]): Map<string, BoundListener> {
    const names = new Set(watched.flatMap(({ listeners }) => listeners));
    return new Map([...this.#parts.listeners()].filter(([name]) => names.has(name)));
  }

  /**
   * True as soon as none of these instances has a connection left (one that has ended has none); false at the deadline, or when the signal
   * aborts. Those that are not watched yet are from now on, until `ended` is called for them.
   */
  async drained(instances: readonly WatchedInstance[], deadline: number, signal?: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts;
    this.begin(instances);
    const late = new AbortController();
    const leave = () => late.abort();
    signal?.addEventListener("abort", leave, { once: true });
    if (signal?.aborted) leave();
    void clock.until(deadline, late.signal).then(leave);
    try {
      // the look of `begin` is told in a later turn
      await Promise.resolve();
      while (!late.signal.aborted) {
        if (instances.every(({ instance }) => !this.#watched.has(instance) || this.#tally.isDrained(instance)))
          return true;
        await this.#nextLook(late.signal);
      }
      return false;
    } finally {
      leave();
      signal?.removeEventListener("abort", leave);
    }
  }

  async #poll(first: Promise<number>, over: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    let costMs = await first;
    let waitMs = quickestMs;
    let state = this.#tally.state;
    while (!over.aborted) {
      await clock.until(clock.now() + Math.max(waitMs, costMs / costShare), over);
      if (over.aborted) return;
      costMs = await this.#look();
      const before = state;
      state = this.#tally.state;
      waitMs = state === before ? Math.min(waitMs * slower, slowestMs) : quickestMs;
    }
  }

  /** Resolves with the milliseconds it took. */
  async #look(): Promise<number> {
    const { clock, connections, log, changed } = this.#parts;
    const watched = [...this.#watched.values()];
    const alive = watched.filter(({ instance }) => !this.#killed.has(instance));
    const bound = this.#bound(watched);
    const from = clock.now();
    let costMs = 0;
    try {
      const counting = connections.count(bound, watched);
      costMs = clock.now() - from;
      const { counts, deserted, exact } = await counting;
      const before = this.#tally.state;
      // who has ended meanwhile is accounted for
      const still = alive.filter((each) => this.#watched.get(each.instance) === each);
      this.#tally.seen(still, { counts, deserted, exact });
      if (this.#tally.state !== before) changed();
    } catch (error) {
      log.debug("cannot count connections", { err: error });
    }
    this.#wake();
    return costMs;
  }

  #report({ listener, drained, cut, killed, seconds, exact }: DrainView): void {
    const level = cut > 0 ? "warn" : drained > 0 ? "info" : "debug";
    this.#parts.log[level](`listener ${listener}: ${drained} connections drained, ${cut} cut, in ${seconds} s`, {
      listener,
      drained,
      cut,
      killed,
      seconds,
      exact,
    });
  }

  #wake(): void {
    for (const wake of [...this.#lookers]) wake();
  }

  #nextLook(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#lookers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#lookers.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
