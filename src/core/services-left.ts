import type { StateBlob } from "./handover-frame.js";
import type { UpgradeStrategy } from "./upgrade-part.js";

/** What OLD tells of its services in STATE, by their names. */
export interface ServicesLeft {
  /** oneshots that have run to their end with code 0, in it or in a generation before it */
  readonly completed: readonly string[];
  /** what has a process, and of long-running services what is about to have one again */
  readonly running: readonly string[];
  /** what an operator has stopped, and not started again */
  readonly held: readonly string[];
  /** of what is no oneshot; undefined: a release that does not tell them */
  readonly strategies?: Readonly<Record<string, UpgradeStrategy>>;
}

const name = "services";
const schema = "services/1";

/** Not critical: a release before it skips what it is told to skip, as ever. */
export function servicesBlob(left: ServicesLeft): StateBlob {
  return { name, schema, critical: false, text: JSON.stringify(left) };
}

/** Undefined: OLD does not tell. A list that is missing is an empty one. */
export function readServicesLeft(blobs: readonly StateBlob[]): ServicesLeft | undefined {
  const blob = blobs.find((each) => each.name === name && each.schema === schema);
  if (blob === undefined) return undefined;
  try {
    const fields: unknown = JSON.parse(blob.text);
    if (typeof fields !== "object" || fields === null) return undefined;
    const { completed, running, held, strategies } = fields as Record<keyof ServicesLeft, unknown>;
    return { completed: names(completed), running: names(running), held: names(held), ...strategiesIn(strategies) };
  } catch {
    return undefined;
  }
}

function names(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function strategiesIn(value: unknown): Pick<ServicesLeft, "strategies"> {
  if (typeof value !== "object" || value === null) return {};
  const entries = Object.entries(value).filter(
    ([, each]) => each === "handover" || each === "restart" || each === "own",
  );
  return { strategies: Object.fromEntries(entries) as Record<string, UpgradeStrategy> };
}

/** Undefined: it is not told, or there is no service of that name. */
export function strategyLeft({ strategies }: ServicesLeft, name: string): UpgradeStrategy | undefined {
  return strategies !== undefined && Object.hasOwn(strategies, name) ? strategies[name] : undefined;
}
