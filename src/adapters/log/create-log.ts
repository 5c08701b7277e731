import pino from "pino";
import { isoTime } from "../../core/iso-time.js";
import type { LogSpec } from "../../core/plan.js";
import type { Log } from "../../runtime/ports.js";
import type { BoundedWriter } from "./bounded-writer.js";
import { prettyLine } from "./pretty-line.js";

export interface LogParts extends LogSpec {
  readonly writer: BoundedWriter;
  /** added to every line, as they are at that moment */
  readonly fields: () => Readonly<Record<string, unknown>>;
}

/** Lines of JSON, or for people when the output is a terminal. Never blocks; a reader that stalls costs lines, which are counted. */
export function createLog({ level, format, writer, fields }: LogParts): Log {
  const pretty = format === "pretty" || (format === "auto" && writer.colour);
  let reported = 0;
  const put = (line: string): void => {
    const text = pretty ? prettyLine(JSON.parse(line) as Record<string, unknown>, writer.colour) : line;
    const accepted = writer.write(Buffer.from(text));
    if (!accepted || writer.dropped === reported) return;
    const bytes = writer.dropped - reported;
    reported = writer.dropped;
    base.warn({ bytes }, "some lines were dropped: nobody read this output");
  };
  const base: pino.Logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${isoTime(Date.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
      errorKey: "err",
      mixin: () => fields(),
    },
    { write: put },
  );
  return wrap(base, writer);
}

function wrap(logger: pino.Logger, writer: BoundedWriter): Log {
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields), writer),
    flush: () => writer.flush(),
  };
}
