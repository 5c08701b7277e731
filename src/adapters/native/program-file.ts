import { closeSync, openSync, readSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";

/** What the first bytes of a program say of how it is loaded. */
export type ProgramFile =
  | { readonly kind: "script"; readonly interpreter: readonly string[] }
  /** `interpreter`: the loader that the file names; a static program names none. `go`: it was built by Go */
  | { readonly kind: "elf"; readonly bits: 32 | 64; readonly interpreter?: string; readonly go: boolean }
  | { readonly kind: "unknown" };

/** Where execvp(3) would find `program`; undefined: nowhere. */
export function findProgram(program: string, directory: string | undefined, path: string): string | undefined {
  const places = program.includes("/")
    ? [isAbsolute(program) || directory === undefined ? program : join(directory, program)]
    : path.split(":").map((place) => join(place === "" ? "." : place, program));
  return places.find((file) => {
    const state = statOf(file);
    return state?.isFile() && (state.mode & 0o111) !== 0;
  });
}

/** Undefined when it is not there, or not ours to see. */
export function statOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}

/** What keeps a user from reading a file, with its mode; undefined: nothing that modes tell. Root may read everything. */
export function closedTo(
  file: string,
  who: { readonly uid: number; readonly gid: number; readonly groups?: readonly number[] },
): string | undefined {
  if (who.uid === 0) return undefined;
  const real = realpathSync(file);
  const places = [{ place: real, right: 0o4 }];
  for (let place = real; place !== dirname(place); ) {
    place = dirname(place);
    places.push({ place, right: 0o1 });
  }
  const found = places.reverse().find(({ place, right }) => {
    const state = statOf(place);
    if (state === undefined) return false;
    const ours = state.gid === who.gid || who.groups?.includes(state.gid) === true;
    const shift = state.uid === who.uid ? 6 : ours ? 3 : 0;
    return ((state.mode >> shift) & right) === 0;
  });
  if (found === undefined) return undefined;
  return `${found.place} has mode ${((statOf(found.place)?.mode ?? 0) & 0o7777).toString(8).padStart(4, "0")}`;
}

/** Undefined when it cannot be read. */
export function readProgram(file: string): ProgramFile | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(file, "r");
    return identify(fd);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function bytesOf(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, position));
}

function identify(fd: number): ProgramFile {
  const start = bytesOf(fd, 0, 256);
  if (start.subarray(0, 2).toString("latin1") === "#!") {
    const [line = ""] = start.subarray(2).toString("utf8").split("\n");
    // execve(2): one argument at most, blanks and all
    const [, interpreter, argument] = /^\s*(\S+)(?:\s+(.*\S))?\s*$/.exec(line) ?? [];
    if (interpreter === undefined) return { kind: "unknown" };
    return { kind: "script", interpreter: argument === undefined ? [interpreter] : [interpreter, argument] };
  }
  const isElf = start.length >= 64 && start.readUInt32BE(0) === 0x7f454c46;
  // little-endian only: what we run on
  if (!isElf || start[5] !== 1) return { kind: "unknown" };
  return start[4] === 2 ? segments(fd, start) : { kind: "elf", bits: 32, go: false };
}

const interpreterSegment = 3;
const noteSegment = 4;
const longest = 65536;

/** elf(5), Elf64_Ehdr and Elf64_Phdr */
function segments(fd: number, header: Buffer): ProgramFile {
  const table = Number(header.readBigUInt64LE(32));
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  const entries = bytesOf(fd, table, Math.min(size * count, longest));
  let interpreter: string | undefined;
  let go = false;
  for (let at = 0; size >= 56 && at + size <= entries.length; at += size) {
    const type = entries.readUInt32LE(at);
    if (type !== interpreterSegment && type !== noteSegment) continue;
    const offset = Number(entries.readBigUInt64LE(at + 8));
    const length = Math.min(Number(entries.readBigUInt64LE(at + 32)), longest);
    const bytes = bytesOf(fd, offset, length);
    if (type === interpreterSegment) [interpreter] = bytes.toString("utf8").split("\0");
    else if (noteNames(bytes).includes("Go")) go = true;
  }
  return { kind: "elf", bits: 64, go, ...(interpreter === undefined ? {} : { interpreter }) };
}

/** elf(5), Elf64_Nhdr: name and descriptor are padded to four bytes. Go's linker leaves a note behind, and cgo's, which is C's, puts others before it. */
function noteNames(notes: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameLength = notes.readUInt32LE(at);
    names.push(notes.toString("latin1", at + 12, at + 12 + nameLength).split("\0", 1)[0] ?? "");
    at += 12 + padded(nameLength) + padded(notes.readUInt32LE(at + 4));
  }
  return names;
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}
