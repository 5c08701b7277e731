import type { ServiceSpec } from "./plan.js";

export type UpgradeStrategy = ServiceSpec["upgrade"]["strategy"];

/**
 * When a service of the successor starts:
 * `early`: while the old generation still serves; its readiness decides whether the upgrade goes on.
 * `late`: at COMMIT, when the old generation has let go of what only one can have. Until then the old one's stands for it.
 * `skipped`: never in this generation, when the one before has completed it; else `early`.
 */
export type UpgradePart = "early" | "late" | "skipped";

export function upgradePart({ type, upgrade }: Pick<ServiceSpec, "type" | "upgrade">): UpgradePart {
  if (type === "oneshot") return upgrade.onUpgrade === "skip" ? "skipped" : "early";
  return upgrade.strategy === "handover" && upgrade.accept === "on-start" ? "early" : "late";
}

/** In a successor, a trial on private sockets comes before its first process. */
export function needsPreflight(spec: Pick<ServiceSpec, "type" | "upgrade" | "listeners" | "process">): boolean {
  const { type, upgrade, listeners, process } = spec;
  const possible = type === "long-running" && process !== undefined && listeners.length > 0;
  return upgrade.preflight && possible && upgradePart(spec) === "early";
}

/** What the old generation does with a service just before COMMIT: nothing, stop it, or tell it to hand over by itself. */
export type YieldPart = "keep" | "stop" | "signal";

export function yieldPart({ type, upgrade }: Pick<ServiceSpec, "type" | "upgrade">): YieldPart {
  if (type === "oneshot" || upgrade.strategy === "handover") return "keep";
  return upgrade.strategy === "restart" ? "stop" : "signal";
}
