import { existsSync } from "node:fs";
import { refusalMessage, terminationMessage, writeTermination } from "../adapters/termination/termination-message.js";
import type { Plan } from "../core/plan.js";
import type { Snapshot } from "../core/snapshot.js";
import type { Log } from "../runtime/ports.js";

/** The last words of a server that ran. */
export function farewell(snapshot: Snapshot, plan: Plan, log: Log): Promise<void> {
  const { exitCode = 0, shutdown } = snapshot;
  const killed = shutdown?.killed ?? [];
  const suffix = killed.length === 0 ? "" : `; had to kill ${killed.join(", ")}`;
  log.info(`exit ${exitCode}: ${shutdown?.cause ?? "ended"}${suffix}`, { exitCode, killed });
  if (plan.terminationMessagePath !== undefined)
    writeTermination(plan.terminationMessagePath, terminationMessage(snapshot));
  log.flush();
  return Promise.resolve();
}

const defaultPath = "/dev/termination-log";

/** The last words of a server that never began: the problems as they were printed. */
export function writeTerminationMessage(text: string): void {
  if (existsSync(defaultPath)) writeTermination(defaultPath, refusalMessage(text));
}
