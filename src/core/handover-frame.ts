/*
 * The handover protocol: a unix stream socket, frames of a 4-byte big-endian length and so many bytes of JSON.
 *
 *      NEW                                   OLD
 *       | -------- 1 HELLO ----- HELLO 1 ---> |   versions min..max: both take the highest that both have
 *       | -------- 2 LEASE -----------------> |   journal: transferring
 *       | <------- 2 GRANTED | BUSY --------- |
 *       | <------- 3 OFFER + fds (<= 64) ---- |   several are under way at once
 *       | -------- 3 BATCH n ---------------> |   all up to n have arrived
 *       | -------- 4 CLAIM -----------------> |
 *       | <------- 5 STATE ------------------ |   one for each blob, at least one
 *       | -------- 6 PREPARING -------------> |   every second, until COMMIT
 *       | <------- 6 ALIVE ------------------ |   every second, until COMMIT
 *       | -------- 7 READY -----------------> |
 *       |                                     |   journal: committed
 *       | <------- 8 COMMIT + lock fd ------- |
 *       | -------- 8 OWNED -----------------> |
 *       | <------- 9 PROBATION both --------> |   every second
 *       |                                     |   journal: finalized
 *       | <------- 10 FINALIZE -------------- |   from NEW: it decided so while OLD was silent
 *       | <------- 11 PROGRESS, DRAINED ----- |
 *
 *      ABORT reason, cause: from either side, before FINALIZE. Connection lost, silence: see handover-old.ts and handover-new.ts.
 *
 * GRANTED, PROGRESS and DRAINED may have `older`: what OLD knows of generations before it. A NEW of a release before that passes over it, as
 * an OLD does over `stopFirst` of READY.
 *
 * Unknown fields and unknown frames are ignored. `critical` on any frame lists what the receiver must understand: a word that it does not
 * know is a refusal. A frame with descriptors says how many belong to it.
 */

import type { UpgradeCause } from "./upgrade-cause.js";

/** What a handover says of a listening socket; its fd goes beside it. `inode` identifies the socket whatever its number is. */
export interface OfferedSocket {
  readonly name: string;
  readonly key: string;
  readonly family: "inet" | "inet6" | "unix";
  readonly type: "stream" | "dgram" | "seqpacket";
  readonly address: string;
  readonly inode: number;
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly listening: boolean;
}

/**
 * Sockets by column: the first of every list belongs to the first socket. A thousand of them are read by a process that has just started, whose
 * code is still interpreted: what is done once for a column is not done for each socket.
 */
export type SocketColumns = { readonly [Field in keyof OfferedSocket]: readonly OfferedSocket[Field][] };

export interface PeerFacts {
  readonly generation: number;
  readonly release: string;
  readonly build: string;
  readonly pid: number;
  readonly nonce: string;
  readonly slot: string;
  /** NEW's order; empty for OLD */
  readonly attempt: string;
}

/** What a service of OLD leaves to its successor. `critical`: a NEW that does not know the schema must not go on. */
export interface StateBlob {
  readonly name: string;
  readonly schema: string;
  readonly critical: boolean;
  readonly text: string;
}

/** Connections and processes of the old generation, as its services end. */
export interface DrainReport {
  readonly drained: number;
  readonly cut: number;
  readonly killed: number;
  readonly open: number;
  readonly seconds: number;
  /** when what is left is killed: wall clock, ms since the epoch; a release before this field says nothing */
  readonly deadlineAt?: number;
}

/** A generation before another one that still ends its services. */
export interface OlderGeneration {
  readonly generation: number;
  readonly release: string;
  readonly build: string;
  readonly pid: number;
  /** connections it still serves */
  readonly connections?: number;
  /** when it will be gone: wall clock, ms since the epoch */
  readonly deadlineAt?: number;
  /** of the init that it shares with who tells of it */
  readonly line?: number;
}

/** What a generation knows of those before it. Releases before this field say nothing, and pass over it. */
export interface OlderNews {
  readonly generations: readonly OlderGeneration[];
  /** all lines of its init in which generations before it live */
  readonly lines: readonly number[];
}

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

export type HandoverRole = "old" | "new";

