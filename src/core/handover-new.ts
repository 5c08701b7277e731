/*
 * NEW's side of a handover: the candidate.
 *
 *   greeting -HELLO-> asking -GRANTED-> admitted -fits-> receiving -complete-> checking -claim-> stating -told-> preparing
 *      -ready-> ready -COMMIT-> confirming -won-> committed -owned-> probation -FINALIZE-> settled -DRAINED-> over
 *
 *   before CLAIM: deadline, silence, loss, garbage, ABORT -> over; a deadline before GRANTED is as if OLD were BUSY
 *   CLAIM to COMMIT, OLD lost or silent -> orphaned: the owner's lock decides
 *        free: the whole old generation is gone -> promoted -ready-> settled;   held: it lives -> over
 *   from COMMIT on, OLD lost, silent or ABORT -> deciding: the journal decides
 *        won (we wrote "finalized", or it says so) -> settled;   lost (OLD wrote "failed") -> over
 *
 * Pure: (state, input) -> cell. Reading the journal and trying the lock are effects, their outcomes the next inputs.
 */
import { handoverFrameTypes } from "./handover-frame.js";
import { all, type CommonInput, type StateFacts, type Table, words } from "./handover-machine.js";

export const newStates = [
  "greeting",
  "asking",
  "admitted",
  "receiving",
  "checking",
  "stating",
  "preparing",
  "ready",
  "confirming",
  "committed",
  "probation",
  "renouncing",
  "deciding",
  "orphaned",
  "orphanedReady",
  "promoted",
  "settled",
  "over",
] as const;
export type NewState = (typeof newStates)[number];

const ownInputs = [
  "timeout",
  "silent",
  "gone",
  "garbage",
  "abort",
  // our runtime
  "claim",
  "ready",
  "owned",
  // this process may open so many files, or not
  "fits",
  "refused",
  // the last OFFER, the last STATE
  "complete",
  "told",
  // the journal says that we own, or that OLD does; it cannot be used for now
  "won",
  "lost",
  "unavailable",
  // the owner's lock
  "seized",
  "held",
] as const;
export type NewInput = CommonInput | (typeof ownInputs)[number];
export const newInputs: readonly NewInput[] = [...handoverFrameTypes, ...ownInputs];

export type NewEffect =
  | `send ${"LEASE" | "BATCH" | "CLAIM" | "READY" | "OWNED" | "FINALIZE" | "ABORT"}`
  /** raise the limit of open files */
  | "admit"
  | "take"
  | "keep blob"
  /** give the session to the runtime */
  | "present"
  | "keep lock"
  /** read whether the journal says "committed", for us */
  | "confirm"
  /** write "finalized" if nobody has decided */
  | "decide"
  /** try the owner's lock, and write the journal with it */
  | "seize"
  | "step"
  | "promote"
  | "report"
  | "end busy"
  | "end failed"
  | "end old-gone"
  | "end undecided"
  | "end done";

export const newStateFacts: Readonly<Record<NewState, StateFacts<NewEffect>>> = {
  greeting: { wait: "helloMs", watches: false },
  asking: { wait: "leaseMs", watches: false },
  admitted: { wait: undefined, watches: false },
  receiving: { wait: "offerMs", watches: false },
  checking: { wait: "claimMs", watches: false },
  stating: { wait: "stateMs", watches: false },
  preparing: { wait: "bootMs", watches: true, beat: "PREPARING" },
  ready: { wait: "handoffMs", watches: true, beat: "PREPARING" },
  confirming: { wait: "decideMs", watches: false, retry: "confirm" },
  committed: { wait: "commitMs", watches: false, beat: "PROBATION" },
  probation: { wait: "probationMs", watches: true, beat: "PROBATION" },
  renouncing: { wait: "commitMs", watches: false },
  deciding: { wait: "decideMs", watches: false, retry: "decide" },
  orphaned: { wait: "decideMs", watches: false, retry: "seize" },
  orphanedReady: { wait: "decideMs", watches: false, retry: "seize" },
  promoted: { wait: "bootMs", watches: false },
  settled: { wait: "drainMs", watches: false },
  over: { wait: undefined, watches: false },
};

