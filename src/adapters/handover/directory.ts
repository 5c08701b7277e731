import { chmodSync, closeSync, fchmodSync, fstatSync, lstatSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { EntryError } from "../../core/entry-error.js";
import { native } from "../native/addon.js";
import { codeOf } from "./error-code.js";

/** sizeof sun_path is 108, the NUL included; the temporary name of the socket is longer than its own */
const longestDirectory = 107 - "/.owner.4194304.99999".length;

/**
 * The upgrade directory, made when it is missing: whoever can write in it can be the owner.
 * @throws EntryError os: it cannot be made, is no directory, too long a path, another's, or open to everybody
 */
export function openDirectory(path: string, mode: number): void {
  const bytes = Buffer.byteLength(path);
  const problem =
    bytes > longestDirectory
      ? `the path has ${bytes} bytes, at most ${longestDirectory} leave room for a socket in it`
      : (make(path, mode) ?? unsafe(path));
  if (problem !== undefined) throw new EntryError("os", `cannot use the upgrade directory ${path}: ${problem}`);
}

function make(path: string, mode: number): string | undefined {
  try {
    if (mkdirSync(path, { recursive: true, mode }) !== undefined) chmodSync(path, mode);
    return undefined;
  } catch (error) {
    return codeOf(error) === "EEXIST" ? undefined : (error as Error).message;
  }
}

function unsafe(path: string): string | undefined {
  const found = lstatSync(path);
  if (!found.isDirectory()) return "it is no directory";
  const me = process.geteuid?.() ?? 0;
  if (found.uid !== me && found.uid !== 0) return `it belongs to user ${found.uid}, it must be of user ${me} or root`;
  return (found.mode & 0o002) !== 0
    ? "everybody may write in it, only its user and group may; name a directory below it"
    : undefined;
}

/** owner.lock, opened anew: a lock of its own. Made when it is missing. */
export function openLockFile(directory: string): number {
  const path = join(directory, "owner.lock");
  try {
    // "a": made when missing, never truncated, never locked by opening
    return shared(openSync(path, "a", 0o660));
  } catch (error) {
    throw new EntryError("os", `cannot open ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Whether this lock is the one that whoever comes finds in the directory: somebody may have removed the file. */
export function isLockFile(directory: string, fd: number): boolean {
  const found = statSync(join(directory, "owner.lock"), { throwIfNoEntry: false });
  const { dev, ino } = fstatSync(fd);
  return found?.dev === dev && found.ino === ino;
}

/** Whether somebody else has the lock that is in the directory now. */
export function isLocked(directory: string): boolean {
  const { flock, constants: c, close } = native();
  const fd = openLockFile(directory);
  const isFree = flock(fd, c.LOCK_EX | c.LOCK_NB);
  close(fd);
  return !isFree;
}

/** Gives the file of `fd` to the group, too: the umask may have taken that. Closes it when it cannot. */
export function shared(fd: number): number {
  try {
    fchmodSync(fd, 0o660);
  } catch (error) {
    // another's of the same group, who has done it
    if (codeOf(error) === "EPERM") return fd;
    closeSync(fd);
    throw error;
  }
  return fd;
}
