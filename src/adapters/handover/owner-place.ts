import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, readdirSync, renameSync, rmSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { givesWay } from "../../core/crowded-place.js";
import { EntryError } from "../../core/entry-error.js";
import { appoint, settleAlone } from "../../core/handover-journal.js";
import type { Handover, HandoverIdentity, OldSession, OpenedOwner, Owner } from "../../runtime/handover-ports.js";
import { native } from "../native/addon.js";
import { readable, type Watch, watch } from "../native/watch.js";
import { isLockFile, openLockFile } from "./directory.js";
import { codeOf } from "./error-code.js";
import { OwnerSession } from "./old-session.js";
import { type HandoverWorld, strangerAt } from "./world.js";

/** Connections that have not been given a lease. One more, and another one gives way. */
const mostStrangers = 8;
/** So many are let in without a pause, and so long is one: who knocks without end must not keep this process busy. */
const knocksPerTurn = 16;
const pauseMs = 10;
/** long enough that who knocks without end seldom fills it, and short enough that its end is reached within helloMs */
const queueLength = 512;
const shortages = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"]);

type OwnerOptions = Parameters<Handover["openOwner"]>[0];

/** of files that are written in an instant; older ones are of processes that died at it */
const leftAfterMs = 60_000;

/** The owner's end of the upgrade directory: its lock, and its socket with whoever knocks. */
export class OwnerPlace implements Owner {
  #lockFd: number;
  readonly #world: HandoverWorld;
  readonly #me: HandoverIdentity;
  readonly #candidate: (session: OldSession) => void;
  readonly #refused: () => void;
  readonly #sessions = new Set<OwnerSession>();
  readonly #scope = new AbortController();
  #listener = -1;
  /** the file at the path that it listens at */
  #bound: Pick<Stats, "dev" | "ino"> | undefined;
  #watch: Watch | undefined;
  #wanted = readable;
  #breathes = false;

  private constructor(lockFd: number, world: HandoverWorld, { me, candidate, refused = () => {} }: OwnerOptions) {
    this.#lockFd = lockFd;
    this.#world = world;
    this.#me = me;
    this.#candidate = candidate;
    this.#refused = refused;
  }

