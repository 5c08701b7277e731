import type { DrainView } from "../core/snapshot.js";
import type { WatchedInstance } from "./drain-watch.js";
import type { Clock, ConnectionCount, Connections } from "./ports.js";

/** By its own will, by the signal that it does not catch, or at its deadline. */
export type Ending = "exited" | "signalled" | "killed";

/**
 * A process that drains ends because its last connection did, most often before we look again: so many of the last look have ended by
 * themselves. A process that is gone before the second look has drained nothing.
 */
const endsTheDrain = 2;

/** connections of processes that may not be seen, all of a listener's together */
const hidden = "";

type Look = Pick<Awaited<ReturnType<Connections["count"]>>, "counts" | "deserted" | "exact">;

/** Connections of one instance at one listener. */
interface Open {
  connections: number;
  deserted: number;
  looks: number;
}

interface Round {
  open: Map<string, Open>;
  beganAt: number;
  since: number;
  endedAt: number | undefined;
  drained: number;
  cut: number;
  killed: number;
  exact: boolean;
  cutTotal: number;
}

/** The bookkeeping of drains: what each look saw, what each end means. */
export class DrainTally {
  readonly #rounds = new Map<string, Round>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get views(): readonly DrainView[] {
    return [...this.#rounds].map(([listener, round]) => {
      const { open, since, beganAt, endedAt, drained, cut, killed, exact, cutTotal } = round;
      return {
        listener,
        since,
        connections: sum(open.values()),
        drained,
        cut,
        killed,
        seconds: Math.round(((endedAt ?? this.#clock.now()) - beganAt) / 10) / 100,
        done: endedAt !== undefined,
        exact,
        cutTotal,
      };
    });
  }

  /** All counts as one text: the same as long as nothing has changed. */
  get state(): string {
    return [...this.#rounds.values()].map(({ open, drained, cut }) => `${sum(open.values())},${drained},${cut}`).join();
  }

  /** Adds to a drain that ended after `addsSince`; else its figures begin anew. */
  begin({ instance, listeners }: WatchedInstance, addsSince = Number.POSITIVE_INFINITY): void {
    for (const listener of listeners) {
      let round = this.#rounds.get(listener);
      if (round === undefined || (round.endedAt ?? Number.POSITIVE_INFINITY) < addsSince) {
        const { cutTotal = 0 } = round ?? {};
        const none = { drained: 0, cut: 0, killed: 0, exact: true, cutTotal };
        round = {
          ...none,
          open: new Map(),
          since: this.#clock.wall(),
          beganAt: this.#clock.now(),
          endedAt: undefined,
        };
        this.#rounds.set(listener, round);
      }
      round.endedAt = undefined;
      round.open.set(instance, { connections: 0, deserted: 0, looks: 0 });
    }
  }

  /** One look, of these instances. What nobody of them can have is left as it was. */
  seen(instances: readonly WatchedInstance[], look: Look): void {
    for (const { instance, listeners } of instances)
      for (const listener of listeners) this.#see(listener, instance, look);
    for (const [listener, { endedAt, open }] of this.#rounds) {
      if (!instances.some(({ listeners }) => listeners.includes(listener))) continue;
      const seen = look.counts.some((count) => count.listener === listener && count.instance === undefined);
      if (endedAt === undefined && (seen || open.has(hidden))) this.#see(listener, hidden, look);
    }
  }

  /** Connections of one instance in the last look. */
  openOf(instance: string): number {
    return [...this.#rounds.values()].reduce((total, { open }) => total + (open.get(instance)?.connections ?? 0), 0);
  }

  /** `moved`: what of it lives on elsewhere; `left`: who is watched still. */
  end(
    { instance, listeners }: WatchedInstance,
    how: Ending,
    moved: readonly ConnectionCount[],
    left: readonly WatchedInstance[],
  ): void {
    for (const listener of listeners) {
      const round = this.#rounds.get(listener);
      if (round === undefined) continue;
      if (how === "killed") round.killed += 1;
      const passed = moved.find((each) => each.listener === listener && each.instance === instance);
      const own = round.open.get(instance);
      if (passed !== undefined && own !== undefined) {
        const drained = Math.min(passed.connections, own.connections);
        own.connections -= drained;
        round.drained += drained;
      }
      close(round, instance, how);
      if (left.some((each) => each.listeners.includes(listener))) continue;
      close(round, hidden, how);
      round.endedAt = this.#clock.now();
    }
  }

  /** Seen at least once, and with nothing then. */
  isDrained(instance: string): boolean {
    return [...this.#rounds.values()].every(({ open }) => {
      const own = open.get(instance);
      return own === undefined || (own.looks > 0 && isEmpty(own) && isEmpty(open.get(hidden)));
    });
  }

  #see(listener: string, instance: string, { counts, deserted, exact }: Look): void {
    const round = this.#rounds.get(listener);
    if (round === undefined) return;
    const before = round.open.get(instance)?.connections ?? 0;
    const looks = round.open.get(instance)?.looks ?? 0;
    const isIts = (each: ConnectionCount) => each.listener === listener && (each.instance ?? hidden) === instance;
    const connections = counts.find(isIts)?.connections ?? 0;
    round.drained += Math.max(0, before - connections);
    round.open.set(instance, { connections, deserted: deserted.find(isIts)?.connections ?? 0, looks: looks + 1 });
    round.exact &&= exact;
  }
}

/** What a client has said before it left may still be being read. */
function isEmpty(open: Open | undefined): boolean {
  return open === undefined || open.connections + open.deserted === 0;
}

function close(round: Round, instance: string, how: Ending): void {
  const { connections = 0, looks = 0 } = round.open.get(instance) ?? {};
  round.open.delete(instance);
  if (how === "exited" && looks > 1 && connections <= endsTheDrain) round.drained += connections;
  else {
    round.cut += connections;
    round.cutTotal += connections;
  }
}

function sum(opens: Iterable<Open>): number {
  let total = 0;
  for (const { connections } of opens) total += connections;
  return total;
}
