import { existsSync } from "node:fs";
import type { BoundedWriter } from "../adapters/log/bounded-writer.js";
import { refusalMessage, terminationMessage, writeTermination } from "../adapters/termination/termination-message.js";
import type { Plan } from "../core/plan.js";
import type { Snapshot } from "../core/snapshot.js";
import { drainTotals } from "../core/views.js";
import type { Log } from "../runtime/ports.js";

/** How long the last words may wait for a reader. */
const lastWordsMs = 300;

/** The termination message of a server that runs, or ran. */
export function lastWords(snapshot: Snapshot, plan: Pick<Plan, "terminationMessagePath">): void {
  if (plan.terminationMessagePath !== undefined)
    writeTermination(plan.terminationMessagePath, terminationMessage(snapshot));
}

/** How a server that ran ended, in its log; and what its log and its services have said is written. */
export async function farewell(
  snapshot: Snapshot,
  log: Log,
  outputs: readonly Pick<BoundedWriter, "finish">[],
): Promise<void> {
  const { exitCode = 0, shutdown, drains = [] } = snapshot;
  const killed = shutdown?.killed ?? [];
  const suffix = killed.length === 0 ? "" : `; had to kill ${killed.join(", ")}`;
  log[killed.length === 0 ? "info" : "warn"](`exit ${exitCode}: ${shutdown?.cause ?? "ended"}${suffix}`, {
    exitCode,
    killed,
    ...(drains.length === 0 ? {} : drainTotals(drains, shutdown?.requestedAt ?? 0)),
  });
  await Promise.all(outputs.map((output) => output.finish(lastWordsMs)));
}

const defaultPath = "/dev/termination-log";

/** The last words of a server that never began: the problems as they were printed. */
export function writeTerminationMessage(text: string, env: Readonly<Record<string, string | undefined>>): void {
  const path = env.PINGORA_ENTRY_TERMINATION_MESSAGE_PATH ?? defaultPath;
  if (existsSync(path)) writeTermination(path, refusalMessage(text));
}
