/*
 * journal.json: who the owner is. Everything here is a function of the text that was read; reading and writing, under the journal's lock,
 * is adapters/handover's.
 *
 *      (none) --appoint--> owner ----begin----> transferring --commit--> committed --settle--> finalized    owner: NEW
 *                            ^                      |                        '------settle--> failed       owner: OLD
 *                            '-- appoint            '--------settle-------------------------> failed       owner: OLD
 *
 * `committed` names NEW as the owner and is not decided: NEW writes `finalized` because OLD fell silent, OLD writes `failed` because NEW
 * did, OLD writes `finalized` when probation is over. What is decided is never decided again: whoever comes later reads and obeys.
 *
 * A journal that is gone, or damaged, says nothing, and takes nothing from anybody: who was the owner, or may be, writes it anew. The first
 * to write wins, as with one that is not decided. One of a later version is no such journal: `owner.nonce`, `owner.generation` and `done`
 * mean in every version what they mean here.
 */

export interface JournalOwner {
  readonly nonce: string;
  readonly generation: number;
  readonly release: string;
  readonly build: string;
  readonly slot: string;
  /** wall clock, milliseconds since the epoch */
  readonly since: number;
}

export type AttemptState = "transferring" | "committed" | "finalized" | "failed";

export interface JournalAttempt {
  readonly id: string;
  /** of NEW */
  readonly nonce: string;
  /** nonce of OLD */
  readonly from: string;
  readonly state: AttemptState;
  readonly reason?: string;
  /** wall clock, milliseconds since the epoch: when the state was written */
  readonly at: number;
}

export interface Journal {
  /** of a later one no more is known here than its owner and what is done */
  readonly version: number;
  readonly owner: JournalOwner;
  readonly attempt?: JournalAttempt;
  /** ids of the last attempts that were committed or failed, newest last */
  readonly done: readonly string[];
}

const journalVersion = 1;
export const maxDoneAttempts = 32;
/** No journal is longer. */
export const maxJournalBytes = 64 * 1024;

/**
 * The journal in this text. Empty text is none.
 * @returns undefined for a text that is no journal: damaged
 */
export function parseJournal(text: string): Journal | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isFields(value)) return undefined;
  const done = Array.isArray(value.done) ? value.done.filter((id): id is string => typeof id === "string") : [];
  if (value.version !== journalVersion) return readLater(value, done);
  const owner = readOwner(value.owner);
  const attempt = value.attempt === undefined ? undefined : readAttempt(value.attempt);
  if (owner === undefined || (value.attempt !== undefined && attempt === undefined)) return undefined;
  return {
    version: journalVersion,
    owner,
    ...(attempt === undefined ? {} : { attempt }),
    done: done.slice(-maxDoneAttempts),
  };
}

/** Why nothing may be taken over by this journal, which a later release has written; undefined: it has not. */
export function laterProblem(journal: Journal | undefined): string | undefined {
  if (journal === undefined || journal.version <= journalVersion) return undefined;
  return `the upgrade journal is of a later release: its version is ${journal.version}, ${journalVersion} is known here`;
}

export function journalText(journal: Journal): string {
  return `${JSON.stringify(journal)}\n`;
}

/**
 * The journal of a generation that became owner because nobody else was: what others had begun is over, and so is its own `order`, which would
 * let it take over again when it is started anew beside a later owner.
 */
export function appoint(journal: Journal | undefined, owner: JournalOwner, order?: string): Journal {
  const ids = [journal?.attempt?.id, order].filter((id) => id !== undefined);
  return { version: journalVersion, owner, done: ids.reduce(withDone, journal?.done ?? []) };
}

/** The attempt begins. @returns the reason why it must not, or the journal */
export function begin(
  journal: Journal | undefined,
  who: { readonly old: JournalOwner; readonly nonce: string; readonly attempt: string },
  at: number,
): Journal | string {
  if (journal === undefined || journal.owner.nonce !== who.old.nonce) return "the journal names another owner";
  if (isDone(journal, who.attempt)) return `attempt ${who.attempt} is known as done`;
  const { attempt } = journal;
  if (attempt?.state === "committed") return `attempt ${attempt.id} is not decided`;
  return {
    version: journalVersion,
    owner: journal.owner,
    // an attempt that was begun and never ended: its supervisor died
    done: attempt?.state === "transferring" ? withDone(journal.done, attempt.id) : journal.done,
    attempt: { id: who.attempt, nonce: who.nonce, from: who.old.nonce, state: "transferring", at },
  };
}

/** NEW is the owner, on probation. @returns the reason why it must not be, or the journal */
export function commit(
  journal: Journal | undefined,
  who: { readonly old: JournalOwner; readonly successor: JournalOwner; readonly attempt: string },
  at: number,
): Journal | string {
  const attempt = journal?.attempt;
  if (journal === undefined || journal.owner.nonce !== who.old.nonce) return "the journal names another owner";
  if (attempt?.id !== who.attempt || attempt.nonce !== who.successor.nonce || attempt.state !== "transferring")
    return "the journal does not know this attempt as begun";
  return {
    ...journal,
    owner: who.successor,
    attempt: { ...attempt, state: "committed", at },
    done: withDone(journal.done, who.attempt),
  };
}

