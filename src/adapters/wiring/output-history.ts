import type { OutputHistory, OutputLine } from "../../runtime/ports.js";

export interface HistoryLimits {
  /** of one service */
  readonly lines: number;
  /** of all services together, shared out evenly; UTF-16 units */
  readonly characters: number;
}

interface Ring {
  readonly lines: OutputLine[];
  /** index of the oldest; what is before it has been forgotten and is cut off now and then */
  first: number;
  characters: number;
}

const defaults: HistoryLimits = { lines: 1_000, characters: 2 * 1024 * 1024 };

/** The last lines of every service, in bounded memory, and who wants to hear of the next. */
export class OutputMemory implements OutputHistory {
  readonly #limits: HistoryLimits;
  readonly #rings = new Map<string, Ring>();
  readonly #followers = new Set<{
    readonly service: string | undefined;
    readonly receive: (line: OutputLine) => void;
  }>();

  constructor(limits: HistoryLimits = defaults) {
    this.#limits = limits;
  }

  record(line: OutputLine): void {
    let ring = this.#rings.get(line.service);
    if (ring === undefined) {
      ring = { lines: [], first: 0, characters: 0 };
      this.#rings.set(line.service, ring);
      for (const each of this.#rings.values()) this.#trim(each);
    }
    ring.lines.push(line);
    ring.characters += line.text.length;
    this.#trim(ring);
    for (const follower of this.#followers) {
      if (follower.service === undefined || follower.service === line.service) follower.receive(line);
    }
  }

  tail(service: string | undefined, limit: number): readonly OutputLine[] {
    if (limit <= 0) return [];
    const rings = [...this.#rings].flatMap(([name, ring]) => (service === undefined || service === name ? [ring] : []));
    const kept = rings.flatMap((ring) => ring.lines.slice(Math.max(ring.first, ring.lines.length - limit)));
    // stable: lines of one service stay in their order
    if (rings.length > 1) kept.sort((a, b) => a.at - b.at);
    return kept.slice(-limit);
  }

  follow(service: string | undefined, receive: (line: OutputLine) => void): () => void {
    const follower = { service, receive };
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  #trim(ring: Ring): void {
    const characters = this.#limits.characters / this.#rings.size;
    while (
      ring.lines.length - ring.first > this.#limits.lines ||
      (ring.characters > characters && ring.first < ring.lines.length)
    ) {
      ring.characters -= ring.lines[ring.first]?.text.length ?? 0;
      ring.first += 1;
    }
    if (ring.first <= this.#limits.lines) return;
    ring.lines.splice(0, ring.first);
    ring.first = 0;
  }
}
