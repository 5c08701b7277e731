import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { descendantsOf, eventually, freePort, type Running, startServer } from "../harness.js";

export interface Stage {
  readonly server: Running;
  readonly port: number;
}

export interface Asked {
  /** the whole answer; rejects when the connection ends without one */
  readonly answer: Promise<string>;
  readonly socket: Socket;
}

/** One request on a connection of its own; the answer's body. */
export function ask(
  at: { readonly port: number; readonly host?: string } | { readonly path: string },
  path = "/",
): Asked {
  const socket = createConnection({ host: "127.0.0.1", ...at });
  const answer = new Promise<string>((done, fail) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    socket.on("error", fail).on("close", () => {
      const at = text.indexOf("\r\n\r\n");
      if (at === -1) fail(new Error(`no answer: ${JSON.stringify(text)}`));
      else done(text.slice(at + 4));
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  });
  answer.catch(() => {});
  return { answer, socket };
}

/** A command of a service, in a folder of its own whose file `hold` is there until the test removes it. */
export type Command = (dir: string, host: string, port: number) => readonly string[];

/** Services `a`, `b`, ... with these commands, each binding `host`, on one listener at `listener`. */
export async function serve(
  commands: readonly Command[],
  { listener = "127.0.0.1", host = listener, more = "" }: { listener?: string; host?: string; more?: string } = {},
): Promise<Stage> {
  const port = await freePort();
  const services = commands.map((command, index) => {
    const argv = JSON.stringify(command("{{dir}}", host, port));
    return `  ${"abcdef"[index]}: { command: ${argv}, listeners: [http]${more} }`;
  });
  const lines = [
    `listeners: { http: { tcp: "${listener}:${port}", passAs: adopt } }`,
    `services:\n${services.join("\n")}`,
    "shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }",
  ];
  const server = startServer(`${lines.join("\n")}\n`, {
    env: { HOME: process.env.HOME ?? "/" },
    before: (dir) => writeFileSync(join(dir, "hold"), ""),
  });
  return { server, port };
}

/** The pid of a service's first process. */
export function pidOf({ server }: Stage, service = "a"): Promise<number> {
  const instances = async () => (await server.status())?.services.find(({ name }) => name === service)?.instances;
  return eventually(async () => (await instances())?.[0]?.pid, { what: `pid of ${service}` });
}

export function treeOf(pid: number): number[] {
  return [pid, ...descendantsOf(pid)];
}

/** The number at which what may be adopted is kept: the first listener's. */
const keptAt = "230";

/** Numbers at which these processes have the socket. */
function numbersOf(pids: readonly number[], inode: string): string[] {
  return pids.flatMap((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
        try {
          return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
        } catch {
          return false;
        }
      });
    } catch {
      return [];
    }
  });
}

/** How many descriptors of these processes are the socket. */
export function holding(pids: readonly number[], inode: string): number {
  return numbersOf(pids, inode).length;
}

/** Whether one of these processes has bound the socket. What only keeps it, as a shell that starts the program does, has not. */
export function hasBound(pids: readonly number[], inode: string): boolean {
  return numbersOf(pids, inode).some((fd) => fd !== keptAt);
}

interface TcpSocket {
  readonly state: string;
  readonly queued: number;
  readonly inode: string;
}

/** The kernel's TCP sockets with this local port. */
function socketsAt(port: number): TcpSocket[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => readFileSync(file, "utf8").split("\n").slice(1));
  return lines.flatMap((line) => {
    const [, local = "", , state = "", queues = "", , , , , inode = ""] = line.trim().split(/\s+/);
    return local.endsWith(wanted) ? [{ state, queued: Number.parseInt(queues.split(":")[1] ?? "0", 16), inode }] : [];
  });
}

/** The inode of the socket that listens at a port of any address. */
export function inodeAt(port: number): string {
  const found = socketsAt(port).find(({ state }) => state === "0A");
  if (found === undefined) throw new Error(`nobody listens at ${port}`);
  return found.inode;
}

/** How many connections wait to be accepted. */
export function waiting(port: number): number {
  return socketsAt(port).find(({ state }) => state === "0A")?.queued ?? 0;
}

/** How many connections have been accepted and are still open. */
export function accepted(port: number): number {
  return socketsAt(port).filter(({ state, inode }) => state === "01" && inode !== "0").length;
}

/** user and system time of these processes, in clock ticks; those that have ended meanwhile use none */
export function ticksOf(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    } catch {
      continue;
    }
    const fields = stat.split(") ")[1]?.split(" ") ?? [];
    sum += Number(fields[11]) + Number(fields[12]);
  }
  return sum;
}
