import { statSync } from "node:fs";
import { dirname } from "node:path";
import { EntryError } from "../core/entry-error.js";
import type { Plan } from "../core/plan.js";
import { refusalVariable } from "./refusal-file.js";

/**
 * The plan of a candidate that the running generation has started: the two meet in that one's directory, wherever this one's own would be.
 * @throws EntryError config: this one names another
 */
export function orderedPlan(plan: Plan, env: Readonly<Record<string, string | undefined>>): Plan {
  const refusal = env[refusalVariable] ?? "";
  if (refusal === "") return plan;
  const directory = dirname(refusal);
  const { upgrade } = plan;
  if (upgrade.optional || upgrade.directory === undefined) return { ...plan, upgrade: { ...upgrade, directory } };
  if (isSame(upgrade.directory, directory)) return plan;
  throw new EntryError(
    "config",
    `cannot take over: upgrade.directory is "${upgrade.directory}", that of the running generation is "${directory}", and an upgrade cannot change it`,
  );
}

function isSame(one: string, other: string): boolean {
  if (one === other) return true;
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}
