import { controlClient } from "../adapters/control-client/control-client.js";
import { controlPath } from "../adapters/control-client/control-path.js";
import { EntryError } from "../core/entry-error.js";
import { signalNumbers } from "../core/signals.js";
import { readArguments } from "./arguments.js";
import { bashCompletion } from "./bash-completion.js";
import type { Command, Io } from "./command.js";
import { commandWords } from "./command-words.js";
import { fishCompletion } from "./fish-completion.js";
import { zshCompletion } from "./zsh-completion.js";

const usage = `usage: pingora-entry completion bash|zsh|fish

Prints a completion script for a shell. It completes commands, options and their
values; names of services are asked from the running instance, found by
PINGORA_ENTRY_ADMIN_SOCKET or the default path.

  source <(pingora-entry completion bash)       in ~/.bashrc
  source <(pingora-entry completion zsh)        in ~/.zshrc, after compinit
  pingora-entry completion fish | source        in ~/.config/fish/config.fish
`;

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Somebody waits with a finger on the key. */
const askMs = 500;

/** `all`: every command, in the order in which they are listed. */
export function completionCommand(all: () => Promise<readonly Command[]>): Command {
  return {
    name: "completion",
    summary: "print a completion script for bash, zsh or fish",
    usage,
    async run(args, io) {
      const { words } = readArguments("completion", args, {});
      const [shell = "", ...more] = words;
      // what the scripts call
      if (shell === "services") return await printServices(io);
      if (!isShell(shell) || more.length > 0)
        throw new EntryError("usage", "cannot print a completion script: one of bash, zsh, fish is needed");
      const signals = Object.keys(signalNumbers).map((name) => name.slice(3));
      io.out(shells[shell]((await all()).map(commandWords), signals));
      return 0;
    },
  };
}

function isShell(text: string): text is keyof typeof shells {
  return Object.hasOwn(shells, text);
}

/** Nobody answers: nothing to offer, and no error in the middle of somebody's typing. */
async function printServices(io: Io): Promise<number> {
  try {
    const { services } = await controlClient(controlPath(undefined, io.env)).status(io.signal, askMs);
    io.out(services.map(({ name }) => `${name}\n`).join(""));
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
  }
  return 0;
}
