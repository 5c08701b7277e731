import type { UpgradeCause } from "./upgrade-cause.js";

/** What an operator orders: which program and configuration the new generation runs by. */
export interface UpgradeOrder {
  /** directory with another release of pingora-entry; undefined: the one that runs */
  readonly path?: string;
  /** instead of the configuration files of the old generation */
  readonly conf: readonly string[];
  /** while another upgrade or an old generation is in the way: wait, or end as busy */
  readonly wait: boolean;
}

/** The steps of docs/upgrade.md, in their order; the first two come before the two generations meet. */
export const upgradeSteps = [
  "wait",
  "start",
  "LEASE",
  "OFFER",
  "CLAIM",
  "PREPARING",
  "READY",
  "COMMIT",
  "PROBATION",
  "FINALIZE",
] as const;

export type UpgradeStep = (typeof upgradeSteps)[number];

/** One line of progress. */
export interface UpgradeProgress {
  readonly attempt: string;
  readonly step: UpgradeStep;
  /** wall clock, milliseconds since the epoch */
  readonly at: number;
  readonly text: string;
}

/**
 * How an upgrade ended. `completed`: the new generation owns the sockets; `rolled-back`: the old one serves on, `reason` says why;
 * `busy`: nothing was tried.
 */
export type UpgradeResult = "completed" | "rolled-back" | "busy";

export interface UpgradeOutcome {
  readonly attempt: string;
  readonly result: UpgradeResult;
  /** in words; why it was rolled back or refused */
  readonly reason: string;
  /** the same in one word of a fixed list */
  readonly cause: UpgradeCause;
  readonly at: number;
  readonly seconds: number;
  /** the generation that owns the sockets now */
  readonly generation: number;
  /** that one is ending, too: the server was told to stop meanwhile, or cannot go on */
  readonly stopping?: true;
  /** what was passed over on the way: an init that could not be replaced, a socket that nobody claimed */
  readonly warnings: readonly string[];
}