const { to, ignored, harmless } = words<NewState, NewInput, NewEffect>(newInputs);

const failed = to("over", "send ABORT", "end failed");
const unwanted = all<NewState, NewInput, NewEffect>(["garbage", "abort", ...handoverFrameTypes], failed);

/** Nothing was taken over: OLD's loss is no loss. */
const empty = { ...ignored, ...unwanted, timeout: failed, silent: failed, gone: to("over", "end old-gone") };
/** OLD has lent nothing yet: one that stands still may go on, and can be asked again. */
const unanswered = { ...empty, timeout: to("over", "send ABORT", "end busy") };
/** The sockets are ours to keep listening: OLD's loss is a question. */
const heir = (orphan: NewState) => ({
  ...ignored,
  ...unwanted,
  ...harmless,
  timeout: failed,
  silent: to(orphan, "seize"),
  gone: to(orphan, "seize"),
});
/** The journal names us: only the journal ends it. */
const entrusted = {
  ...ignored,
  ...all<NewState, NewInput, NewEffect>(
    ["timeout", "silent", "gone", "garbage", ...handoverFrameTypes],
    to("deciding", "decide"),
  ),
  ...harmless,
  abort: to("renouncing", "send ABORT"),
};

export const newTable: Table<NewState, NewInput, NewEffect> = {
  greeting: { ...unanswered, HELLO: to("asking", "send LEASE") },
  asking: { ...unanswered, GRANTED: to("admitted", "admit"), BUSY: to("over", "end busy") },
  admitted: { ...ignored, fits: to("receiving"), refused: failed },
  receiving: {
    ...empty,
    OFFER: to("receiving", "take", "send BATCH"),
    complete: to("checking", "present"),
  },
  checking: { ...empty, claim: to("stating", "send CLAIM") },
  // OLD alone is awaited here, and nothing of ours runs on the sockets yet: with a deadline, but without heartbeats
  stating: { ...heir("orphaned"), STATE: to("stating", "keep blob"), told: to("preparing", "step") },
  preparing: { ...heir("orphaned"), ready: to("ready", "send READY") },
  ready: { ...heir("orphanedReady"), COMMIT: to("confirming", "keep lock", "confirm") },
  confirming: {
    ...ignored,
    won: to("committed", "step"),
    // OLD has given up before we read its word
    lost: failed,
    unavailable: "stay",
    timeout: failed,
  },
  committed: { ...entrusted, owned: to("probation", "send OWNED") },
  probation: { ...entrusted, FINALIZE: to("settled", "step") },
  // we have asked OLD to take back; when it does not, somebody has to own
  renouncing: {
    ...entrusted,
    abort: "stay",
    FINALIZE: to("settled", "step"),
  },
  deciding: {
    ...ignored,
    won: to("settled", "send FINALIZE", "step"),
    lost: to("over", "end failed"),
    unavailable: "stay",
    timeout: to("over", "end undecided"),
  },
  orphaned: {
    ...ignored,
    seized: to("promoted", "step"),
    held: "stay",
    unavailable: "stay",
    ready: to("orphanedReady"),
    abort: failed,
    timeout: to("over", "end failed"),
  },
  orphanedReady: {
    ...ignored,
    seized: to("settled", "step", "promote"),
    held: "stay",
    unavailable: "stay",
    abort: failed,
    timeout: to("over", "end failed"),
  },
  promoted: {
    ...ignored,
    ready: to("settled", "promote"),
    abort: to("over", "end failed"),
    timeout: to("over", "end failed"),
  },
  settled: {
    ...ignored,
    PROGRESS: to("settled", "report"),
    DRAINED: to("over", "report", "end done"),
    gone: to("over", "end done"),
    garbage: to("over", "end done"),
    timeout: to("over", "end done"),
  },
  over: ignored,
};
