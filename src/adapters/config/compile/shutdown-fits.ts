import { leastShareMs, type PlannedWave } from "../../../core/grace-budget.js";
import type { Plan } from "../../../core/plan.js";
import { planStop } from "../../../core/stop-waves.js";
import { placeFor, type Scene } from "./scene.js";

const podLameDuckMs = 5000;

/**
 * Refuses a stop that was promised more time than the pod grants: the waves and the reserve must fit, and something of a written lame duck
 * must be left. A lame duck that is cut short, here or once this runs in a pod, and a wave with almost no time are warned about.
 */
export function refuseUnstoppable(plan: Plan, scene: Pick<Scene, "complaints" | "places" | "settings">): void {
  const { complaints, places, settings } = scene;
  const { gracePeriodMs, reserveMs } = plan.shutdown;
  const automatic = settings.shutdown.lameDuckSeconds === "auto";
  const lameDuckMs = automatic ? podLameDuckMs : plan.shutdown.lameDuckMs;
  const place =
    placeFor(places, "shutdown.gracePeriodSeconds") ?? placeFor(places, "shutdown") ?? placeFor(places, "services");
  const waves = waveSum(plan);
  const stopMs = waves.reduce((sum, { graceMs }) => sum + graceMs, 0) + reserveMs;
  const left = gracePeriodMs - stopMs;
  const partsWith = (shares: readonly string[], keptBackMs: number): string[] => [
    ...(lameDuckMs > 0 ? [`lame duck ${inSeconds(lameDuckMs)}`] : []),
    ...waves.map(({ name, graceMs }) => `${name} ${inSeconds(graceMs)}`),
    ...(shares.length === 1 ? [`${shares[0]} at least ${inSeconds(leastShareMs)}`] : []),
    ...(shares.length > 1 ? [`at least ${inSeconds(leastShareMs)} for each of ${shares.length} other waves`] : []),
    ...(keptBackMs > 0 ? [`reserve ${inSeconds(keptBackMs)}`] : []),
  ];
  const needs = (ms: number, names: readonly string[]): string => {
    const what = names.length === 0 ? "stopping" : `stopping ${some(names)}`;
    return `${what} needs ${inSeconds(ms)} but the pod grants ${inSeconds(gracePeriodMs)} (terminationGracePeriodSeconds)`;
  };
  const named = waves.map(({ name }) => name);
  const cutAway = !automatic && lameDuckMs > 0 && left <= 0;
  if (left < 0 || cutAway) {
    // a lame duck nobody asked for gives way: a configuration must not be good on a desk and refused in a pod
    const parts = partsWith([], reserveMs);
    const shown = automatic && lameDuckMs > 0 ? parts.slice(1) : parts;
    complaints.problem(place, "shutdown", needs(automatic ? stopMs : stopMs + lameDuckMs, named), shown.join(" + "));
    return;
  }
  const inPod = { ...plan, shutdown: { ...plan.shutdown, lameDuckMs } };
  const { lameDuckUntil: kept, reserveMs: keptBackMs } = planStop(inPod, { requestedAt: 0, lameDuck: true });
  if (kept < lameDuckMs) {
    const where = automatic ? "in a pod, " : "";
    const shares = sharingWaves(plan);
    const neededMs = stopMs - reserveMs + keptBackMs + lameDuckMs + shares.length * leastShareMs;
    complaints.warning(
      place,
      "shutdown",
      `${needs(neededMs, [...named, ...shares])}: ${where}the lame duck is cut from ${inSeconds(lameDuckMs)} to ${inSeconds(kept)}`,
      partsWith(shares, keptBackMs).join(" + "),
    );
  }
  const longRunning = new Set(plan.services.flatMap(({ name, type }) => (type === "long-running" ? [name] : [])));
  const planned = planStop(plan, { requestedAt: 0, lameDuck: true }).waves;
  const thin = planned.flatMap(({ services, graceMs }) => {
    const running = services.filter((name) => longRunning.has(name));
    const written = waves.some(({ name }) => services.includes(name));
    return running.length === 0 || graceMs >= 1000 || written ? [] : [{ running, graceMs }];
  });
  const [first] = thin;
  if (first !== undefined) {
    const shown = some(thin.flatMap(({ running }) => running));
    const each = thin.length === 1 ? "are left to stop" : `are left for each of ${thin.length} waves:`;
    complaints.warning(
      place,
      "shutdown",
      `only ${inSeconds(Math.min(...thin.map(({ graceMs }) => graceMs)))} ${each} ${shown}`,
      "raise shutdown.gracePeriodSeconds, or give the others less graceSeconds",
    );
  }
  warnOfLateSignals(plan, planned, scene);
}

/** A list of signals without graceSeconds has to fit into its wave's share. */
function warnOfLateSignals(
  plan: Plan,
  planned: readonly PlannedWave[],
  { complaints, places }: Pick<Scene, "complaints" | "places">,
): void {
  for (const { name, stop } of plan.services) {
    const shareMs = planned.find(({ services }) => services.includes(name))?.graceMs ?? 0;
    if (stop.graceMs !== undefined) continue;
    let at = 0;
    for (const [i, step] of stop.steps.entries()) {
      const item = `services.${name}.stop.signal[${i}]`;
      if (i > 0 && at >= shareMs) {
        const message = `would be sent after ${inSeconds(at)}, but the service's share of the grace is ${inSeconds(shareMs)}`;
        complaints.warning(placeFor(places, item), item, message, "give stop.graceSeconds, or smaller waitSeconds");
        break;
      }
      at += step.waitMs;
    }
  }
}

/** Of each wave with a written grace, in stop order, the slowest service. */
function waveSum(plan: Plan): { name: string; graceMs: number }[] {
  const graceOf = new Map(plan.services.map((service) => [service.name, service.stop.graceMs]));
  return [...plan.waves].reverse().flatMap((names) => {
    let slowest: { name: string; graceMs: number } | undefined;
    for (const name of names) {
      const graceMs = graceOf.get(name);
      if (graceMs !== undefined && (slowest === undefined || graceMs > slowest.graceMs)) slowest = { name, graceMs };
    }
    return slowest === undefined ? [] : [slowest];
  });
}

/** Of each wave that has no written grace and something to stop, in stop order, one service. */
function sharingWaves(plan: Plan): string[] {
  const specs = new Map(plan.services.map((service) => [service.name, service]));
  return [...plan.waves].reverse().flatMap((names) => {
    const running = names.filter((name) => specs.get(name)?.type === "long-running");
    return running.some((name) => specs.get(name)?.stop.graceMs !== undefined) ? [] : running.slice(0, 1);
  });
}

function some(names: readonly string[]): string {
  return names.length <= 5 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}

/** Milliseconds in words: "2.5 s". */
export function inSeconds(ms: number): string {
  return `${Math.round(ms / 10) / 100} s`;
}
