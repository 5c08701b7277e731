import {
  type DrainReport,
  type HandoverFrame,
  type HandoverFrameType,
  handoverFrameTypes,
  maxBlobs,
  maxBlobText,
  maxHandoverFrameBytes,
  maxHandoverText,
  maxMissingNames,
  maxOfferedSockets,
  maxOlder,
  maxStopFirst,
  type OfferedSocket,
  type OlderGeneration,
  type OlderNews,
  type PeerFacts,
  type SocketColumns,
  type StateBlob,
  socketsPerBatch,
} from "./handover-frame.js";
import { readCause } from "./upgrade-cause.js";

/** What the other side sent is no frame, or none that this side may act on. The message says what is wrong. */
export class HandoverFrameError extends Error {
  override readonly name = "HandoverFrameError";
}

type Fields = Readonly<Record<string, unknown>>;

/** Words of `critical` that this version understands: none has been needed so far. */
const understood: ReadonlySet<string> = new Set();
const maxCritical = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The frame with its length before it. @throws HandoverFrameError: longer than maxHandoverFrameBytes */
export function encodeHandoverFrame(frame: HandoverFrame): Uint8Array {
  const text = JSON.stringify(frame.type === "OFFER" ? { ...frame, sockets: packed(frame.sockets) } : frame);
  // three bytes of UTF-8 for one unit of UTF-16 are the most
  const bytes = new Uint8Array(4 + text.length * 3);
  const { written } = encoder.encodeInto(text, bytes.subarray(4));
  if (written > maxHandoverFrameBytes)
    throw new HandoverFrameError(`${frame.type} has ${written} bytes, at most ${maxHandoverFrameBytes} fit`);
  new DataView(bytes.buffer).setUint32(0, written);
  return bytes.subarray(0, 4 + written);
}

/**
 * The frame without its length, checked in every field; undefined: a frame of a later version that may be ignored.
 * @throws HandoverFrameError, never anything else, whatever the bytes
 */
export function decodeHandoverFrame(bytes: Uint8Array): HandoverFrame | undefined {
  const fields = asFields(parse(bytes), "a frame");
  for (const word of list(fields, "critical", maxCritical, asText)) {
    if (!understood.has(word)) throw new HandoverFrameError(`it needs "${word}", which this version does not know`);
  }
  const type = text(fields, "type");
  return isType(type) ? readers[type](fields) : undefined;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw new HandoverFrameError("it is not JSON in UTF-8");
  }
}

function isType(type: string): type is HandoverFrameType {
  return (handoverFrameTypes as readonly string[]).includes(type);
}

const readers: { readonly [Type in HandoverFrameType]: (fields: Fields) => HandoverFrame & { type: Type } } = {
  HELLO: (fields) => {
    const role = oneOf(fields, "role", ["old", "new"]);
    const versions = asFields(fields.versions, "versions");
    return {
      type: "HELLO",
      role,
      versions: { min: integer(versions, "min"), max: integer(versions, "max") },
      facts: readFacts(asFields(fields.facts, "facts")),
    };
  },
  LEASE: () => ({ type: "LEASE" }),
  GRANTED: (fields) => ({
    type: "GRANTED",
    sockets: integer(fields, "sockets", maxOfferedSockets),
    ...readOlder(fields),
  }),
  BUSY: (fields) => ({
    type: "BUSY",
    holder: text(fields, "holder"),
    reason: text(fields, "reason"),
    msLeft: integer(fields, "msLeft"),
  }),
  OFFER: (fields) => ({
    type: "OFFER",
    batch: integer(fields, "batch", maxOfferedSockets),
    batches: integer(fields, "batches", maxOfferedSockets),
    sockets: readSockets(asFields(fields.sockets, "sockets")),
  }),
  BATCH: (fields) => ({ type: "BATCH", batch: integer(fields, "batch", maxOfferedSockets) }),
  CLAIM: (fields) => ({
    type: "CLAIM",
    taken: integer(fields, "taken", maxOfferedSockets),
    unknown: list(fields, "unknown", maxOfferedSockets, (value) => asInteger(value, "unknown", maxOfferedSockets)),
    missing: list(fields, "missing", maxMissingNames, asText),
  }),
  STATE: (fields) => ({
    type: "STATE",
    index: integer(fields, "index", maxBlobs),
    count: integer(fields, "count", maxBlobs),
    ...(fields.blob === undefined ? {} : { blob: readBlob(asFields(fields.blob, "blob")) }),
  }),
  PREPARING: (fields) => ({
    type: "PREPARING",
    ...(fields.waits === undefined ? {} : { waits: text(fields, "waits") }),
  }),
  ALIVE: () => ({ type: "ALIVE" }),
  READY: (fields) => ({ type: "READY", stopFirst: list(fields, "stopFirst", maxStopFirst, asText) }),
  COMMIT: () => ({ type: "COMMIT" }),
  OWNED: () => ({ type: "OWNED" }),
  PROBATION: () => ({ type: "PROBATION" }),
  FINALIZE: () => ({ type: "FINALIZE" }),
  PROGRESS: (fields) => ({
    type: "PROGRESS",
    report: readReport(asFields(fields.report, "report")),
    ...readOlder(fields),
  }),
  DRAINED: (fields) => ({
    type: "DRAINED",
    report: readReport(asFields(fields.report, "report")),
    ...readOlder(fields),
  }),
  ABORT: (fields) => ({
    type: "ABORT",
    reason: text(fields, "reason"),
    cause: fields.cause === undefined ? "other" : readCause(text(fields, "cause")),
  }),
};

