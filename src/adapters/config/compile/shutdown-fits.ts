import { planShutdown } from "../../../core/grace-budget.js";
import type { Plan } from "../../../core/plan.js";
import { placeFor, type Scene } from "./scene.js";

/** The stop as it would be if it began at 0: in stop order. */
export function stopAtZero(plan: Plan): ReturnType<typeof planShutdown> {
  const graceOf = new Map(plan.services.map((service) => [service.name, service.stop.graceMs]));
  return planShutdown({
    requestedAt: 0,
    graceMs: plan.shutdown.gracePeriodMs,
    reserveMs: plan.shutdown.reserveMs,
    lameDuckMs: plan.shutdown.lameDuckMs,
    waves: [...plan.waves].reverse().map((names) => ({
      services: names.map((name) => {
        const graceMs = graceOf.get(name);
        return graceMs === undefined ? { name } : { name, graceMs };
      }),
    })),
  });
}

/** A stop that was promised more time than the pod grants is refused; one that leaves a wave almost none is warned about. */
export function refuseUnstoppable(plan: Plan, { complaints, places }: Pick<Scene, "complaints" | "places">): void {
  const { excessMs, waves } = stopAtZero(plan);
  const { gracePeriodMs, lameDuckMs, reserveMs } = plan.shutdown;
  const place = placeFor(places, "shutdown.gracePeriodSeconds") ?? placeFor(places, "shutdown") ?? firstPlace(places);
  if (excessMs > 0) {
    const needed = gracePeriodMs + excessMs;
    const slowest = waveSum(plan);
    const parts = [
      ...(lameDuckMs > 0 ? [`lame duck ${text(lameDuckMs)}`] : []),
      ...slowest.map(({ name, graceMs }) => `${name} ${text(graceMs)}`),
      ...(reserveMs > 0 ? [`reserve ${text(reserveMs)}`] : []),
    ];
    const names = slowest.map(({ name }) => name).join(", ");
    const what = names === "" ? "stopping" : `stopping ${names}`;
    complaints.problem(
      place,
      "shutdown",
      `${what} needs ${text(needed)} but the pod grants ${text(gracePeriodMs)} (terminationGracePeriodSeconds)`,
      parts.join(" + "),
    );
    return;
  }
  for (const wave of waves) {
    if (
      wave.graceMs >= 1000 ||
      wave.services.some((name) => plan.services.find((service) => service.name === name)?.stop.graceMs !== undefined)
    )
      continue;
    complaints.warning(
      place,
      "shutdown",
      `only ${text(wave.graceMs)} are left to stop ${wave.services.join(", ")}`,
      "raise gracePeriodSeconds",
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

function firstPlace(places: Scene["places"]): ReturnType<typeof placeFor> {
  return places.get("services")?.key;
}

export function text(ms: number): string {
  return `${Math.round(ms / 10) / 100} s`;
}
