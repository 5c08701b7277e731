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
    readonly name: string;
    /** undefined: a share of what is left */
    readonly graceMs?: number;
    /** has no process: needs no time */
    readonly idle?: boolean;
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
  /** kept back after it */
  readonly reserveMs: number;
  /** how much longer than the grant the configured times are; 0 when the plan holds as configured */
  readonly excessMs: number;
  /** waves got less than they were to have, not only the lame duck */
  readonly shrunk: boolean;
}

/** What a wave without a grace of its own gets at least, before the lame duck gets anything. */
export const leastShareMs = 1_000;

/**
 * Explicit graces are kept when they fit; waves without one share the rest equally, and have a second before the lame duck has any. When
 * the grant is too small, the lame duck gives way first, then every wave shrinks in proportion: no deadline ever passes
 * requestedAt + grace - reserve.
 */
export function planShutdown(budget: StopBudget): ShutdownPlan {
  const available = Math.max(0, budget.graceMs - budget.reserveMs);
  const explicit = budget.waves.map(({ services }) => {
    const busy = services.filter(({ idle }) => !idle);
    const graces = busy.flatMap(({ graceMs }) => (graceMs === undefined ? [] : [graceMs]));
    return busy.length === 0 ? 0 : graces.length === 0 ? undefined : Math.max(...graces);
  });
  const explicitSum = explicit.reduce<number>((sum, grace) => sum + (grace ?? 0), 0);
  const excessMs = Math.max(0, budget.lameDuckMs + explicitSum - available);

  const sharing = explicit.filter((grace) => grace === undefined).length;
  const lameDuck = Math.max(0, Math.min(budget.lameDuckMs, available - explicitSum - sharing * leastShareMs));
  const forWaves = available - lameDuck;
  const share = sharing === 0 ? 0 : Math.max(leastShareMs, (forWaves - explicitSum) / sharing);
  const needed = explicitSum + sharing * share;
  const scale = needed > forWaves ? forWaves / needed : 1;

  const lameDuckUntil = budget.requestedAt + lameDuck;
  let deadline = lameDuckUntil;
  const waves = budget.waves.map((wave, i) => {
    const graceMs = (explicit[i] ?? share) * scale;
    deadline = Math.min(deadline + graceMs, budget.requestedAt + available);
    return { services: wave.services.map((service) => service.name), graceMs, deadline };
  });
  const { requestedAt, reserveMs } = budget;
  return { requestedAt, lameDuckUntil, waves, deadline, reserveMs, excessMs, shrunk: scale < 1 };
}
