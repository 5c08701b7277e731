import { exitCodes } from "./entry-error.js";
import { paint } from "./terminal-colour.js";
import type { UpgradeOutcome, UpgradeProgress, UpgradeResult } from "./upgrade-outcome.js";

/** What an upgrade says on a terminal, complete lines for its two streams. */
export interface UpgradeWords {
  readonly out: string;
  readonly err: string;
}

/** Exit codes of `pingora-entry upgrade`. */
export const upgradeExit: Readonly<Record<UpgradeResult, number>> = {
  completed: exitCodes.ok.code,
  "rolled-back": exitCodes.failed.code,
  busy: exitCodes.tryLater.code,
};

/** Of an order that waits, and is to be sent once more to whoever answers then. `why`: nobody took it */
export function askedAgain(attempt: string, at: number, why: string): UpgradeProgress {
  return { attempt, step: "wait", at, text: `${why}: asked again` };
}

export function progressWords({ step, text }: UpgradeProgress, colour: boolean): UpgradeWords {
  return { out: `${paint(step.padEnd(10), "dim", colour)} ${text}\n`, err: "" };
}

export function outcomeWords(outcome: UpgradeOutcome, colour: boolean): UpgradeWords {
  const { result, reason, seconds, generation, stopping, warnings } = outcome;
  const warned = warnings.map((warning) => `pingora-entry: warning: ${warning}\n`).join("");
  const took = `after ${seconds.toFixed(1)} s`;
  if (result === "completed") {
    const out = stopping
      ? `replaced ${took}: generation ${generation} has the sockets, and ends, too: the server is being stopped\n`
      : `${paint("replaced", "green", colour)} ${took}: generation ${generation} serves\n`;
    return { out, err: warned };
  }
  if (result === "busy") return { out: "", err: `${warned}pingora-entry: cannot upgrade now: ${reason}\n` };
  const now = stopping
    ? `generation ${generation} has the sockets, and is stopping`
    : `generation ${generation} serves on`;
  return { out: "", err: `${warned}pingora-entry: rolled back ${took}: ${reason}; ${now}\n` };
}
