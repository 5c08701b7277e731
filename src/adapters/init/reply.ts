import { nameOfSignal } from "../../core/signals.js";
import type { ExitStatus, InitEvent } from "../../runtime/ports.js";
import { errnoName } from "./errno-name.js";
import { type Frame, FrameError } from "./frame.js";

export type ExitedEvent = Extract<InitEvent, { kind: "exited" }>;

/** What the init says, read and checked. Descriptors stay with the frame. */
export type Reply =
  | {
      readonly kind: "welcome";
      readonly version: number;
      readonly pid: number;
      readonly isPid1: boolean;
      readonly bootId: string;
      readonly restarts: number;
      readonly line: number;
      readonly primary: boolean;
    }
  | { readonly kind: "sync-child"; readonly id: string; readonly pid: number; readonly exit?: ExitedEvent }
  | { readonly kind: "sync-held"; readonly name: string }
  | { readonly kind: "sync-state"; readonly name: string }
  | { readonly kind: "sync-line"; readonly line: number; readonly pid: number }
  | { readonly kind: "synced" }
  | {
      readonly kind: "signal";
      readonly sequence: number;
      readonly signal: string;
      readonly senderPid: number;
      readonly senderUid: number;
    }
  | ExitedEvent
  | { readonly kind: "reaped"; readonly total: number }
  | { readonly kind: "spawned"; readonly id: string; readonly pid: number }
  | { readonly kind: "spawn-failed"; readonly id: string; readonly stage: string; readonly errno: string }
  | { readonly kind: "signalled"; readonly ticket: number; readonly count: number }
  | { readonly kind: "held"; readonly name: string }
  | { readonly kind: "started"; readonly line: number; readonly pid: number }
  | { readonly kind: "start-failed"; readonly stage: string; readonly errno: string }
  | { readonly kind: "replaced"; readonly version: string }
  | Extract<InitEvent, { kind: "ended" }>
  | { readonly kind: "error"; readonly verb: string; readonly text: string };

/** Takes the fields of one frame in order; refuses a missing one, one too many, and a number that is none. */
class Fields {
  readonly #frame: Frame;
  #at = 0;

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  refuse(problem: string): never {
    throw new FrameError(this.#frame.verb, problem);
  }

  text(): string {
    return this.#frame.fields[this.#at++] ?? this.refuse(`field ${this.#at} is missing`);
  }

  number(): number {
    const text = this.text();
    const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) this.refuse(`field ${this.#at} is not a number`);
    return value;
  }

  end<T>(reply: T): T {
    if (this.#at !== this.#frame.fields.length) this.refuse(`${this.#frame.fields.length - this.#at} fields too many`);
    return reply;
  }
}

function signalOf(fields: Fields): string {
  const number = fields.number();
  return nameOfSignal(number) ?? fields.refuse(`${number} is not a signal`);
}

function statusOf(fields: Fields): ExitStatus {
  const how = fields.text();
  if (how !== "code" && how !== "signal") fields.refuse("the status is neither code nor signal");
  return how === "code" ? { code: fields.number() } : { signal: signalOf(fields) };
}

function exitOf(fields: Fields, id: string, pid: number): ExitedEvent {
  const status = statusOf(fields);
  const usage = { userMs: fields.number() / 1e3, systemMs: fields.number() / 1e3, maxRssKb: fields.number() };
  return fields.end({ kind: "exited", id, pid, status, usage, at: fields.number() });
}

function syncOf(fields: Fields): Reply {
  const what = fields.text();
  if (what === "held") return fields.end({ kind: "sync-held", name: fields.text() });
  if (what === "state") return fields.end({ kind: "sync-state", name: fields.text() });
  if (what === "line") return fields.end({ kind: "sync-line", line: fields.number(), pid: fields.number() });
  if (what !== "child") fields.refuse("neither child, held, state nor line");
  const id = fields.text();
  const pid = fields.number();
  const state = fields.text();
  if (state === "running") return fields.end({ kind: "sync-child", id, pid });
  if (state !== "exited") fields.refuse("a child that is neither running nor exited");
  return { kind: "sync-child", id, pid, exit: exitOf(fields, id, pid) };
}

/** @throws FrameError: an unknown verb, or fields that are not this verb's */
export function readReply(frame: Frame): Reply {
  const fields = new Fields(frame);
  switch (frame.verb) {
    case "WELCOME":
      return fields.end({
        kind: "welcome",
        version: fields.number(),
        pid: fields.number(),
        isPid1: fields.number() === 1,
        bootId: fields.text(),
        restarts: fields.number(),
        line: fields.number(),
        primary: fields.number() === 1,
      });
    case "SYNC":
      return syncOf(fields);
    case "SYNCED":
      return fields.end({ kind: "synced" });
    case "SIGNAL":
      return fields.end({
        kind: "signal",
        sequence: fields.number(),
        signal: signalOf(fields),
        senderPid: fields.number(),
        senderUid: fields.number(),
      });
    case "EXITED":
      return exitOf(fields, fields.text(), fields.number());
    case "REAPED":
      return fields.end({ kind: "reaped", total: fields.number() });
    case "SPAWNED":
      return fields.end({ kind: "spawned", id: fields.text(), pid: fields.number() });
    case "SPAWN-FAILED":
      return fields.end({
        kind: "spawn-failed",
        id: fields.text(),
        stage: fields.text(),
        errno: errnoName(fields.number()),
      });
    case "SIGNALLED":
      return fields.end({ kind: "signalled", ticket: fields.number(), count: fields.number() });
    case "HELD":
      return fields.end({ kind: "held", name: fields.text() });
    case "STARTED":
      return fields.end({ kind: "started", line: fields.number(), pid: fields.number() });
    case "START-FAILED":
      return fields.end({ kind: "start-failed", stage: fields.text(), errno: errnoName(fields.number()) });
    case "ENDED":
      return fields.end({ kind: "ended", line: fields.number(), status: statusOf(fields) });
    case "REPLACED":
      return fields.end({ kind: "replaced", version: fields.text() });
    case "ERROR":
      return fields.end({ kind: "error", verb: fields.text(), text: fields.text() });
    default:
      return fields.refuse("an unknown verb");
  }
}
