import type { UpgradeOutcome } from "../../core/upgrade-outcome.js";

/** Every word that can be the reason of an upgrade's end, for people who count: the words of the outcome itself are free text. */
export const upgradeReasons = [
  "none",
  "check",
  "start",
  "service",
  "unready",
  "lost",
  "journal",
  "stopped",
  "other",
] as const;

export type UpgradeReason = (typeof upgradeReasons)[number];

/** The first that fits. */
const signs: readonly (readonly [UpgradeReason, RegExp])[] = [
  ["check", /^check failed/],
  ["start", /^cannot start it|^the init did not answer|ask(ed)? for the sockets/],
  ["journal", /journal/],
  ["unready", /not ready (any more|within)|did not go on within .*\((preparing|ready|committed)\)/],
  ["service", /\bservice \S+ failed/],
  ["lost", /closed the connection|was silent|did not go on|supervisor .*(was restarted|died)/],
  ["stopped", /stopping|SIG(TERM|INT|QUIT)/],
];

export function upgradeReason({ result, reason }: Pick<UpgradeOutcome, "result" | "reason">): UpgradeReason {
  if (result === "completed") return "none";
  return signs.find(([, sign]) => sign.test(reason))?.[0] ?? "other";
}
