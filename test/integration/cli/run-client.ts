import { type ChildProcess, spawn } from "node:child_process";
import { heard, program, type Said } from "../harness.js";

export interface Client {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly ended: Promise<Said>;
}

/** Starts a client command; `socket` undefined leaves the default path. */
export function startClient(socket: string | undefined, args: readonly string[]): Client {
  const env = { PATH: process.env.PATH, ...(socket === undefined ? {} : { PINGORA_ENTRY_ADMIN_SOCKET: socket }) };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  return { child, ...heard(child) };
}

export function runClient(socket: string | undefined, ...args: readonly string[]): Promise<Said> {
  return startClient(socket, args).ended;
}
