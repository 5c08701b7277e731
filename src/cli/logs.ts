import { type ControlClient, controlClient, type LogQuery } from "../adapters/control-client/control-client.js";
import { controlPath } from "../adapters/control-client/control-path.js";
import { EntryError } from "../core/entry-error.js";
import type { OutputLine } from "../runtime/ports.js";
import { readArguments, readCount } from "./arguments.js";
import type { Command } from "./command.js";
import { reconnectMs, retryMs } from "./watch-status.js";

const usage = `usage: pingora-entry logs [-f] [-n N] [-t] [--json] [--socket PATH] [SERVICE]

Shows the last lines that services wrote to stdout and stderr; of all services,
each line with its name, when none is named. Only what passed through
pingora-entry is known: services with \`output: prefix\` or \`json\`, or with a log
probe. What a service with \`output: inherit\` writes goes straight to the
container's log.

  -f, --follow        stay and show new lines, until interrupted or the instance
                      ends
  -n, --tail N        so many of the last lines at most (default 100)
  -t, --timestamps    begin every line with its time
      --json          JSON: at (ms since 1970), service, id, stream, text
      --socket PATH   control socket (default: PINGORA_ENTRY_ADMIN_SOCKET, else
                      /run/pingora-entry/control.sock)

Exit code: 0; 64 unknown service; 69 no instance answers, or none any more.
`;

export const logsCommand: Command = {
  name: "logs",
  summary: "show the last output of services; -f to follow",
  usage,
  async run(args, io) {
    const { values, words } = readArguments("logs", args, {
      follow: { type: "boolean", short: "f" },
      tail: { type: "string", short: "n", default: "100" },
      timestamps: { type: "boolean", short: "t" },
      json: { type: "boolean" },
      socket: { type: "string" },
    });
    const [service, more] = words;
    if (more !== undefined)
      throw new EntryError("usage", `cannot use "${more}": logs shows one service, or all when none is named`);
    const tail = readCount(values.tail, "--tail");
    const follow = values.follow === true;
    const query = { tail, follow, ...(service === undefined ? {} : { service }) };
    const show = (line: OutputLine): string => {
      if (values.json === true) return JSON.stringify(line);
      const time = values.timestamps === true ? `${new Date(line.at).toISOString()} ` : "";
      return `${time}${service === undefined ? `[${line.service}] ` : ""}${line.text}`;
    };
    let shown = 0;
    try {
      for await (const line of lines(controlClient(controlPath(values.socket, io.env)), query, io.signal)) {
        io.out(`${show(line)}\n`);
        shown += 1;
      }
    } catch (error) {
      if (!io.signal.aborted) throw error;
    }
    if (shown === 0 && tail > 0 && !follow)
      io.err("pingora-entry: no line is kept; see pingora-entry help logs for which output is\n");
    return 0;
  },
};

/** Who follows goes on with the next supervisor when this one dies: it tells the lines that have come since. */
async function* lines(client: ControlClient, query: LogQuery, signal: AbortSignal): AsyncGenerator<OutputLine> {
  let asked = query;
  let last = 0;
  for (let lostAt = Number.NEGATIVE_INFINITY; ; ) {
    try {
      for await (const line of client.logs(asked, signal, () => {
        lostAt = Number.NaN;
      })) {
        // told already: it was the connection that was lost, not the supervisor
        if (asked !== query && line.at <= last) continue;
        last = Math.max(last, line.at);
        yield line;
      }
      return;
    } catch (error) {
      if (signal.aborted || !query.follow || !(error instanceof EntryError && error.reason === "unavailable"))
        throw error;
      if (Number.isNaN(lostAt)) lostAt = performance.now();
      if (performance.now() - lostAt > reconnectMs) throw error;
    }
    asked = { ...query, tail: 100_000 };
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}
