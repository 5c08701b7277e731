import { chmodSync, fstatSync, linkSync, lstatSync, renameSync, type Stats, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { EntryError } from "../../core/entry-error.js";
import type { ListenerAddress, ListenerSpec } from "../../core/plan.js";
import { native } from "../native/addon.js";
import { errnoOf } from "./address-text.js";
import { boundPaths, inodesOfPath } from "./proc-net.js";

export type UnixAddress = Extract<ListenerAddress, { kind: "unix" }>;

/** sizeof sun_path is 108, the NUL included */
const longestPath = 107;
const tries = 5;

export function socketType(type: UnixAddress["type"]): number {
  const { constants } = native();
  return { stream: constants.SOCK_STREAM, seqpacket: constants.SOCK_SEQPACKET, dgram: constants.SOCK_DGRAM }[type];
}

/**
 * A unix socket at its path, listening unless it is a datagram socket. A path that a dead process left is replaced; one that is in use
 * never is.
 *
 * It is bound under its final name, not under another that is renamed: getsockname(2) tells the bound name for ever, and nginx, for one,
 * finds the sockets it inherits by it.
 * @throws EntryError os: too long a path, or something there that is no socket. Error EADDRINUSE: somebody uses it
 */
export function openUnix(spec: ListenerSpec, address: UnixAddress): number {
  const bytes = Buffer.byteLength(address.path);
  if (bytes > longestPath) {
    throw new EntryError(
      "os",
      `cannot bind listener "${spec.name}" to ${address.path}: the path has ${bytes} bytes, a unix socket's has at most ${longestPath}`,
    );
  }
  const addon = native();
  const fd = addon.socket(addon.constants.AF_UNIX, socketType(address.type));
  try {
    // the file is never more open than asked for: made with this mode less the umask, then given what the umask took
    addon.setMode(fd, address.mode & 0o777);
    bindPath(fd, spec, address);
    chmodSync(address.path, address.mode & 0o777);
    if (address.type !== "dgram") addon.listen(fd, spec.backlog);
    return fd;
  } catch (error) {
    addon.close(fd);
    throw error;
  }
}

/** Removes the path of a socket that nobody will serve any more, unless it is another's by now. Never throws. */
export function removeUnix(fd: number, path: string): void {
  try {
    const inodes = inodesOfPath(path);
    if (inodes.length === 1 && inodes[0] === String(fstatSync(fd).ino) && lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // gone already, or in a directory that is not ours to change: a stale path does no harm, the next start replaces it
  }
}

function bindPath(fd: number, spec: ListenerSpec, address: UnixAddress): void {
  const { bindUnix } = native();
  for (let left = tries; ; left--) {
    try {
      bindUnix(fd, address.path);
      return;
    } catch (error) {
      if (errnoOf(error) !== "EADDRINUSE" || left === 0) throw error;
      if (!clearStale(spec, address)) throw error;
    }
  }
}

/** True when the path may be tried again: it is gone, or a dead process left it and it has been removed. False: it is in use. */
function clearStale(spec: ListenerSpec, address: UnixAddress): boolean {
  const found = lstatSync(address.path, { throwIfNoEntry: false });
  if (found === undefined) return true;
  if (!found.isSocket()) {
    throw new EntryError(
      "os",
      `cannot bind listener "${spec.name}" to ${address.path}: there is a ${kindOf(found)}, which is not replaced; remove it or choose another path`,
    );
  }
  const state = probe(spec, address);
  return state === "gone" || (state === "stale" && removeStale(address.path, found));
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return "directory";
  if (found.isSymbolicLink()) return "symbolic link";
  return found.isFile() ? "file" : "device or pipe";
}

/** Knocks once. What accepts, has a full queue, or is a socket of another type, is in use. */
function probe(spec: ListenerSpec, address: UnixAddress): "used" | "stale" | "gone" {
  const addon = native();
  const fd = addon.socket(addon.constants.AF_UNIX, socketType(address.type));
  try {
    addon.connectUnix(fd, address.path);
    return "used";
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT") return "gone";
    // refused also by a socket that is bound and does not listen yet
    if (code === "ECONNREFUSED") return boundPaths().has(address.path) ? "used" : "stale";
    if (code === "EAGAIN" || code === "EPROTOTYPE") return "used";
    throw new EntryError(
      "os",
      `cannot bind listener "${spec.name}" to ${address.path}: whether the socket there is in use cannot be found out (${code}); remove it`,
      { cause: error },
    );
  } finally {
    addon.close(fd);
  }
}

/**
 * Takes the file aside and removes it only when it is the one that was found stale: in between, another process may have put a live
 * one at the path. That one goes back.
 */
function removeStale(path: string, found: Stats): boolean {
  const aside = join(dirname(path), `.stale-${process.pid}-${Math.random().toString(36).slice(2)}`);
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return true;
    throw error;
  }
  const taken = lstatSync(aside);
  const same = taken.dev === found.dev && taken.ino === found.ino;
  if (!same) linkSync(aside, path);
  unlinkSync(aside);
  return same;
}
