import { seeded } from "../fakes/random.js";

/** Random choices that are the same for the same seed (mulberry32). */
export interface Random {
  /** in [0, 1) */
  next(): number;
  /** 0 ... limit - 1 */
  below(limit: number): number;
  pick<T>(from: readonly T[]): T;
  chance(probability: number): boolean;
}

export function randomOf(seed: number): Random {
  const next = seeded(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  const pick = <T>(from: readonly T[]): T => {
    const chosen = from[below(from.length)];
    if (chosen === undefined) throw new Error("nothing to pick from");
    return chosen;
  };
  return { next, below, pick, chance: (probability) => next() < probability };
}
