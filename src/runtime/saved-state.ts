import { type Phase, phases } from "../core/phase.js";
import { readCause } from "../core/upgrade-cause.js";
import type { YieldPart } from "../core/upgrade-part.js";
import type { InstanceRecord } from "./instance.js";
import type { Init } from "./ports.js";
import type { StopRecord } from "./stop-request.js";
import type { SavedUpgrade } from "./upgrades.js";

/** What a supervisor leaves with the init for the next one: where the server is, not what it is made of (that is the plan's blob). */
export interface SavedState {
  readonly version: 1;
  readonly phase: Phase;
  readonly phaseSince: number;
  readonly startedAt: number;
  readonly stop?: StopRecord;
  /** the last signal that is on record here; it may be told again */
  readonly signal: number;
  readonly killed: readonly string[];
  readonly held: readonly string[];
  /** services held in favour of a successor, and what was done for that */
  readonly yielded: Readonly<Record<string, YieldPart>>;
  readonly upgrade?: SavedUpgrade;
  /** there while a successor has our sockets, too: the listeners that blocked before */
  readonly lent?: readonly string[];
  readonly instances: Readonly<Record<string, InstanceRecord>>;
}

export const stateName = "state";
/** restarts that are no deaths of a supervisor of this generation: all those up to the end of a standby */
const waitName = "waited";

/** Before a standby, whose end starts another supervisor. */
export function saveWait(init: Pick<Init, "recovered" | "save">): void {
  init.save(waitName, `${init.recovered.restarts + 1}`);
}

/** How often a supervisor of this generation was started again. */
export function restartsOf({ restarts, state }: Pick<Init["recovered"], "restarts" | "state">): number {
  return Math.max(0, restarts - Number(state.get(waitName) ?? 0));
}

export function saveText(state: SavedState): string {
  return JSON.stringify(state);
}

/** Undefined when there is none, or none that this version understands: then the server begins anew. */
export function readState(text: string | undefined): SavedState | undefined {
  if (text === undefined) return undefined;
  try {
    const state = JSON.parse(text) as SavedState;
    return state.version === 1 && phases.includes(state.phase) ? whole(state) : undefined;
  } catch {
    return undefined;
  }
}

/** Nobody can have taken over from this generation: no attempt was under way when its supervisor died. */
export function mustOwn({ phase, upgrade }: SavedState): boolean {
  return phase === "Running" && upgrade?.attempt === undefined && upgrade?.replacedBy === undefined;
}

/** What an earlier release has not written: an outcome's cause. */
function whole(state: SavedState): SavedState {
  const last = state.upgrade?.lastUpgrade;
  if (state.upgrade === undefined || last === undefined) return state;
  const cause = last.result === "completed" ? "none" : readCause(last.cause);
  return { ...state, upgrade: { ...state.upgrade, lastUpgrade: { ...last, cause } } };
}
