import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { EntryError } from "../../core/entry-error.js";
import { type Journal, journalText, maxJournalBytes, parseJournal } from "../../core/handover-journal.js";
import { native } from "../native/addon.js";
import { shared } from "./directory.js";
import { codeOf } from "./error-code.js";

export type JournalUpdate =
  | { readonly kind: "written"; readonly journal: Journal | undefined }
  /** `change` said why not, or the disk did */
  | { readonly kind: "refused"; readonly reason: string }
  /** somebody holds its lock at this instant, or it cannot be read: try again */
  | { readonly kind: "unavailable"; readonly reason: string };

const mode = 0o660;
const reserveBytes = 8 * 1024;
const rounds = 5;
/** of 1 ms: the lock is held for a comparison and a rename */
const tries = 10;
const pause = new Int32Array(new SharedArrayBuffer(4));
const full = new Set(["ENOSPC", "EDQUOT"]);

/**
 * journal.json. What is to be written is prepared and synced beside it; only the comparison with what was read and the rename happen under
 * journal.lock, so that a process that is stopped has hardly an instant in which it stops the others, too.
 */
export class JournalFile {
  readonly path: string;
  readonly #lock: string;
  readonly #reserve: string;
  /** process ids are no names: two containers have the same ones */
  readonly #token = randomBytes(8).toString("hex");
  /** makes the directory when it is missing */
  readonly #remake: () => void;
  #count = 0;
  /** as it was read or written last: what is known when somebody has removed or damaged it meanwhile */
  #last: Journal | undefined;

  constructor(directory: string, remake: () => void) {
    this.#remake = remake;
    this.path = join(directory, "journal.json");
    this.#lock = join(directory, "journal.lock");
    this.#reserve = join(directory, "journal.reserve");
  }

  /** As it was last when it is gone or damaged; undefined: it has never been seen otherwise. @throws EntryError os: it cannot be read */
  read(): Journal | undefined {
    return this.#known(parseJournal(this.#text()));
  }

  /**
   * `change` gets what `read` tells now and returns what shall be, the same when nothing, or the reason why not. `reserve`: keeps room on
   * the disk for one more update, so that a decision never fails for want of it; `last`: may use that room.
   */
  update(
    change: (journal: Journal | undefined) => Journal | undefined | string,
    room: { readonly reserve?: boolean; readonly last?: boolean } = {},
  ): JournalUpdate {
    try {
      if (room.reserve) this.#makeReserve();
      for (let round = 0; round < rounds; round++) {
        const text = this.#text();
        const found = parseJournal(text);
        const before = this.#known(found);
        const after = change(before);
        if (typeof after === "string") return { kind: "refused", reason: after };
        if (after === found || after === undefined) return { kind: "written", journal: before };
        if (text === "") this.#remake();
        const fresh = this.#prepare(journalText(after), room.last ?? false);
        const result = this.#replace(fresh, text);
        if (result === "done") return { kind: "written", journal: this.#known(after) };
        rmSync(fresh, { force: true });
        if (result === "busy") return { kind: "unavailable", reason: "another process holds the journal's lock" };
      }
      return { kind: "unavailable", reason: "the journal changes all the time" };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const reason = error instanceof EntryError ? why : `cannot write ${this.path}: ${why}`;
      return { kind: full.has(codeOf(error) ?? "") ? "refused" : "unavailable", reason };
    }
  }

  #known(found: Journal | undefined): Journal | undefined {
    this.#last = found ?? this.#last;
    return this.#last;
  }

  #text(): string {
    try {
      if (statSync(this.path).size > maxJournalBytes) return "";
      return readFileSync(this.path, "utf8");
    } catch (error) {
      if (codeOf(error) === "ENOENT") return "";
      throw new EntryError("os", `cannot read the upgrade journal: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A file with this text, on the disk. */
  #prepare(text: string, last: boolean): string {
    const path = `${this.path}.${this.#token}.${++this.#count}`;
    try {
      writeFile(path, "wx", text);
      return path;
    } catch (error) {
      rmSync(path, { force: true });
      if (!last || !full.has(codeOf(error) ?? "")) throw error;
      // written in place, where the room is already
      writeFile(this.#reserve, "r+", text);
      return this.#reserve;
    }
  }

  #makeReserve(): void {
    const size = statSync(this.#reserve, { throwIfNoEntry: false })?.size;
    if (size !== reserveBytes) writeFile(this.#reserve, "w", "\0".repeat(reserveBytes));
  }

  #replace(fresh: string, expected: string): "done" | "busy" | "changed" {
    const { flock, constants: c } = native();
    const lock = shared(openSync(this.#lock, "a", mode));
    try {
      for (let left = tries; !flock(lock, c.LOCK_EX | c.LOCK_NB); left--) {
        if (left === 0) return "busy";
        Atomics.wait(pause, 0, 0, 1);
      }
      if (this.#text() !== expected) return "changed";
      renameSync(fresh, this.path);
    } finally {
      closeSync(lock);
    }
    syncDirectory(dirname(this.path));
    return "done";
  }
}

function writeFile(path: string, flags: string, text: string): void {
  const fd = shared(openSync(path, flags, mode));
  try {
    const bytes = Buffer.from(text);
    for (let from = 0; from < bytes.length; ) from += writeSync(fd, bytes, from, bytes.length - from, from);
    ftruncateSync(fd, bytes.length);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
