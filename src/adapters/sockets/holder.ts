import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { ListenerAddress } from "../../core/plan.js";
import { native } from "../native/addon.js";
import { socketType, type UnixAddress } from "./open-unix.js";
import { boundPaths, inodesInTheWay, type NetTable, netTable } from "./proc-net.js";
import { numericAddress } from "./resolve-host.js";

const none: ReadonlySet<string> = new Set();

/** What /proc shows, read when it is asked for the first time. */
class Glance {
  /** there was one before it in this turn */
  readonly again: boolean;
  readonly #tables = new Map<string, NetTable>();
  #processes: ReadonlyMap<string, number> | undefined;

  constructor(again: boolean) {
    this.again = again;
  }

  readonly tableOf = (kind: "tcp" | "udp", family: 4 | 6): NetTable => {
    const name = `${kind}${family}`;
    const table = this.#tables.get(name) ?? netTable(kind, family);
    this.#tables.set(name, table);
    return table;
  };

  /** by what a descriptor of theirs is: "socket:[INODE]" */
  get processes(): ReadonlyMap<string, number> {
    this.#processes ??= processesByDescriptor();
    return this.#processes;
  }
}

let latest: Glance | undefined;

/** One for all who ask in the same turn of the loop: of thousands of listeners each may be in use. */
function glance(): Glance {
  if (latest === undefined) {
    latest = new Glance(false);
    setImmediate(() => {
      latest = undefined;
    });
  }
  return latest;
}

/** Who uses an address, as a message says it: "process 12 (nginx)". Never throws. */
export function holderOf(address: ListenerAddress): string {
  const pid = address.kind === "unix" ? unixHolder(address) : processWith(internetInodes(address));
  if (pid === undefined) return "a process that cannot be seen from here (another user's, or another container's)";
  return pid === process.pid ? "pingora-entry itself" : `process ${pid} (${commandOf(pid)})`;
}

function internetInodes({ kind, port, host }: Exclude<ListenerAddress, UnixAddress>): ReadonlySet<string> {
  const find = () => inodesInTheWay(kind, port, numericAddress(host), glance().tableOf);
  const found = find();
  if (found.size > 0 || glance().again) return found;
  // bound since the glance
  latest = new Glance(true);
  return find();
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
  if (inodes.size === 0) return undefined;
  const { processes } = glance();
  const pids = [...inodes].flatMap((inode) => processes.get(`socket:[${inode}]`) ?? []);
  return pids.length === 0 ? undefined : Math.min(...pids);
}

function processesByDescriptor(): Map<string, number> {
  const processes = new Map<string, number>();
  for (const entry of readdirSync("/proc")) {
    const pid = /^\d+$/.test(entry) ? Number(entry) : undefined;
    if (pid === undefined) continue;
    for (const [, link] of descriptorsOf(pid)) if (!processes.has(link)) processes.set(link, pid);
  }
  return processes;
}

/** Whether /proc shows that the process has one of these, "socket:[INODE]", at a number other than `except`. */
export function hasDescriptor(pid: number, links: ReadonlySet<string>, except: ReadonlySet<string> = none): boolean {
  for (const [fd, link] of descriptorsOf(pid)) if (!except.has(fd) && links.has(link)) return true;
  return false;
}

/** Number and what it is, of each descriptor that /proc shows us: none of a process that is not ours to see, or gone meanwhile. */
function* descriptorsOf(pid: number): Generator<readonly [fd: string, link: string]> {
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      let link: string;
      try {
        link = readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        continue;
      }
      yield [fd, link];
    }
  } catch {}
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "gone meanwhile";
  }
}
