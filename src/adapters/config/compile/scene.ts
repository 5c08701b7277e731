import type { ListenerSpec } from "../../../core/plan.js";
import type { Accounts } from "../accounts.js";
import type { Complaints } from "../complaints.js";
import type { Place } from "../node.js";
import type { Places } from "../read.js";
import type { AllSettings } from "../settings.js";

/** The service whose exit code is the container's. */
export const mainName = "main";

/** What compiling a part of the configuration may look at. */
export interface Scene {
  readonly complaints: Complaints;
  readonly places: Places;
  readonly settings: AllSettings;
  readonly listeners: ReadonlyMap<string, ListenerSpec>;
  readonly accounts: Accounts;
  readonly readText: (path: string) => string;
  /** variables for every service: global envFiles, then env */
  readonly sharedEnv: Readonly<Record<string, string | null>>;
}

/** Where the value of `path` stands; for what was not written, the nearest enclosing value that was. */
export function placeFor(places: Places, path: string): Place | undefined {
  for (let at = path; at !== ""; at = outer(at)) {
    const written = places.get(at);
    if (written !== undefined) return at === path ? written.value : written.key;
  }
  return undefined;
}

/** The path of a list's items by their number among those that were read: what was refused is missing there, and counts in the path. */
export function itemPaths(places: Places, list: string): (index: number) => string {
  const node = places.get(list)?.value;
  const written = node?.kind === "list" ? [...node.items.keys()] : [];
  const read = written.filter((i) => places.has(`${list}[${i}]`));
  return (index) => `${list}[${read[index] ?? index}]`;
}

/** Where the key of `path` stands, or the nearest enclosing one. */
export function keyPlaceFor(places: Places, path: string): Place | undefined {
  return places.get(path)?.key ?? placeFor(places, path);
}

function outer(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf(".")));
}

export function ms(seconds: number): number {
  return Math.round(seconds * 1000 * 1000) / 1000;
}

/** Names written in a map at the top level, also of what was refused. */
export function namesUnder(places: Places, map: "services" | "listeners"): string[] {
  const node = places.get(map)?.value;
  return node?.kind === "map" ? [...node.entries.keys()] : [];
}
