import { type ChildProcess, spawn } from "node:child_process";
import { program } from "../harness.js";

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Client {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly ended: Promise<Said>;
}

/** Starts a client command; `socket` undefined leaves the default path. */
export function startClient(socket: string | undefined, args: readonly string[]): Client {
  const env = { PATH: process.env.PATH, ...(socket === undefined ? {} : { PINGORA_ENTRY_ADMIN_SOCKET: socket }) };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<Said>((resolve) => child.on("close", (code) => resolve({ code, out, err })));
  return { child, out: () => out, ended };
}

export function runClient(socket: string | undefined, ...args: readonly string[]): Promise<Said> {
  return startClient(socket, args).ended;
}
