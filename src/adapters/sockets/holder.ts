import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { ListenerAddress } from "../../core/plan.js";
import { native } from "../native/addon.js";
import { socketType, type UnixAddress } from "./open-unix.js";
import { boundPaths, inodesInTheWay } from "./proc-net.js";
import { numericAddress } from "./resolve-host.js";

const none: ReadonlySet<string> = new Set();

/** Who uses an address, as a message says it: "process 12 (nginx)". Never throws. */
export function holderOf(address: ListenerAddress): string {
  const pid =
    address.kind === "unix"
      ? unixHolder(address)
      : processWith(inodesInTheWay(address.kind, address.port, numericAddress(address.host)));
  if (pid === undefined) return "a process that cannot be seen from here (another user's, or another container's)";
  return pid === process.pid ? "pingora-entry itself" : `process ${pid} (${commandOf(pid)})`;
}

function unixHolder(address: UnixAddress): number | undefined {
  const addon = native();
  const { constants } = addon;
  let fd: number | undefined;
  try {
    fd = addon.socket(constants.AF_UNIX, socketType(address.type));
    addon.connectUnix(fd, address.path);
    // who called listen; 0 when it lives in another pid namespace
    const { pid } = addon.getPeerCredentials(fd);
    if (pid > 0) return pid;
  } catch {
    // a datagram socket or one of another type: by its inode
  } finally {
    if (fd !== undefined) addon.close(fd);
  }
  const inode = boundPaths().get(address.path);
  return inode === undefined ? undefined : processWith(new Set([inode]));
}

/** The first process of which /proc shows us a descriptor of one of these sockets. */
function processWith(inodes: ReadonlySet<string>): number | undefined {
  const links = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  if (links.size === 0) return undefined;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .find((pid) => hasDescriptor(pid, links));
}

/** Whether /proc shows that the process has one of these, "socket:[INODE]", at a number other than `except`. */
export function hasDescriptor(pid: number, links: ReadonlySet<string>, except: ReadonlySet<string> = none): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return !except.has(fd) && links.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    // not ours to see, or gone meanwhile
    return false;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "gone meanwhile";
  }
}
