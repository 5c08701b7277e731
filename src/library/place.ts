import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { EntryError } from "../core/entry-error.js";
import { isDone, type Journal, type JournalOwner, laterProblem } from "../core/handover-journal.js";
import type { UpgradeSpec } from "../core/plan.js";
import { build, version } from "../core/version.js";
import type { DialledOwner, NewSession, OldSession, OpenedOwner } from "../runtime/handover-ports.js";
import { lockName } from "../runtime/old-generation.js";
import type { Init } from "../runtime/ports.js";
import { mustOwn, readState, stateName } from "../runtime/saved-state.js";
import type { UpgradeParts } from "../runtime/upgrade-parts.js";

export type PlaceParts = Omit<
  UpgradeParts,
  "me" | "owner" | "session" | "attempt" | "candidate" | "candidates" | "lost"
>;

export type Place =
  | { readonly kind: "place"; readonly upgrade: UpgradeParts }
  /** another generation owns the directory, and nobody ordered us to take over */
  | { readonly kind: "standby"; readonly lockFd: number };

/** How long an owner that holds the lock may be without a supervisor that answers. */
const reviveMs = 5_000;
const retryMs = 100;

/**
 * What this generation is among the others of its directory: the owner, a candidate with the sockets of the owner, or one that waits.
 * `order`: an attempt's id, to take over from a living owner.
 * @throws EntryError tryLater: the owner is busy, or nobody may wait here; failed: the owner refuses; os: the directory cannot be used
 */
export async function takePlace(
  plan: UpgradeSpec,
  init: Init,
  order: string | undefined,
  parts: PlaceParts,
): Promise<Place> {
  const { handover } = parts;
  const box = candidateBox();
  const common = { ...parts, ...box };
  const state = readState(init.recovered.state.get(stateName));
  const saved = state?.upgrade;
  if (saved !== undefined) {
    const { me, replacedBy } = saved;
    const held = init.recovered.held.get(lockName);
    // one with an order of its own may not have come to own
    const facts = {
      owned: saved.attempt === undefined || held !== undefined,
      // who takes over may be first to make the files anew
      lockFd: state !== undefined && mustOwn(state) ? held : undefined,
    };
    const found = replacedBy === undefined ? handover.recover(me, "its supervisor was restarted", facts) : "superseded";
    // an order that the journal has never heard of: there is nothing that another one could have taken from us
    const role = found === "superseded" && saved.attempt !== undefined ? "failed" : found;
    const upgrade = { ...common, me, ...(saved.attempt === undefined ? {} : { attempt: saved.attempt }) };
    if (role !== "owner") return { kind: "place", upgrade: { ...upgrade, lost: role } };
    const opened = await open(parts, me, box.candidate, held);
    if (opened.kind === "held") return { kind: "place", upgrade: { ...upgrade, lost: "failed" } };
    if (opened.owner.lockFd !== held) await init.hold(lockName, opened.owner.lockFd);
    return { kind: "place", upgrade: { ...upgrade, owner: opened.owner } };
  }

  const journal = handover.journal();
  // a supervisor of ours died between becoming owner and its first record
  const lockFd = init.recovered.held.get(lockName);
  const before = lockFd === undefined ? undefined : journal?.owner;
  const me = before ?? identity(plan.release, (journal?.owner.generation ?? 0) + 1);
  const attempt = order === undefined || isDone(journal, order) ? undefined : order;
  for (const from = performance.now(); ; ) {
    if (attempt !== undefined) {
      const dialled = await handover.dialOwner({ me, attempt });
      if (dialled.kind === "session") {
        refuseLater(handover.journal(), dialled.session);
        return { kind: "place", upgrade: { ...common, me, attempt, session: dialled.session } };
      }
      if (dialled.kind !== "nobody") throw refusal(dialled, journal?.owner);
    }
    const opened = await open(parts, me, box.candidate, lockFd, attempt);
    if (opened.kind === "owner") {
      if (opened.owner.lockFd !== lockFd) await init.hold(lockName, opened.owner.lockFd);
      return { kind: "place", upgrade: { ...common, me, owner: opened.owner } };
    }
    if (attempt === undefined) {
      if (plan.standby) return { kind: "standby", lockFd: handover.openLock() };
      throw new EntryError(
        "tryLater",
        `cannot start: ${ownerText(opened.journal?.owner)} runs already; use -u to take over from it`,
      );
    }
    if (performance.now() - from > reviveMs)
      throw new EntryError("tryLater", `cannot take over: ${ownerText(opened.journal?.owner)} does not answer`);
    await new Promise((wake) => setTimeout(wake, retryMs));
  }
}

function open(
  { handover, refused }: Pick<PlaceParts, "handover" | "refused">,
  me: JournalOwner,
  candidate: (session: OldSession) => void,
  lockFd?: number,
  order?: string,
): Promise<OpenedOwner> {
  return handover.openOwner({ me, candidate, refused, order, ...(lockFd === undefined ? {} : { lockFd }) });
}

function identity(release: string, generation: number): JournalOwner {
  return {
    nonce: randomUUID(),
    generation,
    release,
    build: `${version}+${build}`,
    slot: process.env.PINGORA_ENTRY_SLOT ?? hostname(),
    since: Date.now(),
  };
}

/** What it says of this attempt would not be understood: better before anything of ours runs than at COMMIT. */
function refuseLater(journal: Journal | undefined, session: NewSession): void {
  const problem = laterProblem(journal);
  if (problem === undefined) return;
  session.abort(problem, "journal");
  throw new EntryError("failed", `cannot take over: ${problem}`);
}

function refusal(
  dialled: Exclude<DialledOwner, { kind: "session" | "nobody" }>,
  owner: JournalOwner | undefined,
): EntryError {
  if (dialled.kind === "refused") return new EntryError("failed", `cannot take over: ${dialled.reason}`);
  const holder = dialled.holder === "" ? ownerText(owner) : dialled.holder;
  return new EntryError("tryLater", `cannot take over now: ${dialled.reason} (${holder})`);
}

function ownerText(owner: JournalOwner | undefined): string {
  if (owner === undefined) return "another generation";
  return `generation ${owner.generation}${owner.release === "" ? "" : ` (${owner.release})`} on ${owner.slot}`;
}

/** Candidates that come before the server is put together wait for it. */
function candidateBox(): Pick<UpgradeParts, "candidate" | "candidates"> {
  const early: OldSession[] = [];
  let receive = (session: OldSession): void => {
    early.push(session);
  };
  return {
    candidate: (session) => receive(session),
    candidates: (receiver) => {
      receive = receiver;
      for (const session of early.splice(0)) receiver(session);
    },
  };
}
