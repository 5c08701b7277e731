import { readFileSync } from "node:fs";
import { isProbeId } from "../../core/probe-id.js";
import { processesBelow, processTree } from "../native/process-tree.js";
import { HeldSockets } from "./held-sockets.js";

/**
 * Processes under this init that ask services how they are, and are nobody's clients: the other generations' supervisors (ours knows its
 * own connections), and what any generation runs as a probe, with all that is below it. Told by the environment that the init gave
 * them, so it does not matter which generation, or which life of its supervisor. Those of another container are not seen from here.
 */
export function probersOf(init: number): number[] {
  return processesBelow(init).flatMap((pid) => {
    if (pid === process.pid) return [];
    const given = environmentOf(pid);
    if (isProbeId(/(?:^|\0)PINGORA_ENTRY_ID=([^\0]*)/.exec(given)?.[1] ?? "")) return processTree(pid);
    return /(?:^|\0)PINGORA_ENTRY_CHANNEL=/.test(given) ? [pid] : [];
  });
}

/** Inodes of the sockets that these processes have open. */
export function socketsOf(pids: readonly number[]): ReadonlySet<number> {
  const held = new HeldSockets();
  const found = new Set<number>();
  for (const pid of pids) {
    try {
      for (const inode of held.of(pid).inodes) found.add(inode);
    } catch {
      // gone, or not to be seen: then what it asks counts as a client
    }
  }
  return found;
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}
