import type { Command } from "./command.js";
import { helpCommand, unknownCommand } from "./help.js";

/** Every subcommand in the order of `help`. Each is loaded only when it is asked for. */
const table: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./run.js")).runCommand,
  check: async () => (await import("./check.js")).checkCommand,
  graph: async () => (await import("./graph.js")).graphCommand,
  status: async () => (await import("./status.js")).statusCommand,
  logs: async () => (await import("./logs.js")).logsCommand,
  start: async () => (await import("./start.js")).startCommand,
  stop: async () => (await import("./stop.js")).stopCommand,
  restart: async () => (await import("./restart.js")).restartCommand,
  signal: async () => (await import("./signal.js")).signalCommand,
  upgrade: async () => (await import("./upgrade.js")).upgradeCommand,
  prestop: async () => (await import("./native-commands.js")).prestopCommand,
  healthcheck: async () => (await import("./native-commands.js")).healthcheckCommand,
  phase: async () => (await import("./native-commands.js")).phaseCommand,
  wrap: async () => (await import("./native-commands.js")).wrapCommand,
  completion: async () => (await import("./completion.js")).completionCommand(allCommands),
  version: async () => (await import("./version.js")).versionCommand,
  help: () => Promise.resolve(helpCommand(allCommands)),
};

/** All subcommands, for help, completion and the reference. */
export function allCommands(): Promise<readonly Command[]> {
  return Promise.all(Object.values(table).map((load) => load()));
}

/**
 * The subcommand that argv names, and what follows it; `--help` among its options is `help NAME`, no argument at all is `help`.
 * @throws EntryError usage: there is no such subcommand, with the one that was probably meant
 */
export async function findCommand(
  argv: readonly string[],
): Promise<{ readonly command: Command; readonly args: readonly string[] }> {
  const [name = "help", ...args] = argv;
  if (name === "--help" || name === "-h") return { command: helpCommand(allCommands), args: [] };
  if (name === "--version") return await findCommand(["version", ...args]);
  const load = Object.hasOwn(table, name) ? table[name] : undefined;
  if (load === undefined) throw unknownCommand(name, Object.keys(table));
  if (name !== "help" && asksForHelp(name, args)) return { command: helpCommand(allCommands), args: [name] };
  return { command: await load(), args };
}

/** What follows `--`, and for `run` what follows the first word that is none of its options, belongs to CMD. */
function asksForHelp(name: string, args: readonly string[]): boolean {
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? "";
    if (word === "--help" || word === "-h") return true;
    if (word === "--" || (name === "run" && !word.startsWith("-"))) return false;
    if (word === "-c" || word === "--conf") index += 1;
  }
  return false;
}