function readFacts(fields: Fields): PeerFacts {
  return {
    generation: integer(fields, "generation"),
    release: text(fields, "release"),
    build: text(fields, "build"),
    pid: integer(fields, "pid"),
    nonce: text(fields, "nonce"),
    slot: text(fields, "slot"),
    attempt: text(fields, "attempt"),
  };
}

/** A column of equal values travels as one value. */
function packed(sockets: SocketColumns): Fields {
  const columns = Object.entries(sockets).map(([field, values]: [string, readonly unknown[]]) => {
    const equal = values.length > 0 && values.every((value) => value === values[0]);
    return [field, equal ? values[0] : values];
  });
  return { count: sockets.name.length, ...Object.fromEntries(columns) };
}

function readSockets(fields: Fields): SocketColumns {
  const count = integer(fields, "count", socketsPerBatch);
  return {
    name: textColumn(fields, "name", count),
    key: textColumn(fields, "key", count),
    family: column(fields, "family", count, asFamily),
    type: column(fields, "type", count, asSocketType),
    address: textColumn(fields, "address", count),
    inode: numberColumn(fields, "inode", count),
    backlog: numberColumn(fields, "backlog", count),
    reusePort: column(fields, "reusePort", count, asFlag),
    listening: column(fields, "listening", count, asFlag),
  };
}

/** So many values, each checked; one value stands for all. */
function column<Value>(
  fields: Fields,
  name: string,
  count: number,
  check: (value: unknown) => Value,
): readonly Value[] {
  const value = fields[name];
  if (!Array.isArray(value)) return count === 0 ? [] : new Array<Value>(count).fill(check(value));
  if (value.length !== count) throw wrong(`column ${name}`, `a list of ${count}`);
  for (const each of value) check(each);
  return value;
}

/** The same, without a call for each of a thousand names. */
function textColumn(fields: Fields, name: string, count: number): readonly string[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length !== count) return column(fields, name, count, asText);
  for (const each of value) if (typeof each !== "string" || each.length > maxHandoverText) asText(each);
  return value;
}

/** The same of numbers. */
function numberColumn(fields: Fields, name: string, count: number): readonly number[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length !== count) return column(fields, name, count, asWhole);
  for (const each of value) if (!Number.isSafeInteger(each) || each <= 0) asWhole(each);
  return value;
}

const families: readonly unknown[] = ["inet", "inet6", "unix"] satisfies OfferedSocket["family"][];
const socketTypes: readonly unknown[] = ["stream", "dgram", "seqpacket"] satisfies OfferedSocket["type"][];

