import { readFileSync } from "node:fs";

function lines(file: string): string[][] {
  try {
    const [, ...rest] = readFileSync(file, "utf8").split("\n");
    return rest.filter((line) => line !== "").map((line) => line.trim().split(/\s+/));
  } catch {
    // a machine without IPv6 has no tcp6; a container may hide /proc/net
    return [];
  }
}

/** Inodes of the sockets that listen (tcp) or are bound (udp) at a port, of this network namespace; from /proc/net. */
export function inodesOfPort(kind: "tcp" | "udp", port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const file of [`/proc/net/${kind}`, `/proc/net/${kind}6`]) {
    for (const [, local = "", , state, , , , , , inode = "0"] of lines(file)) {
      if (local.endsWith(`:${wanted}`) && (kind === "udp" || state === "0A") && inode !== "0") inodes.add(inode);
    }
  }
  return inodes;
}

/**
 * Path -> inode of the unix sockets that own the name they are bound to: not connected. (What a listener accepted carries its name, too,
 * and may outlive it. A datagram socket has none such, and Linux calls it connected as soon as anybody has connected to it.)
 */
export function boundPaths(): Map<string, string> {
  const paths = new Map<string, string>();
  for (const [, , , , type, state, inode = "0", ...path] of lines("/proc/net/unix")) {
    if ((state === "01" || type === "0002") && path.length > 0) paths.set(path.join(" "), inode);
  }
  return paths;
}
