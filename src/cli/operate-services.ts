import { type ControlClient, controlClient } from "../adapters/control-client/control-client.js";
import { controlPath } from "../adapters/control-client/control-path.js";
import { EntryError, exitCodes } from "../core/entry-error.js";
import { readArguments } from "./arguments.js";
import type { Command, Io } from "./command.js";
import { durationText } from "./duration-text.js";
import { interrupted } from "./interrupted.js";

/**
 * Does one thing to each of several services at once and prints each result as it comes. Resolves to 0 when all succeeded, otherwise
 * to the worst code: nobody answers, wrong name, refused.
 */
export async function forEachService(
  services: readonly string[],
  io: Io,
  act: (service: string) => Promise<string>,
): Promise<number> {
  const codes = await Promise.all(
    services.map(async (service) => {
      try {
        io.out(`${service}: ${await act(service)}\n`);
        return exitCodes.ok.code;
      } catch (error) {
        if (io.signal.aborted) return interrupted;
        if (!(error instanceof EntryError)) throw error;
        // the same for every service: said once, by the caller
        if (error.reason === "unavailable") throw error;
        io.err(`pingora-entry: ${error.message}\n`);
        return error.exitCode;
      }
    }),
  );
  return Math.max(...codes);
}

/** `start`, `stop` and `restart`: the same command but for its verb. */
export function operateCommand(
  name: "start" | "stop" | "restart",
  done: string,
  about: Pick<Command, "summary" | "usage">,
): Command {
  return {
    name,
    ...about,
    async run(args, io) {
      const { values, words } = readArguments(name, args, { socket: { type: "string" } });
      if (words.length === 0)
        throw new EntryError("usage", `cannot ${name}: no SERVICE was named; see pingora-entry help ${name}`);
      const client: ControlClient = controlClient(controlPath(values.socket, io.env));
      return await forEachService(words, io, async (service) => {
        const from = performance.now();
        await client.operate(service, name, io.signal);
        const tookMs = performance.now() - from;
        return tookMs < 1_000 ? done : `${done} after ${durationText(tookMs)}`;
      });
    },
  };
}

/** The lines of usage that start, stop and restart share. */
export const socketUsage = `      --socket PATH   control socket (default: PINGORA_ENTRY_ADMIN_SOCKET, else
                      /run/pingora-entry/control.sock)

Exit code: 0 when all succeeded; 1 refused or failed; 64 unknown service;
69 no instance answers.
`;
