import { EntryError } from "../../core/entry-error.js";
import { handoverVersions, type VersionRange } from "../../core/handover-frame.js";
import { appoint, type Journal, partOf, settleAlone } from "../../core/handover-journal.js";
import { defaultHandoverTimes, type HandoverTimes } from "../../core/handover-times.js";
import type {
  DialledOwner,
  Handover,
  HandoverIdentity,
  OldSession,
  OpenedOwner,
} from "../../runtime/handover-ports.js";
import type { Clock } from "../../runtime/ports.js";
import { dialOver, dialOwner } from "./dial.js";
import { isLocked, isLockFile, openDirectory, openLockFile } from "./directory.js";
import { JournalFile } from "./journal-file.js";
import { OwnerPlace } from "./owner-place.js";
import type { HandoverWorld } from "./world.js";

export interface HandoverOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly times?: Partial<HandoverTimes>;
  /** of the directory, when it has to be made; 0700 */
  readonly mode?: number;
  /** users, besides our own, with whom a handover is allowed */
  readonly allowedUids?: readonly number[];
  /** what this build speaks; another range is for tests */
  readonly versions?: VersionRange;
}

/** The upgrade directory, made when it is missing. @throws EntryError os: it cannot be used */
export function openHandover(options: HandoverOptions): Handover {
  const { directory, clock } = options;
  const remake = () => openDirectory(directory, options.mode ?? 0o700);
  remake();
  return new UpgradeDirectory({
    directory,
    remake,
    clock,
    times: { ...defaultHandoverTimes, ...options.times },
    versions: options.versions ?? handoverVersions,
    journal: new JournalFile(directory, remake),
    allowedUids: options.allowedUids ?? [],
  });
}

class UpgradeDirectory implements Handover {
  readonly #world: HandoverWorld;
  #place: OwnerPlace | undefined;

  constructor(world: HandoverWorld) {
    this.#world = world;
  }

  journal(): Journal | undefined {
    return this.#world.journal.read();
  }

  async openOwner(options: {
    readonly me: HandoverIdentity;
    readonly lockFd?: number;
    readonly order?: string | undefined;
    candidate(session: OldSession): void;
    readonly refused?: () => void;
  }): Promise<OpenedOwner> {
    const opened = OwnerPlace.open(this.#world, options);
    if (opened.kind === "owner") this.#place = opened.owner as OwnerPlace;
    return opened;
  }

  dialOwner(options: {
    readonly me: HandoverIdentity;
    readonly attempt: string;
    readonly signal?: AbortSignal;
  }): Promise<DialledOwner> {
    return dialOwner(this.#world, options);
  }

  dialOver(fd: number, options: { readonly me: HandoverIdentity; readonly attempt: string }): Promise<DialledOwner> {
    return dialOver(fd, this.#world, options);
  }

  acceptOver(fd: number): void {
    if (this.#place === undefined) throw new Error("only the owner can be asked");
    this.#place.receive(fd);
  }

  recover(
    me: HandoverIdentity,
    reason: string,
    { owned, lockFd }: { readonly owned: boolean; readonly lockFd?: number | undefined },
  ): "owner" | "superseded" | "failed" {
    const { journal, clock, directory } = this.#world;
    const isOurs = lockFd === undefined || isLockFile(directory, lockFd);
    let owns = false;
    let part: "old" | "new" | undefined;
    const update = journal.update(
      (found) => {
        part = partOf(found?.attempt, me);
        const decision = settleAlone(found, me, reason, clock.wall(), owned);
        owns = decision.owns;
        // somebody has removed our files, and whoever made these has not taken over from us
        if (owns || isOurs || part !== undefined) return decision.journal;
        if (isLocked(directory)) return "another generation has made the upgrade directory anew, and owns it";
        owns = true;
        return appoint(found, me);
      },
      { last: true },
    );
    if (update.kind !== "written") throw new EntryError("os", `cannot decide who owns: ${update.reason}`);
    if (owns) return "owner";
    return part === "new" ? "failed" : "superseded";
  }

  openLock(): number {
    return openLockFile(this.#world.directory);
  }
}
