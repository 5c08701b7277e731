import type { VersionRange } from "../../core/handover-frame.js";
import type { HandoverTimes } from "../../core/handover-times.js";
import type { Clock } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import type { JournalFile } from "./journal-file.js";

/** What every session of one upgrade directory works with. */
export interface HandoverWorld {
  readonly directory: string;
  /** Makes it when it is missing. @throws EntryError os: it cannot be used */
  readonly remake: () => void;
  readonly clock: Clock;
  readonly times: HandoverTimes;
  readonly versions: VersionRange;
  readonly journal: JournalFile;
  /** users, besides our own, with whom a handover is allowed */
  readonly allowedUids: readonly number[];
}

/** Why there is no handover with whoever is at the other end; undefined: there may be one. */
export function strangerAt(fd: number, world: HandoverWorld): string | undefined {
  const { uid } = native().getPeerCredentials(fd);
  if (uid === process.geteuid?.() || world.allowedUids.includes(uid)) return undefined;
  return `it is run by user ${uid}, user ${process.geteuid?.()} is needed`;
}
