import type { Command } from "./command.js";

/** The subcommand that argv names, and what follows it. Each is loaded only when it is asked for. */
export async function findCommand(argv: readonly string[]): Promise<{ readonly command: Command; readonly args: readonly string[] }> {
  const [name, ...args] = argv;
  if (name === "run") return { command: (await import("./run.js")).runCommand, args };
  throw new TypeError(`unknown ${name}`);
}
