import { readdirSync, readFileSync } from "node:fs";

/** processes of one instance; a fork bomb must not stall a stop */
const mostProcesses = 1_024;

/** A process and everything below it, itself first. What is gone has nothing below. */
export function processTree(root: number): number[] {
  const found = [root];
  for (let next = 0; next < found.length && found.length < mostProcesses; next++)
    found.push(...processesBelow(found[next] ?? root));
  return found;
}

/** The children of a process. */
export function processesBelow(pid: number): number[] {
  return list(`/proc/${pid}/task`).flatMap((thread) => childrenOf(pid, thread));
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function childrenOf(pid: number, thread: string): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").split(" ").filter(Boolean).map(Number);
  } catch {
    // gone meanwhile, or a kernel without CONFIG_PROC_CHILDREN
    return [];
  }
}
