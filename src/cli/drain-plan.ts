import type { ShutdownPlan } from "../core/grace-budget.js";
import type { Plan } from "../core/plan.js";
import { planStop } from "../core/stop-waves.js";
import { yieldPart } from "../core/upgrade-part.js";
import { secondsWords, timeline } from "./plan-words.js";

/** How a generation ends its services when another one takes its place: what only one can have before COMMIT, the others after FINALIZE. */
export interface DrainPlan {
  readonly before: readonly string[];
  /** from FINALIZE on; nothing but services that have a process then */
  readonly waves: ShutdownPlan["waves"];
  readonly drainMs: number;
  /** how much longer the configured graces are */
  readonly missingMs: number;
}

/** Undefined: this server takes part in no upgrade. */
export function drainPlan(plan: Plan): DrainPlan | undefined {
  const { services, shutdown, upgrade } = plan;
  if (upgrade.directory === undefined || services.length === 0) return undefined;
  const running = services.filter(({ type }) => type === "long-running");
  const before = running.filter((spec) => yieldPart(spec) === "stop").map(({ name }) => name);
  const left = new Set(running.map(({ name }) => name).filter((name) => !before.includes(name)));
  const { drainMs } = upgrade;
  const { waves, excessMs } = planStop(
    { ...plan, shutdown: { ...shutdown, gracePeriodMs: drainMs + shutdown.reserveMs } },
    { requestedAt: 0, lameDuck: false, busy: (name) => left.has(name) },
  );
  const busy = waves
    .map((wave) => ({ ...wave, services: wave.services.filter((name) => left.has(name)) }))
    .filter((wave) => wave.services.length > 0);
  return { before, waves: busy, drainMs, missingMs: excessMs };
}

export function drainText({ before, waves, drainMs, missingMs }: DrainPlan): string {
  const lines: string[] = [];
  if (before.length > 0)
    lines.push(`  before the new generation owns: ${before.join(", ")} (strategy restart: only one can have it)`);
  if (waves.length === 0) lines.push("  after: nothing is left to end");
  else {
    const { rows, sum } = timeline(waves.map(({ services, graceMs }) => ({ ms: graceMs, what: services.join(", ") })));
    lines.push(
      rows,
      `  ${sum} s of the ${secondsWords(drainMs)} s that a replaced generation has (upgrade.drainSeconds)`,
    );
  }
  if (missingMs > 0)
    lines.push(`  ${secondsWords(missingMs)} s too short for the configured graces: every wave gets less`);
  return lines.join("\n");
}

export function drainJson({ before, waves, drainMs, missingMs }: DrainPlan): object {
  return {
    drainSeconds: drainMs / 1000,
    stoppedBefore: before,
    waves: waves.map(({ services, graceMs, deadline }) => ({
      services,
      graceSeconds: graceMs / 1000,
      killAtSeconds: deadline / 1000,
    })),
    missingSeconds: missingMs / 1000,
  };
}
