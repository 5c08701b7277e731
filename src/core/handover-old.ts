/*
 * OLD's side of a handover: the owner, in front of one candidate.
 *
 *   greeting -HELLO-> greeted -LEASE-> asked -grant-> granting -written-> granted -offer-> offering -acknowledged-> claiming
 *      -CLAIM-> preparing -READY-> ready -commit-> committing -written-> committed -OWNED-> probation -finalize-> proving
 *      -heard or PROBATION-> finalizing -written-> draining -drained-> over
 *
 *   before COMMIT: deadline, silence, loss, garbage, ABORT -> over: OLD is the owner, as before
 *   from COMMIT on                                         -> reclaiming: the journal decides
 *        kept (we wrote "failed", or it says so) -> over;  lost (NEW wrote "finalized") -> draining
 *
 * Pure: (state, input) -> cell. Writing the journal is an effect, its outcome the next input.
 */
import { handoverFrameTypes } from "./handover-frame.js";
import { all, type Cell, type CommonInput, type StateFacts, type Table, words } from "./handover-machine.js";

export const oldStates = [
  "greeting",
  "greeted",
  "asked",
  "granting",
  "granted",
  "offering",
  "claiming",
  "preparing",
  "ready",
  "committing",
  "committed",
  "probation",
  "proving",
  "finalizing",
  "reclaiming",
  "draining",
  "over",
] as const;
export type OldState = (typeof oldStates)[number];

const ownInputs = [
  "timeout",
  "silent",
  "gone",
  "garbage",
  "abort",
  // our runtime
  "grant",
  "busy",
  "offer",
  "commit",
  "finalize",
  "progress",
  "drained",
  // the last BATCH
  "acknowledged",
  // its last heartbeat is a recent one
  "heard",
  // outcomes of effects: the journal was written, it refused, it cannot be used for now; it says that we own, that NEW does
  "written",
  "refused",
  "unavailable",
  "kept",
  "lost",
] as const;
export type OldInput = CommonInput | (typeof ownInputs)[number];
export const oldInputs: readonly OldInput[] = [...handoverFrameTypes, ...ownInputs];

export type OldEffect =
  | `send ${"GRANTED" | "BUSY" | "OFFER" | "STATE" | "COMMIT" | "FINALIZE" | "PROGRESS" | "DRAINED" | "ABORT"}`
  /** give the session to the runtime */
  | "present"
  | `write ${"transferring" | "committed" | "finalized"}`
  /** the attempt did not get to COMMIT: so the journal says, if it can be written */
  | "write failed"
  /** write "failed" if nobody has decided */
  | "decide"
  /** "heard" if NEW was, not long ago */
  | "listen back"
  /** the next batch may go, the awaited step is done */
  | "acknowledge"
  | "step"
  | "end busy"
  | "end failed"
  | "end superseded"
  | "end undecided"
  | "end drained";

export const oldStateFacts: Readonly<Record<OldState, StateFacts<OldEffect>>> = {
  greeting: { wait: "helloMs", watches: false },
  greeted: { wait: "leaseMs", watches: false },
  asked: { wait: "leaseMs", watches: false },
  granting: { wait: undefined, watches: false },
  granted: { wait: "offerMs", watches: false },
  offering: { wait: "offerMs", watches: false },
  claiming: { wait: "claimMs", watches: false },
  preparing: { wait: "bootMs", watches: true, beat: "ALIVE" },
  ready: { wait: "handoffMs", watches: true, beat: "ALIVE" },
  committing: { wait: undefined, watches: false },
  committed: { wait: "commitMs", watches: false, beat: "PROBATION" },
  probation: { wait: "probationMs", watches: true, beat: "PROBATION" },
  proving: { wait: "probationMs", watches: true, beat: "PROBATION" },
  finalizing: { wait: "decideMs", watches: false, retry: "write finalized" },
  reclaiming: { wait: "decideMs", watches: false, retry: "decide" },
  draining: { wait: undefined, watches: false },
  over: { wait: undefined, watches: false },
};

const { to, ignored, harmless } = words<OldState, OldInput, OldEffect>(oldInputs);

const deadEnds: readonly OldInput[] = ["timeout", "silent", "gone", "garbage", "abort", ...handoverFrameTypes];

/** No frame is expected that is not written in the row: everything ends it, with nothing done. */
const stranger = { ...ignored, ...all(deadEnds, to("over", "send ABORT", "end failed")) };
/** The same, with the attempt in the journal. */
const lessee = {
  ...ignored,
  ...all(deadEnds, to("over", "send ABORT", "write failed", "end failed")),
  ...harmless,
};
/** NEW may be the owner by the journal: only the journal ends it. */
const entrusted = {
  ...ignored,
  ...all(deadEnds, to("reclaiming", "decide")),
  ...harmless,
};
/** The journal is being asked, nothing else counts. */
const decided: Record<"kept" | "lost", Cell<OldState, OldEffect>> = {
  kept: to("over", "send ABORT", "end failed"),
  lost: to("draining", "end superseded"),
};

export const oldTable: Table<OldState, OldInput, OldEffect> = {
  greeting: { ...stranger, HELLO: to("greeted") },
  greeted: { ...stranger, LEASE: to("asked", "present") },
  asked: {
    ...stranger,
    grant: to("granting", "write transferring"),
    busy: to("over", "send BUSY", "end busy"),
  },
  granting: {
    ...ignored,
    written: to("granted", "send GRANTED", "step"),
    refused: to("over", "send ABORT", "end failed"),
    unavailable: to("over", "send ABORT", "end failed"),
  },
  granted: { ...lessee, offer: to("offering", "send OFFER") },
  offering: { ...lessee, BATCH: to("offering", "acknowledge"), acknowledged: to("claiming") },
  claiming: { ...lessee, CLAIM: to("preparing", "send STATE", "step") },
  preparing: { ...lessee, READY: to("ready", "step") },
  ready: { ...lessee, commit: to("committing", "write committed") },
  committing: {
    ...ignored,
    written: to("committed", "send COMMIT"),
    refused: to("over", "send ABORT", "write failed", "end failed"),
    unavailable: to("over", "send ABORT", "write failed", "end failed"),
  },
  committed: { ...entrusted, OWNED: to("probation", "step") },
  probation: { ...entrusted, finalize: to("proving", "listen back") },
  // one that stands still since a moment ago is not left alone with the sockets
  proving: {
    ...entrusted,
    heard: to("finalizing", "write finalized"),
    PROBATION: to("finalizing", "write finalized"),
  },
  finalizing: {
    ...ignored,
    written: to("draining", "send FINALIZE", "step"),
    // it says "failed", which only this side writes: a restarted supervisor of ours was faster
    refused: to("reclaiming", "decide"),
    // asked again after retryMs, until the deadline
    unavailable: "stay",
    timeout: to("over", "end undecided"),
  },
  reclaiming: { ...ignored, ...decided, unavailable: "stay", timeout: to("over", "end undecided") },
  draining: {
    ...ignored,
    progress: to("draining", "send PROGRESS"),
    drained: to("over", "send DRAINED", "end drained"),
  },
  over: ignored,
};
