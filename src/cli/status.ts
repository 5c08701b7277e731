import { type ControlClient, controlClient } from "../adapters/control-client/control-client.js";
import { controlPath } from "../adapters/control-client/control-path.js";
import { EntryError } from "../core/entry-error.js";
import { readArguments } from "./arguments.js";
import type { Command } from "./command.js";
import { statusLines } from "./status-text.js";
import { watchStatus } from "./watch-status.js";

const usage = `usage: pingora-entry status [--watch] [--json] [--socket PATH]

Shows the running instance: its phase, whether it is ready, every service with
its state, restarts, process and reason; while it stops, the shutdown plan with
what is left of it.

  -w, --watch         stay and show every change: redrawn on a terminal, one
                      line per change elsewhere; ends with the instance
      --json          the snapshot as JSON (docs/reference/status.schema.json);
                      with --watch one snapshot per line
      --socket PATH   control socket (default: PINGORA_ENTRY_ADMIN_SOCKET, else
                      /run/pingora-entry/control.sock)

Exit code: 0; 69 when no instance answers. Use \`pingora-entry healthcheck\` to
ask whether it is ready.
`;

export const statusCommand: Command = {
  name: "status",
  summary: "show phase, readiness and every service; --watch to stay",
  usage,
  async run(args, io) {
    const { values, words } = readArguments("status", args, {
      json: { type: "boolean" },
      watch: { type: "boolean", short: "w" },
      socket: { type: "string" },
    });
    if (words.length > 0)
      throw new EntryError("usage", `cannot use "${words[0]}": status takes no words; see pingora-entry help status`);
    const client: ControlClient = controlClient(controlPath(values.socket, io.env));
    if (values.watch === true) return await watchStatus(client, values.json === true, io);
    const snapshot = await client.status(io.signal);
    if (values.json === true) io.out(`${JSON.stringify(snapshot, null, 2)}\n`);
    else {
      const look = { now: Date.now(), colours: io.colour, ...(io.colour ? { width: io.width } : {}) };
      io.out(`${statusLines(snapshot, look).join("\n")}\n`);
    }
    return 0;
  },
};
