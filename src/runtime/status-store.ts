import type { Snapshot, Transition } from "../core/snapshot.js";
import type { Sink } from "./ports.js";

/**
 * Holds the one Snapshot. `set` is the only entrance for writes. Transitions reach every sink at once and none is missed; snapshots of
 * one turn of the event loop are told as one, the newest.
 */
export class StatusStore {
  #snapshot: Snapshot;
  readonly #sinks = new Set<Sink>();
  #told = true;

  constructor(initial: Snapshot) {
    this.#snapshot = initial;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  set(change: Partial<Omit<Snapshot, "revision">>): void {
    this.#snapshot = { ...this.#snapshot, ...change, revision: this.#snapshot.revision + 1 };
    if (!this.#told) return;
    this.#told = false;
    queueMicrotask(() => {
      this.#told = true;
      for (const sink of this.#sinks) sink.snapshot?.(this.#snapshot);
    });
  }

  transition(transition: Transition): void {
    this.set({ phase: transition.to, phaseSince: transition.at });
    for (const sink of this.#sinks) sink.transition?.(transition);
  }

  subscribe(sink: Sink): () => void {
    this.#sinks.add(sink);
    return () => {
      this.#sinks.delete(sink);
    };
  }
}
