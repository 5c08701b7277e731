import { shareOutputs } from "../adapters/log/share-outputs.js";
import { EntryError, exitCodes } from "../core/entry-error.js";
import { problemText } from "../core/problem-text.js";
import type { Io } from "./command.js";
import { findCommand } from "./commands.js";

/** Runs the subcommand that argv names and returns the exit code. A user's mistake ends in words, only a bug in a stack trace. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const io: Io = {
    out: (text) => void tolerant(process.stdout, () => abort.abort()).write(text),
    err: (text) => void tolerant(process.stderr, () => {}).write(text),
    env: process.env,
    // asked for late: the first look at process.stdout costs milliseconds that `run` should not wait for
    get colour() {
      return process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "";
    },
    // a terminal that was never told its size has 0
    get width() {
      return process.stdout.columns || 80;
    },
    get height() {
      return process.stdout.rows || 24;
    },
    signal: abort.signal,
  };
  try {
    const { command, args } = await findCommand(argv);
    if (command.name === "run") shareOutputs();
    else for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => abort.abort());
    return await command.run(args, io);
  } catch (error) {
    if (error instanceof EntryError) {
      io.err(problemText("pingora-entry", error));
      return error.exitCode;
    }
    io.err(`pingora-entry: a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return exitCodes.software.code;
  }
}

/** A reader that went away (`| head`) is no error of ours, and nothing to go on for. */
function tolerant(stream: NodeJS.WriteStream, gone: () => void): NodeJS.WriteStream {
  return stream.listenerCount("error") > 0 ? stream : stream.on("error", gone);
}