function asFamily(value: unknown): OfferedSocket["family"] {
  if (!families.includes(value)) throw wrong("family of a socket", `one of ${families.join(", ")}`);
  return value as OfferedSocket["family"];
}

function asSocketType(value: unknown): OfferedSocket["type"] {
  if (!socketTypes.includes(value)) throw wrong("type of a socket", `one of ${socketTypes.join(", ")}`);
  return value as OfferedSocket["type"];
}

function asWhole(value: unknown): number {
  return asInteger(value, "a number of a socket", Number.MAX_SAFE_INTEGER);
}

function asFlag(value: unknown): boolean {
  if (typeof value !== "boolean") throw wrong("a flag of a socket", "true or false");
  return value;
}

function readBlob(fields: Fields): StateBlob {
  return {
    name: text(fields, "name"),
    schema: text(fields, "schema"),
    critical: flag(fields, "critical"),
    text: text(fields, "text", maxBlobText),
  };
}

function readReport(fields: Fields): DrainReport {
  const { seconds } = fields;
  if (!isAmount(seconds)) throw wrong("seconds", "a number from 0");
  return {
    drained: integer(fields, "drained"),
    cut: integer(fields, "cut"),
    killed: integer(fields, "killed"),
    open: integer(fields, "open"),
    seconds,
    ...readDeadline(fields),
  };
}

function readDeadline(fields: Fields): { readonly deadlineAt?: number } {
  return fields.deadlineAt === undefined ? {} : { deadlineAt: integer(fields, "deadlineAt") };
}

function readOlder(fields: Fields): { readonly older?: OlderNews } {
  if (fields.older === undefined) return {};
  const older = asFields(fields.older, "older");
  if (older.generations === undefined) throw wrong("older", "a list of generations");
  return {
    older: {
      generations: list(older, "generations", maxOlder, readGeneration),
      lines: list(older, "lines", maxOlder, (value) => asInteger(value, "lines", Number.MAX_SAFE_INTEGER)),
    },
  };
}

function readGeneration(value: unknown): OlderGeneration {
  const fields = asFields(value, "a generation");
  return {
    generation: integer(fields, "generation"),
    release: text(fields, "release"),
    build: text(fields, "build"),
    pid: integer(fields, "pid"),
    ...(fields.connections === undefined ? {} : { connections: integer(fields, "connections") }),
    ...readDeadline(fields),
    ...(fields.line === undefined ? {} : { line: integer(fields, "line") }),
  };
}

function wrong(what: string, wanted: string): HandoverFrameError {
  return new HandoverFrameError(`${what} is not ${wanted}`);
}

function asFields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(what, "an object");
  return value as Fields;
}

function asText(value: unknown): string {
  if (typeof value !== "string" || value.length > maxHandoverText)
    throw wrong("a list's entry", `a text of at most ${maxHandoverText} characters`);
  return value;
}

function text(fields: Fields, name: string, most = maxHandoverText): string {
  const value = fields[name];
  if (typeof value !== "string" || value.length > most) throw wrong(name, `a text of at most ${most} characters`);
  return value;
}

function asInteger(value: unknown, name: string, most: number): number {
  if (!isAmount(value) || !Number.isSafeInteger(value) || value > most)
    throw wrong(name, `an integer from 0 to ${most}`);
  return value;
}

/** -0, which is written as 0, is none. */
function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 && !Object.is(value, -0);
}

function integer(fields: Fields, name: string, most = Number.MAX_SAFE_INTEGER): number {
  return asInteger(fields[name], name, most);
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== "boolean") throw wrong(name, "true or false");
  return value;
}

function oneOf<Word extends string>(fields: Fields, name: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === fields[name]);
  if (found === undefined) throw wrong(name, `one of ${words.join(", ")}`);
  return found;
}

/** A missing list is an empty one. */
function list<Value>(fields: Fields, name: string, most: number, read: (value: unknown) => Value): Value[] {
  const value = fields[name] === undefined ? [] : fields[name];
  if (!Array.isArray(value) || value.length > most) throw wrong(name, `a list of at most ${most}`);
  return value.map(read);
}