export type HandoverFrame =
  | { readonly type: "HELLO"; readonly role: HandoverRole; readonly versions: VersionRange; readonly facts: PeerFacts }
  | { readonly type: "LEASE" }
  | { readonly type: "GRANTED"; readonly sockets: number; readonly older?: OlderNews }
  | { readonly type: "BUSY"; readonly holder: string; readonly reason: string; readonly msLeft: number }
  /** `batch` counts from 1 to `batches`; an offer of nothing is one empty batch */
  | {
      readonly type: "OFFER";
      readonly batch: number;
      readonly batches: number;
      readonly sockets: SocketColumns;
    }
  | { readonly type: "BATCH"; readonly batch: number }
  /** `unknown`: places in the offer, counted from 0 */
  | {
      readonly type: "CLAIM";
      readonly taken: number;
      readonly unknown: readonly number[];
      readonly missing: readonly string[];
    }
  /** `index` counts from 1 to `count`; nothing to tell is `count` 0, `index` 0 and no blob */
  | { readonly type: "STATE"; readonly index: number; readonly count: number; readonly blob?: StateBlob }
  /** `waits`: what holds NEW up */
  | { readonly type: "PREPARING"; readonly waits?: string }
  | { readonly type: "ALIVE" }
  /** `stopFirst`: services of OLD that only one generation can have by NEW's configuration, beside those by its own; they end before COMMIT */
  | { readonly type: "READY"; readonly stopFirst: readonly string[] }
  | { readonly type: "COMMIT" }
  | { readonly type: "OWNED" }
  | { readonly type: "PROBATION" }
  | { readonly type: "FINALIZE" }
  | { readonly type: "PROGRESS"; readonly report: DrainReport; readonly older?: OlderNews }
  | { readonly type: "DRAINED"; readonly report: DrainReport; readonly older?: OlderNews }
  /** `cause`: "other" from a release that says none */
  | { readonly type: "ABORT"; readonly reason: string; readonly cause: UpgradeCause };

export type HandoverFrameType = HandoverFrame["type"];

export const handoverFrameTypes = [
  "HELLO",
  "LEASE",
  "GRANTED",
  "BUSY",
  "OFFER",
  "BATCH",
  "CLAIM",
  "STATE",
  "PREPARING",
  "ALIVE",
  "READY",
  "COMMIT",
  "OWNED",
  "PROBATION",
  "FINALIZE",
  "PROGRESS",
  "DRAINED",
  "ABORT",
] as const satisfies readonly HandoverFrameType[];

/** The versions this build speaks. */
export const handoverVersions: VersionRange = { min: 1, max: 1 };
/** No frame has more bytes behind its length. */
export const maxHandoverFrameBytes = 1024 * 1024;
/** No OFFER has more sockets: as many descriptors as one message carries (SCM_MAX_FD). */
export const socketsPerBatch = 253;
/** No handover has more. */
export const maxOfferedSockets = 65_536;
/** A text of a frame (a name, an address, a reason) is cut by its sender and refused by its receiver beyond this. */
export const maxHandoverText = 1024;
/** Characters of a blob that fit, whatever they are: JSON may need six bytes for one. */
export const maxBlobText = 160 * 1024;
export const maxBlobs = 1024;
/** generations, and lines, in what is told of older ones: more than may live at once */
export const maxOlder = 64;
/** names in CLAIM; what is missing beyond them is not told */
export const maxMissingNames = 128;
/** names in READY */
export const maxStopFirst = 4096;

/** The highest version that both speak, or undefined. */
export function agreeOnVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= Math.max(ours.min, theirs.min) ? version : undefined;
}

/** How many batches `sockets` make; at least one. */
export function batchesOf(sockets: number): number {
  return Math.max(1, Math.ceil(sockets / socketsPerBatch));
}

/** How many descriptors belong to a frame. */
export function descriptorsOf(frame: HandoverFrame): number {
  if (frame.type === "OFFER") return frame.sockets.name.length;
  return frame.type === "COMMIT" ? 1 : 0;
}

export function columnsOf(sockets: readonly OfferedSocket[]): SocketColumns {
  return {
    name: sockets.map(({ name }) => name),
    key: sockets.map(({ key }) => key),
    family: sockets.map(({ family }) => family),
    type: sockets.map(({ type }) => type),
    address: sockets.map(({ address }) => address),
    inode: sockets.map(({ inode }) => inode),
    backlog: sockets.map(({ backlog }) => backlog),
    reusePort: sockets.map(({ reusePort }) => reusePort),
    listening: sockets.map(({ listening }) => listening),
  };
}

/** A text that fits into a frame. */
export function handoverText(text: string): string {
  return text.length <= maxHandoverText ? text : `${text.slice(0, maxHandoverText - 1)}…`;
}
