import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { processStat } from "../native/process-stat.js";

/** Whether the process runs; one that waits to be reaped does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^[ZXx]/.test(processStat(pid)[0] ?? "");
  } catch {
    return false;
  }
}

/** Inodes of the sockets that the process waits for with epoll, which every server in tokio does; undefined: not ours to see. */
export function polledSockets(pid: number): ReadonlySet<number> | undefined {
  const inodes = new Set<number>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      if (linkOf(`/proc/${pid}/fd/${fd}`) !== "anon_inode:[eventpoll]") continue;
      for (const [, inode = ""] of readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1").matchAll(
        /^tfd:.* ino:([0-9a-f]+)/gm,
      ))
        inodes.add(Number.parseInt(inode, 16));
    }
    return inodes;
  } catch {
    return undefined;
  }
}

/** Empty for what was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
