import { shareOutputs } from "../adapters/log/share-outputs.js";
import { EntryError, exitCodes } from "../core/entry-error.js";
import { problemText } from "../core/problem-text.js";
import type { Io } from "./command.js";
import { findCommand } from "./commands.js";
import { interrupted } from "./interrupted.js";

/** Runs the subcommand that argv names and returns the exit code. A user's mistake ends in words, only a bug in a stack trace. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const output = outputOf(() => abort.abort());
  const io: Io = {
    out: output.write,
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
    const code = await command.run(args, io);
    await output.written();
    return code;
  } catch (error) {
    if (error instanceof EntryError) {
      io.err(problemText("pingora-entry", error));
      return error.exitCode;
    }
    if (abort.signal.aborted && (error as Error).name === "AbortError") return interrupted;
    io.err(`pingora-entry: a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return exitCodes.software.code;
  }
}

/** stdout; `gone` is called when nothing more can be written. `written` waits for all of it, and throws EntryError os for what a full disk took. */
function outputOf(gone: () => void): { readonly write: (text: string) => void; readonly written: () => Promise<void> } {
  let last = Promise.resolve<Error | null | undefined>(undefined);
  return {
    write(text) {
      const done = new Promise<Error | null | undefined>((resolve) =>
        tolerant(process.stdout, gone).write(text, resolve),
      );
      last = Promise.all([last, done]).then(([before, now]) => before ?? now);
    },
    async written() {
      const error = await last;
      if (!error || (error as { code?: string }).code === "EPIPE") return;
      throw new EntryError("os", `cannot write the output: ${error.message.replace(/^[A-Z]+: (.*), write$/, "$1")}`);
    },
  };
}

/** A reader that went away (`| head`) is no error of ours, and nothing to go on for. */
function tolerant(stream: NodeJS.WriteStream, gone: () => void): NodeJS.WriteStream {
  return stream.listenerCount("error") > 0 ? stream : stream.on("error", gone);
}
