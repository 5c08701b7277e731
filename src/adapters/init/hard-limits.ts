import { readdirSync, readFileSync } from "node:fs";

/** The words of /proc/PID/limits for the names of setrlimit(2). */
const words: Readonly<Record<string, string>> = {
  nofile: "Max open files",
  nproc: "Max processes",
  core: "Max core file size",
  as: "Max address space",
  stack: "Max stack size",
  memlock: "Max locked memory",
  fsize: "Max file size",
  data: "Max data size",
  cpu: "Max cpu time",
};

/** Soft and hard limit of a process, each undefined when it is unlimited or not known. Never throws. */
function limits(pid: number | "self", resource: string): readonly (number | undefined)[] {
  try {
    const line = readFileSync(`/proc/${pid}/limits`, "utf8")
      .split("\n")
      .find((each) => words[resource] !== undefined && each.startsWith(words[resource]));
    const [soft, hard] = line?.slice(26).trim().split(/\s+/) ?? [];
    return [soft, hard].map((each) => (each === undefined || each === "unlimited" ? undefined : Number(each)));
  } catch {
    return [];
  }
}

/** The hard limit that processes of this container begin with; undefined when it is unlimited or not known. Never throws. */
export function hardLimit(resource: string): number | undefined {
  return limits("self", resource)[1];
}

/** How many files a process may open; undefined when that is unlimited or not known. Never throws. */
export function mostFiles(pid: number): number | undefined {
  return limits(pid, "nofile")[0];
}

/** How many files a process has open; undefined when that may not be seen. Never throws. */
export function openFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined;
  }
}
