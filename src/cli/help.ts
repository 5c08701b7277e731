import { EntryError } from "../core/entry-error.js";
import { suggest } from "../core/suggest.js";
import { readArguments } from "./arguments.js";
import type { Command } from "./command.js";

const usage = `usage: pingora-entry help [COMMAND]

Shows what there is, or all about one command; \`pingora-entry COMMAND --help\` is
the same. \`help wrap\` is about running one command with nothing configured.
`;

/** `all`: every command, in the order in which they are listed. */
export function helpCommand(all: () => Promise<readonly Command[]>): Command {
  return {
    name: "help",
    summary: "show this, or all about one command",
    usage,
    async run(args, io) {
      const commands = await all();
      const { values, words } = readArguments("help", args, { help: { type: "boolean", short: "h" } });
      const [name = values.help === true ? "help" : undefined, more] = words;
      if (more !== undefined) throw new EntryError("usage", `cannot use "${more}": help is about one command`);
      if (name === undefined) {
        io.out(overview(commands));
        return 0;
      }
      const command = commands.find((each) => each.name === name);
      if (command === undefined)
        throw unknownCommand(
          name,
          commands.map((each) => each.name),
        );
      io.out(command.usage);
      return 0;
    },
  };
}

export function unknownCommand(name: string, known: readonly string[]): EntryError {
  const near = suggest(name, known);
  const hint = near === undefined ? "see pingora-entry help" : `did you mean "${near}"?`;
  return new EntryError("usage", `unknown command "${name}"; ${hint}`);
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands
    .filter(({ name }) => name !== "wrap")
    .map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `usage: pingora-entry [-c FILE|DIR]... [options] [--] [CMD ARGS...]
       pingora-entry COMMAND [options]

${rows.join("\n")}

Without COMMAND it runs what is configured; CMD becomes the service "main". With
nothing configured it is an init for CMD: see pingora-entry help wrap.
`;
}
