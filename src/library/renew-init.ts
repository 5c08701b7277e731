import { readFileSync, statSync } from "node:fs";
import type { Init } from "../runtime/ports.js";

/**
 * The init at `path` takes the place of the one that runs, when it is another program. Resolves with a warning when that cannot be:
 * the old one goes on, which is no reason to give an upgrade up.
 */
export async function renewInit(
  init: Pick<Init, "pid" | "primary" | "replace">,
  path: string,
): Promise<string | undefined> {
  if (!init.primary || isSame(`/proc/${init.pid}/exe`, path)) return undefined;
  const replaced = await init.replace(path);
  return replaced.ok ? undefined : `the init could not be replaced by ${path}: ${replaced.reason}; the old one goes on`;
}

function isSame(running: string, path: string): boolean {
  try {
    const [a, b] = [statSync(running), statSync(path, { throwIfNoEntry: false })];
    // the init says why it cannot be put in its place
    if (b === undefined) return false;
    if (a.dev === b.dev && a.ino === b.ino) return true;
    return a.size === b.size && readFileSync(running).equals(readFileSync(path));
  } catch {
    // of another user: what runs cannot be looked at, nor replaced
    return true;
  }
}