  /**
   * Takes `lockFd` over.
   * @throws EntryError os: the journal or the socket cannot be made; the lock is then given up
   */
  static open(world: HandoverWorld, options: OwnerOptions): OpenedOwner {
    const { flock, constants: c, close } = native();
    const lockFd = options.lockFd ?? openLockFile(world.directory);
    let place: OwnerPlace | undefined;
    try {
      if (!flock(lockFd, c.LOCK_EX | c.LOCK_NB)) {
        close(lockFd);
        return { kind: "held", journal: world.journal.read() };
      }
      place = new OwnerPlace(lockFd, world, options);
      // a lock that came from elsewhere is shared with whoever gave it: then it is the journal that says who owns
      if (!place.#appoint(options.lockFd === undefined, options.order)) {
        close(lockFd);
        return { kind: "held", journal: world.journal.read() };
      }
      place.#relock();
      place.#listen();
      return { kind: "owner", owner: place };
    } catch (error) {
      close(place?.lockFd ?? lockFd);
      if (error instanceof EntryError) throw error;
      throw new EntryError("os", `cannot open the upgrade socket in ${world.directory}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  get lockFd(): number {
    return this.#lockFd;
  }

  /** A connection that came otherwise. */
  receive(fd: number): void {
    if (strangerAt(fd, this.#world) !== undefined) {
      native().close(fd);
      return;
    }
    const session = new OwnerSession(fd, this.#world, this.#me, (asking) => this.#answer(asking));
    this.#sessions.add(session);
    void session.over.then(() => {
      this.#sessions.delete(session);
      this.#rest();
    });
  }

  reopen(): void {
    if (this.#scope.signal.aborted) return;
    this.#watch?.close();
    native().close(this.#listener);
    this.#wanted = readable;
    this.#listen();
  }

  mend(): boolean {
    if (this.#scope.signal.aborted) return false;
    const { remake, directory } = this.#world;
    remake();
    // before all else: whoever has a lock of that name is the owner for whoever comes
    const isOther = this.#relock();
    if (!this.#rewrite(isOther)) throw new EntryError("os", `another generation has become owner of ${directory}`);
    if (!this.#isBound) this.reopen();
    return isOther;
  }

  vanish(reason: string): void {
    for (const session of [...this.#sessions]) session.vanish(reason);
    this.close();
  }

  close(): void {
    if (this.#scope.signal.aborted) return;
    this.#scope.abort();
    for (const session of this.#sessions) if (!session.holdsLease) session.abort("the owner leaves", "stopped");
    this.#watch?.close();
    native().close(this.#listener);
    native().close(this.#lockFd);
  }

  /** False: another generation owns, and it is not for us to change that. */
  #appoint(isFree: boolean, order: string | undefined): boolean {
    const me = this.#me;
    const update = this.#world.journal.update((found) =>
      found?.owner.nonce === me.nonce || (found !== undefined && !isFree) ? found : appoint(found, me, order),
    );
    if (update.kind !== "written") throw new EntryError("os", update.reason);
    return update.journal?.owner.nonce === me.nonce;
  }

  /** The same for one that has been the owner: the journal may be gone, or tell of an attempt as it has been before its end. */
  #rewrite(isFree: boolean): boolean {
    const me = this.#me;
    const update = this.#world.journal.update((found) => {
      const { journal, owns } = settleAlone(found, me, "it was left undecided", this.#world.clock.wall(), true);
      return owns || !isFree ? journal : appoint(found, me);
    });
    if (update.kind !== "written") throw new EntryError("os", update.reason);
    return update.journal?.owner.nonce === me.nonce;
  }

  /**
   * Locks the file that has come in the place of the one that was removed. @returns whether there was one
   * @throws EntryError os: another generation was faster
   */
  #relock(): boolean {
    const { directory } = this.#world;
    if (isLockFile(directory, this.#lockFd)) return false;
    const { flock, constants: c, close } = native();
    const fd = openLockFile(directory);
    if (!flock(fd, c.LOCK_EX | c.LOCK_NB)) {
      close(fd);
      throw new EntryError("os", `another generation has made the files of ${directory} anew, and owns them`);
    }
    close(this.#lockFd);
    this.#lockFd = fd;
    return true;
  }

  get #isBound(): boolean {
    const found = lstatSync(join(this.#world.directory, "owner.sock"), { throwIfNoEntry: false });
    return found !== undefined && found.dev === this.#bound?.dev && found.ino === this.#bound.ino;
  }

  #listen(): void {
    const { directory } = this.#world;
    this.#sweep(directory);
    const addon = native();
    const { constants: c } = addon;
    const fd = addon.socket(c.AF_UNIX, c.SOCK_STREAM);
    // bound beside and renamed: whoever dials finds the old one or this one, and a stale file is no obstacle
    const path = join(directory, `.owner.${randomBytes(6).toString("hex")}`);
    try {
      addon.setMode(fd, 0o660);
      addon.bindUnix(fd, path);
      chmodSync(path, 0o660);
      addon.listen(fd, queueLength);
      this.#bound = lstatSync(path);
      renameSync(path, join(directory, "owner.sock"));
      this.#watch = watch(fd, readable, () => this.#accept());
    } catch (error) {
      rmSync(path, { force: true });
      addon.close(fd);
      throw error;
    }
    this.#listener = fd;
  }

  /** What processes that died in the middle have left. Only an owner makes sockets here; files are also written by others. */
  #sweep(directory: string): void {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const age = () => Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (/^\.owner\./.test(name) || (/^(journal\.json\.|refusal-)/.test(name) && age() > leftAfterMs))
        rmSync(path, { force: true });
    }
  }

  #accept(): void {
    for (let count = 0; this.#hasRoom; count++) {
      if (count === knocksPerTurn) {
        this.#breathe();
        return;
      }
      let fd: number | undefined;
      try {
        fd = native().accept(this.#listener);
      } catch (error) {
        if (!shortages.has(codeOf(error) ?? "")) throw error;
        // the connection stays in the queue, which would be reported again and again
        this.#pause();
        return;
      }
      if (fd === undefined) return;
      this.receive(fd);
      if (this.#strangers > mostStrangers) this.#makeRoom();
    }
    this.#rest();
  }

  /** Else a client that opens connections and says nothing would keep every candidate out. */
  #makeRoom(): void {
    const knocks = [...this.#sessions]
      .filter((session) => session.isStranger)
      .map((session) => ({ session, pid: session.pid, silent: session.isSilent() }))
      // what was read may have ended it, or made it ask
      .filter(({ session }) => session.isStranger);
    if (this.#strangers > mostStrangers)
      givesWay(knocks)?.session.abort(`more than ${mostStrangers} knock at once, and others wait`, "busy");
  }

  /** Others of this process have their turn; not cut short when a connection ends, as the pause for a shortage is. */
  #breathe(): void {
    const { clock } = this.#world;
    this.#breathes = true;
    this.#rest();
    void clock.until(clock.now() + pauseMs, this.#scope.signal).then(() => {
      this.#breathes = false;
      this.#rest();
    });
  }

  #pause(): void {
    const { clock, times } = this.#world;
    this.#want(0);
    void clock.until(clock.now() + times.heartbeatMs, this.#scope.signal).then(() => this.#rest());
  }

  get #strangers(): number {
    let count = 0;
    for (const { holdsLease, isOver } of this.#sessions) if (!holdsLease && !isOver) count++;
    return count;
  }

  /** for one more, or somebody who can give way to it */
  get #hasRoom(): boolean {
    return this.#strangers < mostStrangers || [...this.#sessions].some(({ isStranger }) => isStranger);
  }

  #rest(): void {
    if (!this.#scope.signal.aborted) this.#want(this.#hasRoom && !this.#breathes ? readable : 0);
  }

  #want(events: number): void {
    if (this.#wanted === events) return;
    this.#wanted = events;
    this.#watch?.want(events);
  }

  /** One lease at a time. */
  #answer(session: OwnerSession): void {
    const other = [...this.#sessions].find((each) => each !== session && each.holdsLease);
    if (other === undefined) {
      this.#candidate(session);
      return;
    }
    this.#refused();
    session.busy(`attempt ${other.peer.attempt} is under way`, other.msLeft, other.peer.release);
  }
}
