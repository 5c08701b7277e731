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
  const parts = [
    ...(lameDuckMs > 0 ? [`lame duck ${inSeconds(lameDuckMs)}`] : []),
    ...waves.map(({ name, graceMs }) => `${name} ${inSeconds(graceMs)}`),
    ...(reserveMs > 0 ? [`reserve ${inSeconds(reserveMs)}`] : []),
  ];
  const what = waves.length === 0 ? "stopping" : `stopping ${waves.map(({ name }) => name).join(", ")}`;
  const needs = (ms: number): string =>
    `${what} needs ${inSeconds(ms)} but the pod grants ${inSeconds(gracePeriodMs)} (terminationGracePeriodSeconds)`;
  const cutAway = !automatic && lameDuckMs > 0 && left <= 0;
  if (left < 0 || cutAway) {
    // a lame duck nobody asked for gives way: a configuration must not be good on a desk and refused in a pod
    const shown = automatic && lameDuckMs > 0 ? parts.slice(1) : parts;
    complaints.problem(place, "shutdown", needs(automatic ? stopMs : stopMs + lameDuckMs), shown.join(" + "));
    return;
  }
  const inPod = { ...plan, shutdown: { ...plan.shutdown, lameDuckMs } };
  const kept = planStop(inPod, { requestedAt: 0, lameDuck: true }).lameDuckUntil;
  if (kept < lameDuckMs) {
    const where = automatic ? "in a pod, " : "";
    complaints.warning(
      place,
      "shutdown",
      `${needs(stopMs + lameDuckMs)}: ${where}the lame duck is cut from ${inSeconds(lameDuckMs)} to ${inSeconds(kept)}`,
      parts.join(" + "),
    );
  }
  const longRunning = new Set(plan.services.flatMap(({ name, type }) => (type === "long-running" ? [name] : [])));
  for (const wave of planStop(plan, { requestedAt: 0, lameDuck: true }).waves) {
    const running = wave.services.filter((name) => longRunning.has(name));
    if (running.length === 0 || wave.graceMs >= 1000 || waves.some(({ name }) => wave.services.includes(name)))
      continue;
    const message = `only ${inSeconds(wave.graceMs)} are left to stop ${running.join(", ")}`;
    complaints.warning(
      place,
      "shutdown",
      message,
      "raise shutdown.gracePeriodSeconds, or give the others less graceSeconds",
    );
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

/** Milliseconds in words: "2.5 s". */
export function inSeconds(ms: number): string {
  return `${Math.round(ms / 10) / 100} s`;
}
