import { controlClient } from "../adapters/control-client/control-client.js";
import { controlPath } from "../adapters/control-client/control-path.js";
import { EntryError } from "../core/entry-error.js";
import { signalName, signalNumbers } from "../core/signals.js";
import { suggest } from "../core/suggest.js";
import { readArguments } from "./arguments.js";
import type { Command } from "./command.js";
import { forEachService } from "./operate-services.js";

const usage = `usage: pingora-entry signal [--group|--tree] [--socket PATH] SIGNAL SERVICE...

Sends a signal (HUP, SIGHUP, 1, RTMIN+3) to the process of each service, and
prints how many processes it reached. What becomes of the service is its own
affair: one that ends by it is treated as any that ended by itself.

      --group         to the whole process group
      --tree          to every process of the service, also those that went away
                      into sessions of their own
      --socket PATH   control socket (default: PINGORA_ENTRY_ADMIN_SOCKET, else
                      /run/pingora-entry/control.sock)

Exit code: 0 when every service was reached; 1 when one has no process; 64
unknown service or signal; 69 no instance answers.
`;

export const signalCommand: Command = {
  name: "signal",
  summary: "send a signal to services",
  usage,
  async run(args, io) {
    const { values, words } = readArguments("signal", args, {
      group: { type: "boolean" },
      tree: { type: "boolean" },
      socket: { type: "string" },
    });
    const [word, ...services] = words;
    if (values.group === true && values.tree === true)
      throw new EntryError("usage", "cannot use both --group and --tree: one of them is needed");
    if (word === undefined || services.length === 0) {
      throw new EntryError(
        "usage",
        "cannot send a signal: SIGNAL and SERVICE are needed; see pingora-entry help signal",
      );
    }
    const name = signalName(word);
    if (name === undefined) throw unknownSignal(word);
    const scope = values.tree === true ? "tree" : values.group === true ? "group" : "child";
    const client = controlClient(controlPath(values.socket, io.env));
    return await forEachService(services, io, async (service) => {
      const reached = await client.signalService(service, name, scope, io.signal);
      return `${name} reached ${reached} process${reached === 1 ? "" : "es"}`;
    });
  },
};

function unknownSignal(word: string): EntryError {
  const near = suggest(
    word.toUpperCase().replace(/^SIG/, ""),
    Object.keys(signalNumbers).map((each) => each.slice(3)),
  );
  return new EntryError("usage", `unknown signal "${word}"${near === undefined ? "" : `; did you mean "${near}"?`}`);
}
