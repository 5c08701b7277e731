import pino from "pino";
import { EntryError } from "../../core/entry-error.js";
import type { LogSpec } from "../../core/plan.js";
import type { Log } from "../../runtime/ports.js";
import type { BoundedWriter } from "./bounded-writer.js";
import { hideSecrets } from "./hide-secrets.js";
import { prettyLine } from "./pretty-line.js";

export interface LogParts extends LogSpec {
  readonly writer: Pick<BoundedWriter, "write" | "flush" | "onGap" | "colour">;
  /** added to every line, as they are at that moment */
  readonly fields: () => Readonly<Record<string, unknown>>;
}

/**
 * One line of JSON per event, or one for people when the output is a terminal:
 *
 *     {"level":"info","time":"2025-01-31T12:00:00.000Z","logger":"pingora-entry","phase":"Running","service":"web","message":"..."}
 *
 * A line is out when the call returns, or held back by the writer: nothing is lost when this process is killed while its output is read.
 */
export function createLog({ level, format, writer, fields }: LogParts): Log {
  const pretty = format === "pretty" || (format === "auto" && writer.colour);
  const words = (line: string): string =>
    pretty ? prettyLine(JSON.parse(line) as Record<string, unknown>, writer.colour) : line;
  let put = (line: string): void => void writer.write(Buffer.from(words(line)));
  const options: pino.LoggerOptions = {
    level,
    base: { logger: "pingora-entry" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: hideSecrets },
    messageKey: "message",
    serializers: { err: errorFields },
    mixin: () => fields(),
  };
  const logger = pino(options, { write: (line) => put(line) });
  writer.onGap((lines) => {
    const before = put;
    let said = "";
    put = (line) => {
      said = words(line);
    };
    logger.warn({ lines }, `${lines} lines were dropped here: nobody read this output`);
    put = before;
    return Buffer.from(said);
  });
  return wrap(logger, writer);
}

function wrap(logger: pino.Logger, writer: Pick<BoundedWriter, "flush">): Log {
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields), writer),
    flush: () => writer.flush(),
  };
}

/** An expected failure in words; a bug with its stack and what caused it. */
function errorFields(error: unknown): unknown {
  if (error instanceof EntryError) {
    const { name, reason, message, problems } = error;
    return { type: name, reason, message, ...(problems.length === 0 ? {} : { problems }) };
  }
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause: errorFields(cause) }) };
}