/** Which part a generation has in the attempt that the journal tells of. */
export type Part = "old" | "new";

/** `journal` unchanged: it was decided before. `owns`: whether the one who asked is the owner now. */
export interface Decision {
  readonly journal: Journal | undefined;
  readonly owns: boolean;
}

/**
 * Decides for `me` what nobody has decided, or tells what was decided. `part` undefined: found out from the journal.
 * An attempt that is still transferring has not changed the owner: OLD may end it, and NEW has lost. `owned`: whether this generation has
 * been the owner, on probation or for good, and has not been told that it is no longer; it counts when no journal tells.
 */
export function settle(
  journal: Journal | undefined,
  me: JournalOwner,
  verdict: "finalized" | "failed",
  reason: string,
  at: number,
  owned = false,
): Decision {
  if (journal === undefined) return { journal: owned ? appoint(journal, me) : journal, owns: owned };
  const { attempt } = journal;
  if (attempt === undefined) return { journal, owns: journal.owner.nonce === me.nonce };
  const decided = attempt.state === "finalized" || attempt.state === "failed";
  const part = partOf(attempt, me);
  if (decided || part === undefined || (part === "new" && attempt.state === "transferring"))
    return { journal, owns: journal.owner.nonce === me.nonce };
  if (verdict === "failed") {
    // NEW gives up only by dying or by asking OLD: it does not know whether OLD lives
    if (part === "new") return { journal, owns: true };
    const ended = { ...attempt, state: verdict, reason: reason.slice(0, 1024), at };
    return { journal: { ...journal, owner: me, attempt: ended, done: withDone(journal.done, attempt.id) }, owns: true };
  }
  if (attempt.state === "transferring") return { journal, owns: true };
  return { journal: { ...journal, attempt: { ...attempt, state: verdict, at } }, owns: part === "new" };
}

/** What a generation decides when it cannot ask the other one: each for itself. */
export function settleAlone(
  journal: Journal | undefined,
  me: JournalOwner,
  reason: string,
  at: number,
  owned: boolean,
): Decision {
  const verdict = partOf(journal?.attempt, me) === "new" ? "finalized" : "failed";
  return settle(journal, me, verdict, reason, at, owned);
}

/**
 * NEW has the lock of a generation that is gone as a whole.
 * @returns the reason why it must not own: the journal has another owner since
 */
export function promote(
  journal: Journal | undefined,
  me: JournalOwner,
  from: string,
  id: string,
  at: number,
): Journal | string {
  const owner = journal?.owner.nonce;
  if (owner !== undefined && owner !== from && owner !== me.nonce) return "another generation has become owner since";
  const attempt: JournalAttempt = { id, nonce: me.nonce, from, state: "finalized", at };
  return { version: journalVersion, owner: me, attempt, done: withDone(journal?.done ?? [], id) };
}

/** Which part `me` has in the attempt; undefined: none. */
export function partOf(attempt: JournalAttempt | undefined, me: JournalOwner): Part | undefined {
  if (attempt?.from === me.nonce) return "old";
  return attempt?.nonce === me.nonce ? "new" : undefined;
}

export function isDone(journal: Journal | undefined, id: string): boolean {
  return journal?.done.includes(id) ?? false;
}

function withDone(done: readonly string[], id: string): readonly string[] {
  return [...done.filter((each) => each !== id), id].slice(-maxDoneAttempts);
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readOwner(value: unknown): JournalOwner | undefined {
  if (!isFields(value)) return undefined;
  const { nonce, generation, release, build, slot, since } = value;
  if (typeof nonce !== "string" || typeof release !== "string" || typeof build !== "string") return undefined;
  if (typeof slot !== "string" || !Number.isFinite(generation) || !Number.isFinite(since)) return undefined;
  return { nonce, generation: Number(generation), release, build, slot, since: Number(since) };
}

/** What every version has in common. */
function readLater(value: Readonly<Record<string, unknown>>, done: readonly string[]): Journal | undefined {
  const { version, owner } = value;
  if (!Number.isSafeInteger(version) || Number(version) <= journalVersion || !isFields(owner)) return undefined;
  const unknown = { release: "", build: "", slot: "", since: 0 };
  // what is not as it is here is not known
  const known = readOwner(owner) ?? readOwner({ ...unknown, nonce: owner.nonce, generation: owner.generation });
  return known && { version: Number(version), owner: known, done: done.slice(-maxDoneAttempts) };
}

function readAttempt(value: unknown): JournalAttempt | undefined {
  if (!isFields(value)) return undefined;
  const { id, nonce, from, state, reason, at } = value;
  if (typeof id !== "string" || typeof nonce !== "string" || typeof from !== "string") return undefined;
  if (!Number.isFinite(at) || (reason !== undefined && typeof reason !== "string")) return undefined;
  if (state !== "transferring" && state !== "committed" && state !== "finalized" && state !== "failed")
    return undefined;
  return { id, nonce, from, state, ...(reason === undefined ? {} : { reason }), at: Number(at) };
}
