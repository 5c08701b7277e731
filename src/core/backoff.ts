import type { RestartSpec } from "./plan.js";

/**
 * Milliseconds to wait before restart number `attempt` (0 is the first): exponential from `initialDelayMs`, capped at `maxDelayMs`,
 * spread by up to a fifth either way so that instances do not start in step. `random` is in [0, 1).
 */
export function restartDelay(spec: RestartSpec, attempt: number, random: number): number {
  const doubled = spec.initialDelayMs * 2 ** Math.min(attempt, 30);
  return Math.min(Math.min(doubled, spec.maxDelayMs) * (0.8 + 0.4 * random), spec.maxDelayMs);
}
