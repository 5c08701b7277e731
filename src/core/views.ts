import { phaseFacts, phases } from "./phase.js";
import type { DrainView, ServiceView, Snapshot } from "./snapshot.js";

/** One line of `/readyz?verbose`: a named check with its verdict and its reason; "Ready" needs no explanation. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly reason: string;
}

export interface HealthView {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/** Alive until Terminated: the supervisor's own loop answers; a service's health never counts. */
export function liveness(snapshot: Snapshot): HealthView {
  const ok = phaseFacts[snapshot.phase].live;
  return health([{ name: "phase", ok, reason: snapshot.phase }]);
}

/** Ready when the phase allows it and every required service is. */
export function readiness(snapshot: Snapshot): HealthView {
  const rule = phaseFacts[snapshot.phase].ready;
  const phaseOk = rule === "services" || (rule === "drain" && snapshot.readyDuringDrain);
  return health([{ name: "phase", ok: phaseOk, reason: snapshot.phase }, ...serviceChecks(snapshot)]);
}

/** Started once Running was reached; stays so. */
export function startup(snapshot: Snapshot): HealthView {
  const ok = phases.indexOf(snapshot.phase) >= phases.indexOf("Running");
  return health([{ name: "phase", ok, reason: snapshot.phase }, ...(ok ? [] : serviceChecks(snapshot))]);
}

/** What /status gives: the snapshot and what the three probes make of it. */
export interface StatusView extends Snapshot {
  readonly live: boolean;
  readonly ready: boolean;
  readonly started: boolean;
}

export function statusView(snapshot: Snapshot): StatusView {
  return {
    ...snapshot,
    live: liveness(snapshot).ok,
    ready: readiness(snapshot).ok,
    started: startup(snapshot).ok,
  };
}

/** Connections of a stop that was asked for at `since`, all listeners together. */
export function drainTotals(
  drains: readonly DrainView[],
  since: number,
): { readonly drained: number; readonly cut: number } {
  const ours = drains.filter((drain) => drain.since >= since);
  return {
    drained: ours.reduce((sum, { drained }) => sum + drained, 0),
    cut: ours.reduce((sum, { cut }) => sum + cut, 0),
  };
}

/** Where a service is, and why. */
export function stateText({ state, reason, output = "" }: ServiceView): string {
  return [state, reason, output].filter((word) => word !== "").join(": ");
}

function serviceChecks({ services, upgrade }: Snapshot): Check[] {
  const excuse =
    upgrade === undefined
      ? "starts again after an upgrade that was rolled back"
      : "the other generation's in this upgrade";
  return services.map((service) => serviceCheck(service, excuse));
}

function serviceCheck(service: ServiceView, excuse: string): Check {
  const state = stateText(service);
  const name = `service/${service.name}`;
  if (service.ready) return { name, ok: true, reason: service.type === "oneshot" ? "completed" : service.state };
  if (service.excused) return { name, ok: true, reason: `${excuse}; ${state}` };
  return service.required ? { name, ok: false, reason: state } : { name, ok: true, reason: `not required; ${state}` };
}

function health(checks: readonly Check[]): HealthView {
  return { ok: checks.every((check) => check.ok), checks };
}
