import { fstatSync, readdirSync, readFileSync } from "node:fs";
import type { ListenerAddress } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { processStat } from "../native/process-stat.js";
import { processTree } from "../native/process-tree.js";
import { readProgram } from "../native/program-file.js";
import { hasDescriptor } from "./holder.js";

/**
 * The processes of one start of a service (`id` as given to Init.spawn, which they have as PINGORA_ENTRY_ID) that can still accept from these
 * listeners: /proc shows a descriptor of the socket. After a drain (DrainWay) there is none. Datagram sockets do not count: their answers
 * need them. A process that /proc does not show us does not count either, nor one that merely inherited them. `main`: its main process; what
 * is below that counts also when it has written over its environment, as nginx does. `init`: whose child it is, for another one's may have the
 * same id.
 */
export function acceptingProcesses(
  id: string,
  listeners: readonly BoundListener[],
  { main, init }: { readonly main?: number | undefined; readonly init?: number } = {},
): number[] {
  const streams = listeners.filter(({ spec: { address } }) => !isDatagram(address));
  const links = new Set(streams.map(({ fd, inode }) => `socket:[${inode ?? fstatSync(fd).ino}]`));
  const below = new Set(main === undefined ? [] : processTree(main));
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => (below.has(pid) || isOf(pid, id, init)) && hasDescriptor(pid, links) && !merelyHolds(pid, links));
}

/**
 * It inherited the sockets for what it may start, as every child does, and nothing drains it: it has no use for our library, and no number of
 * them but those that only the library knows. Whoever was given another may accept. So may a dynamic program without the library, for all that
 * can be seen: it may be just being loaded.
 */
function merelyHolds(pid: number, links: ReadonlySet<string>): boolean {
  return adoptsNothing(pid) && !hasDescriptor(pid, links, keptNumbers(pid));
}

/** Of Go, or static: but an emulator of another architecture, or the loader run as a program, is static, too, and may have loaded the library. */
function adoptsNothing(pid: number): boolean {
  const program = readProgram(`/proc/${pid}/exe`);
  if (program?.kind !== "elf") return false;
  return program.go || (program.interpreter === undefined && textOf(pid, "maps")?.includes("/adopt.so") === false);
}

/** As its environment tells the library: adopt-variables.ts. None when it has written over it. */
function keptNumbers(pid: number): Set<string> {
  const variable = textOf(pid, "environ")
    ?.split("\0")
    .find((each) => each.startsWith(offersAre));
  return new Set(
    variable
      ?.slice(offersAre.length)
      .split(";")
      .map((offer) => offer.split(":", 1)[0] ?? ""),
  );
}

const offersAre = "PINGORA_ENTRY_ADOPT=";

function textOf(pid: number, file: "environ" | "maps"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return undefined;
  }
}

function isDatagram(address: ListenerAddress): boolean {
  return address.kind === "udp" || (address.kind === "unix" && address.type === "dgram");
}

function isOf(pid: number, id: string, init: number | undefined): boolean {
  try {
    const marked = textOf(pid, "environ")?.split("\0").includes(`PINGORA_ENTRY_ID=${id}`) === true;
    return marked && (init === undefined || descendsFrom(pid, init));
  } catch {
    return false;
  }
}

/** Orphans are their init's. @throws Error when one of them is gone */
function descendsFrom(pid: number, init: number): boolean {
  for (let ancestor = pid; ancestor > 0; ancestor = Number(processStat(ancestor)[1]))
    if (ancestor === init) return true;
  return false;
}
