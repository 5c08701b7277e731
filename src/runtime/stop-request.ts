import type { Phase, PhaseEvent } from "../core/phase.js";
import type { Exit } from "../core/service-state.js";
import type { UpgradeEnd } from "../core/upgrade-cause.js";

/** What asked the server to stop, and what has been decided since. Plain data: it survives a restart of the supervisor. */
export interface StopRecord {
  /** the first of preStop and SIGTERM, or the failure; CLOCK_MONOTONIC ms. All deadlines count from here */
  readonly requestedAt: number;
  readonly requestedWall: number;
  /** "SIGTERM", "preStop", "service web failed", ... */
  readonly cause: string;
  /** from outside (signal, hook, request), not by a failure */
  readonly requested: boolean;
  /** the runtime itself wants us to end: a signal came, not only a hook */
  readonly signalled: boolean;
  /** every deadline is now */
  readonly hurried: boolean;
  /** services that had a process when the stop was asked for: they share the time */
  readonly busy: readonly string[];
  /** where the lame duck began; undefined when the stop skips it */
  readonly lameDuckFrom?: number;
  /** another generation is in our place: what the services may take instead of the pod's grace, ms */
  readonly drainMs?: number;
  /** a signal came while the services of a replaced generation ended: no deadline is later, CLOCK_MONOTONIC ms */
  readonly latest?: number;
  /** our own failure decides the exit code */
  readonly own?: number;
  readonly fatal?: Exit;
}

/**
 * What was posted when this stop was written down in `phase`. Phases that have acted on it ignore it. Undefined: the task of the phase finds
 * it out again, as it did then.
 */
export function stopEvent(phase: Phase, record: StopRecord): PhaseEvent | undefined {
  if (record.hurried) return "FastShutdown";
  // replaced, and nobody but the successor has asked: no lame duck
  if (record.drainMs !== undefined && !record.signalled) return undefined;
  if (record.requested) return "Terminate";
  if (phase === "Setup") return "FastShutdown";
  if (phase === "Bootstrap") return "BootstrapFailed";
  return record.own !== undefined || record.fatal !== undefined ? "ServiceFatal" : "ServicesEnded";
}

/** Nothing takes it back any more; a hook that no signal follows is taken back. */
export function isForGood(record: StopRecord | undefined): boolean {
  return record !== undefined && (record.signalled || !record.requested);
}

/** What a stop of this generation is for an upgrade that it ends. Undefined: it stops, and nobody has written down why. */
export function stopEnd(record: StopRecord | undefined): UpgradeEnd {
  if (record === undefined) return { reason: "the generation is stopping", cause: "stopped" };
  const { cause: reason, requested, fatal, own } = record;
  if (requested) return { reason, cause: "stopped" };
  // a failure of ours is no service's; without one, a service was fatal, or none is left
  return { reason, cause: fatal === undefined && own !== undefined ? "other" : "service" };
}

/** The one stop a server makes. The first cause wins; later ones can only hasten it. */
export class StopRequest {
  #record: StopRecord | undefined;
  readonly #hurry = new AbortController();
  #waiters: (() => void)[] = [];
  readonly #changed: () => void;

  constructor(record: StopRecord | undefined, changed: () => void) {
    this.#record = record;
    this.#changed = changed;
    if (record?.hurried) this.#hurry.abort();
  }

  get record(): StopRecord | undefined {
    return this.#record;
  }

  /** Aborts when every deadline has moved to now. */
  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  /** Keeps the first cause; a second one adds what it knows. */
  begin(record: Omit<StopRecord, "hurried">): StopRecord {
    const before = this.#record;
    if (before === undefined) this.#put({ ...record, hurried: false });
    else if (record.signalled && !before.signalled) this.#put({ ...before, signalled: true });
    return this.#record ?? { ...record, hurried: false };
  }

  /** No deadline is later than this one, from now on. */
  limit(latest: number): void {
    if (this.#record !== undefined) this.#put({ ...this.#record, latest });
  }

  /** The stop was undone before anything was stopped. */
  cancel(): void {
    this.#put(undefined);
  }

  hastens(): void {
    if (this.#record === undefined || this.#record.hurried) return;
    this.#put({ ...this.#record, hurried: true });
    this.#hurry.abort();
  }

  /** Resolves when a signal, not only a hook, has asked; at once when it already has. */
  signalled(signal: AbortSignal): Promise<void> {
    if (this.#record?.signalled) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  #put(record: StopRecord | undefined): void {
    this.#record = record;
    if (record?.signalled) for (const wake of this.#waiters.splice(0)) wake();
    this.#changed();
  }
}
