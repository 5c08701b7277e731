/**
 * Fits a stop into what the pod has left: one budget, absolute deadlines, computed once.
 *
 *     requestedAt |-- lame duck --|-- wave 1 --|-- wave 2 --| ... |-- reserve --| requestedAt + grace: SIGKILL from outside
 *
 * Times are CLOCK_MONOTONIC ms.
 */
export interface StopWave {
  /** in no order; they stop at the same time */
  readonly services: readonly {
    readonly name: string /** undefined: a share of what is left */;
    readonly graceMs?: number;
  }[];
}

export interface StopBudget {
  readonly requestedAt: number;
  readonly graceMs: number;
  readonly reserveMs: number;
  readonly lameDuckMs: number;
  /** in stop order */
  readonly waves: readonly StopWave[];
}

export interface PlannedWave {
  readonly services: readonly string[];
  readonly graceMs: number;
  /** whatever still runs is killed then */
  readonly deadline: number;
}

export interface ShutdownPlan {
  readonly requestedAt: number;
  readonly lameDuckUntil: number;
  readonly waves: readonly PlannedWave[];
  /** the last wave's deadline: requestedAt + grace - reserve, or sooner */
  readonly deadline: number;
  /** how much longer than the grant the configured times are; 0 when the plan holds as configured */
  readonly excessMs: number;
}

/**
 * Explicit graces are kept when they fit; waves without one share the rest equally. When the grant is too small, the lame duck gives way
 * first, then every wave shrinks in proportion: no deadline ever passes requestedAt + grace - reserve.
 */
export function planShutdown(budget: StopBudget): ShutdownPlan {
  const available = Math.max(0, budget.graceMs - budget.reserveMs);
  const explicit = budget.waves.map((wave) => {
    const graces = wave.services.flatMap((service) => (service.graceMs === undefined ? [] : [service.graceMs]));
    return graces.length === 0 ? undefined : Math.max(...graces);
  });
  const explicitSum = explicit.reduce<number>((sum, grace) => sum + (grace ?? 0), 0);
  const excessMs = Math.max(0, budget.lameDuckMs + explicitSum - available);

  const lameDuck = Math.max(0, Math.min(budget.lameDuckMs, available - explicitSum));
  const forWaves = available - lameDuck;
  const shared = explicit.filter((grace) => grace === undefined).length;
  const share = shared === 0 ? 0 : Math.max(0, forWaves - explicitSum) / shared;
  const scale = explicitSum > forWaves ? forWaves / explicitSum : 1;

  const lameDuckUntil = budget.requestedAt + lameDuck;
  let deadline = lameDuckUntil;
  const waves = budget.waves.map((wave, i) => {
    const graceMs = (explicit[i] ?? share) * scale;
    deadline = Math.min(deadline + graceMs, budget.requestedAt + available);
    return { services: wave.services.map((service) => service.name), graceMs, deadline };
  });
  return { requestedAt: budget.requestedAt, lameDuckUntil, waves, deadline, excessMs };
}
