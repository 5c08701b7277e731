import { fstatSync, readdirSync, readFileSync } from "node:fs";
import type { ListenerAddress } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { processStat } from "../native/process-stat.js";
import { processTree } from "../native/process-tree.js";
import { hasDescriptor } from "./holder.js";

/**
 * The processes of one start of a service (`id` as given to Init.spawn, which they have as PINGORA_ENTRY_ID) that can still accept from these
 * listeners: /proc shows a descriptor of the socket. After a drain (DrainWay) there is none. Datagram sockets do not count: their answers
 * need them. A process that /proc does not show us does not count either. `main`: its main process; what is below that counts also when
 * it has written over its environment, as nginx does. `init`: whose child it is, for another one's may have the same id.
 */
export function acceptingProcesses(
  id: string,
  listeners: readonly BoundListener[],
  { main, init }: { readonly main?: number | undefined; readonly init?: number } = {},
): number[] {
  const streams = listeners.filter(({ spec: { address } }) => !isDatagram(address));
  const links = new Set(streams.map(({ fd }) => `socket:[${fstatSync(fd).ino}]`));
  const below = new Set(main === undefined ? [] : processTree(main));
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => (below.has(pid) || isOf(pid, id, init)) && hasDescriptor(pid, links));
}

function isDatagram(address: ListenerAddress): boolean {
  return address.kind === "udp" || (address.kind === "unix" && address.type === "dgram");
}

function isOf(pid: number, id: string, init: number | undefined): boolean {
  try {
    const marked = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`PINGORA_ENTRY_ID=${id}`);
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
