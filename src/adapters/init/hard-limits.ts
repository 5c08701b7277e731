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

/** The hard limit that processes of this container begin with; undefined when it is unlimited or not known. Never throws. */
export function hardLimit(resource: string): number | undefined {
  try {
    const line = readFileSync("/proc/self/limits", "utf8")
      .split("\n")
      .find((each) => words[resource] !== undefined && each.startsWith(words[resource]));
    const hard = line?.slice(26).trim().split(/\s+/)[1];
    return hard === undefined || hard === "unlimited" ? undefined : Number(hard);
  } catch {
    return undefined;
  }
}

/** How many files a process has open; undefined when that may not be seen. Never throws. */
export function openFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined;
  }
}
