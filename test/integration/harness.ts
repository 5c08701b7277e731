import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { constants, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Snapshot } from "../../src/core/snapshot.js";

/** The program under test; PINGORA_ENTRY_BIN names another build (sanitizers). */
export const program = resolve(process.env.PINGORA_ENTRY_BIN ?? "dist/bin/pingora-entry");

/** Asks until the answer is truthy; fails with the last one. The only way a test waits. */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  { timeoutMs = 10_000, what = "condition" }: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > deadline) throw new Error(`${what} did not come true within ${timeoutMs} ms`);
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

/** What a child has written, until now and to its end. Its outputs are pipes. */
export function heard(child: ChildProcess): { readonly out: () => string; readonly ended: Promise<Said> } {
  let [out, err] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<Said>((done) => child.on("close", (code) => done({ code, out, err })));
  return { out: () => out, ended };
}

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The test service, compiled once: see test/fixtures/service.c. */
export function serviceProgram(): string {
  const source = resolve("test/fixtures/service.c");
  const output = resolve("build/fixtures/service");
  if (existsSync(output) && statSync(output).mtimeMs >= statSync(source).mtimeMs) return output;
  mkdirSync(resolve("build/fixtures"), { recursive: true });
  const made = `${output}.${process.pid}`;
  execFileSync(process.env.CC ?? "cc", ["-std=c11", "-O2", "-o", made, source]);
  execFileSync("mv", [made, output]);
  return output;
}

/** A TCP port of 127.0.0.1 that nobody uses, below those that the kernel gives to clients: none takes it before the test does. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const free = await new Promise<boolean>((done) => {
      const server = createServer().once("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (free) return port;
  }
}

export interface ServiceLine {
  readonly name: string;
  readonly event: string;
  /** CLOCK_MONOTONIC ms */
  readonly at: number;
  readonly pid: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A running program in a folder of its own, with a control socket there. */
export class Running {
  readonly dir: string;
  readonly child: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly inNamespace: boolean;
  stdout = "";
  stderr = "";

  constructor(dir: string, command: readonly string[], env: NodeJS.ProcessEnv, outputs?: number) {
    this.dir = dir;
    this.inNamespace = command[0] === "unshare";
    const [file = "", ...args] = command;
    this.child = spawn(file, args, { cwd: dir, env, stdio: ["ignore", outputs ?? "pipe", outputs ?? "pipe"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((done) => this.child.on("close", (code, signal) => done({ code, signal })));
  }

  get socket(): string {
    return join(this.dir, "control.sock");
  }

  /** One request over the control socket; status 0 when nobody answers. */
  ask(path: string, method = "GET"): Promise<Answer> {
    return new Promise((done) => {
      const call = request({ socketPath: this.socket, path, method, timeout: 5_000 }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => {
          body += text;
        });
        response.on("end", () => done({ status: response.statusCode ?? 0, body }));
        response.on("error", () => done({ status: 0, body }));
      });
      call.on("timeout", () => call.destroy());
      call.on("error", () => done({ status: 0, body: "" }));
      call.end();
    });
  }

  async status(): Promise<Snapshot | undefined> {
    const { status, body } = await this.ask("/status");
    return status === 200 ? (JSON.parse(body) as Snapshot) : undefined;
  }

  phase(name: string, timeoutMs = 15_000): Promise<Snapshot> {
    return eventually(
      async () => {
        const snapshot = await this.status();
        return snapshot?.phase === name ? snapshot : undefined;
      },
      { timeoutMs, what: `phase ${name}` },
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.stderr}`);
    });
  }

  /** What the test services said, in the order of their clocks. */
  lines(): ServiceLine[] {
    const file = join(this.dir, "log");
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [name = "", event = "", at, pid] = line.split(" ");
        return { name, event, at: Number(at), pid: Number(pid) };
      })
      .sort((a, b) => a.at - b.at);
  }

  /** The pid of the supervisor: the init's child that runs Node. */
  supervisor(): number | undefined {
    return childrenOf(this.initPid()).find((pid) => commandOf(pid).includes("pingora-entry.cjs"));
  }

  /** The pid of the init, seen from outside its namespace. */
  initPid(): number {
    const pid = this.child.pid ?? 0;
    return this.inNamespace ? (childrenOf(pid)[0] ?? 0) : pid;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.inNamespace) kill(this.initPid(), signal);
    else this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      for (const pid of descendantsOf(this.initPid())) kill(pid);
      this.child.kill("SIGKILL");
    }
    await this.exited;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {}
}

/** Whether accept(2) waits at the first socket that a service was passed: a flag of the socket, for all who have it. Undefined: it does not run. */
export function blocks(pid = 0): boolean | undefined {
  if (!existsSync(`/proc/${pid}/fdinfo/3`)) return undefined;
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/3`, "utf8"))?.[1] ?? "";
  return (Number.parseInt(flags, 8) & constants.O_NONBLOCK) === 0;
}

export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly before?: (dir: string) => void;
  /** as PID 1 of a namespace of its own; see canBePid1 */
  readonly pid1?: boolean;
  /** a descriptor to be its stdout and stderr; then nothing is collected */
  readonly outputs?: number;
  /** a program that execs it: setpriv, prlimit */
  readonly under?: readonly string[];
}

const unshare = [
  "unshare",
  ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"]),
  "--pid",
  "--fork",
  "--mount-proc",
  "--kill-child",
];

/** Undefined when a process can be PID 1 of a new namespace here; else the reason why a test of it has to be left out. */
export function cannotBePid1(): string | undefined {
  try {
    execFileSync(unshare[0] ?? "", [...unshare.slice(1), "true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs root or user namespaces to be PID 1";
  }
}

const admin = (dir: string): string =>
  `admin: { tcp: "off", socket: ${join(dir, "control.sock")} }\nlog: { format: json, level: debug }\n`;

/** `{{service}}` in the text becomes the test service with its log file, `{{dir}}` the folder. */
export function startServer(
  config: string,
  { env = {}, args = [], before, pid1 = false, outputs, under = [] }: StartOptions = {},
): Running {
  const dir = mkdtempSync(join(tmpdir(), "pe-"));
  before?.(dir);
  const text = config
    .replaceAll("{{service}}", `${serviceProgram()}, -l, ${join(dir, "log")}`)
    .replaceAll("{{dir}}", dir);
  const file = join(dir, "config.yaml");
  writeFileSync(file, /^admin:/m.test(text) ? text : admin(dir) + text);
  const command = [...under, ...(pid1 ? unshare : []), program, "run", "-c", file, ...args];
  return new Running(dir, command, { PATH: process.env.PATH, ...env }, outputs);
}
