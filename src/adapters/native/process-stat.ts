import { readFileSync } from "node:fs";

/**
 * The fields of /proc/PID/stat from the third on: state, parent, process group, session, ... (proc_pid_stat(5)). They are counted from the
 * last parenthesis, for a name may hold anything. @throws Error ENOENT, ESRCH: it is gone
 */
export function processStat(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}
