// Processes below one of ours, from /proc: also those in a PID namespace of their own.
import { readFileSync } from "node:fs";
import { childrenOf } from "../bench/bench.mjs";
import { alive } from "../bench/upgrade/processes.mjs";

export function descendants(pid) {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** @returns living processes below `pid`, oldest first */
export function below(pid) {
  return descendants(pid)
    .filter(alive)
    .map((each) => ({
      pid: each,
      command: read(each, "cmdline").split("\0"),
      env: read(each, "environ").split("\0"),
      since: Number(read(each, "stat").split(") ")[1]?.split(" ")[19] ?? 0),
    }))
    .sort((a, b) => a.since - b.since || a.pid - b.pid);
}

/** The generation that a service's environment names. */
export function generationIn({ env }) {
  const word = env.find((each) => each.startsWith("GENERATION="));
  return word === undefined ? undefined : Number(word.slice("GENERATION=".length));
}
