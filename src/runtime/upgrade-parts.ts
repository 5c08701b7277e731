import type { UpgradeOrder } from "../core/upgrade-outcome.js";
import type { Handover, HandoverIdentity, NewSession, OldSession, Owner } from "./handover-ports.js";

/** How another generation is started: the same program, or another release of it. */
export interface SuccessorCommand {
  readonly argv: readonly string[];
  /** complete environment as NAME=value; it holds the order to take over */
  readonly env: readonly string[];
}

/** What a server needs to be replaced, and to replace. Undefined for one that takes part in no upgrade. */
export interface UpgradeParts {
  readonly handover: Handover;
  /** kept for the life of this generation, whichever supervisor runs it */
  readonly me: HandoverIdentity;
  /** its place, when it has been the owner from the beginning */
  readonly owner?: Owner;
  /** its predecessor, when it was ordered to take over */
  readonly session?: NewSession;
  /** found out when its supervisor was restarted: another generation owns, or this one never did */
  readonly lost?: "superseded" | "failed";
  /** the order it was started with */
  readonly attempt?: string;
  /** where candidates go, from whichever place this generation opens */
  readonly candidate: (session: OldSession) => void;
  /** asks for the sessions of candidates, also those that came before */
  readonly candidates: (receive: (session: OldSession) => void) => void;
  /** @throws EntryError usage for an order that names no release */
  readonly command: (order: UpgradeOrder, attempt: string) => SuccessorCommand;
  readonly attemptId: () => string;
  /** why an attempt's candidate did not come to ask, in its own words, which are forgotten with this; undefined: it said nothing */
  readonly refusal: (attempt: string) => string | undefined;
  /** told of each order and each candidate that was turned away as busy: nothing was tried, so no snapshot tells */
  readonly refused: () => void;
  /** replaces the init by the one of this release when that is another program; resolves with a warning when it could not be */
  readonly renewInit: () => Promise<string | undefined>;
}
