import type { HandoverFrameType } from "./handover-frame.js";
import type { HandoverTimes } from "./handover-times.js";
import type { UpgradeCause } from "./upgrade-cause.js";

/** What can happen to either side besides frames. */
export type CommonInput =
  | HandoverFrameType
  /** the state's deadline has passed */
  | "timeout"
  /** nothing has come for silenceMs, in a state that watches */
  | "silent"
  /** the connection is lost */
  | "gone"
  /** what came is no frame, or says what cannot be */
  | "garbage"
  /** our own runtime gives up */
  | "abort";

export type Wait = keyof HandoverTimes;

/** What a state is while it lasts. */
export interface StateFacts<Effect extends string> {
  /** deadline, counted from the entry; undefined: the runtime's own, which the session does not watch */
  readonly wait: Wait | undefined;
  /** whether silence of the other side ends it */
  readonly watches: boolean;
  /** the heartbeat sent meanwhile */
  readonly beat?: HandoverFrameType;
  /** done again every retryMs, until its outcome leads on */
  readonly retry?: Effect;
}

/** For what the other side has to be ready: when that takes too long, it is its services that were waited for. */
const readyWaits: readonly (Wait | undefined)[] = ["bootMs", "handoffMs", "commitMs"];

/** What an input counts as that ends a state with this deadline, when nobody has said more. */
export function causeOf(input: string, wait: Wait | undefined): UpgradeCause {
  switch (input) {
    case "timeout":
      return readyWaits.includes(wait) ? "unready" : "lost";
    case "silent":
    case "gone":
      return "lost";
    case "abort":
      return "other";
    default:
      return "protocol";
  }
}

/** A cell: the next state and what to do, in order; `stay`: nothing happens. */
export type Cell<State extends string, Effect extends string> =
  | "stay"
  | { readonly to: State; readonly effects: readonly Effect[] };

export type Row<State extends string, Input extends string, Effect extends string> = Readonly<
  Record<Input, Cell<State, Effect>>
>;

export type Table<State extends string, Input extends string, Effect extends string> = Readonly<
  Record<State, Row<State, Input, Effect>>
>;

/** What says that the other side lives: never an offence where frames are expected. */
const heartbeats: readonly HandoverFrameType[] = ["PREPARING", "ALIVE", "PROBATION"];

/** The words that both sides' tables are written with. */
export function words<State extends string, Input extends string, Effect extends string>(inputs: readonly Input[]) {
  return {
    to: (state: State, ...effects: Effect[]): Cell<State, Effect> => ({ to: state, effects }),
    ignored: all<State, Input, Effect>(inputs, "stay"),
    harmless: all<State, HandoverFrameType, Effect>(heartbeats, "stay"),
  };
}

/** A row in which every one of these inputs has the same cell. */
export function all<State extends string, Input extends string, Effect extends string>(
  inputs: readonly Input[],
  cell: Cell<State, Effect>,
): Record<Input, Cell<State, Effect>> {
  return Object.fromEntries(inputs.map((input) => [input, cell])) as Record<Input, Cell<State, Effect>>;
}
