import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The binary under test. */
export const binary = resolve(process.env.PINGORA_ENTRY_BIN ?? "dist/bin/pingora-entry");

/** The environment of the tests without what would configure the binary. */
export function cleanEnv(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("PINGORA_ENTRY_"));
  return { ...Object.fromEntries(kept), ASAN_OPTIONS: "detect_leaks=0", ...more };
}

/** Waits until `look` returns something true, and returns that; an error is thrown by the last look. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  what: string | (() => string),
  timeoutMs = 10_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === "string" ? what : what()}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** The command prefix that makes what follows PID 1 of a fresh PID namespace; undefined where that is not allowed. */
export const asPid1: readonly string[] | undefined = [
  ["unshare", "-pf", "--kill-child", "--mount-proc"],
  ["unshare", "-Urpf", "--kill-child", "--mount-proc"],
].find(([program = "", ...args]) => spawnSync(program, [...args, "true"]).status === 0);

export const noPid1 = asPid1 === undefined ? "neither root nor user namespaces are allowed here" : false;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running binary and what it has written so far. */
export interface Running {
  readonly process: ChildProcess;
  /** of the binary itself, seen from here */
  pid(): Promise<number>;
  readonly ended: Promise<Ended>;
  out(): string;
  err(): string;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Directories and processes that `sweep` removes. */
const left = {
  folders: new Set<string>(),
  processes: new Set<ChildProcess>(),
  servers: new Set<Server>(),
  sockets: new Set<Socket>(),
};

/** Ends what a test has left, with all descendants: what runs away from a killed init stays a process of this machine. */
export function sweep(): void {
  const running = [...left.processes].filter((child) => child.exitCode === null && child.signalCode === null);
  const doomed = new Set(running.map((child) => child.pid ?? 0));
  if (doomed.size > 0) {
    const table = processes();
    for (let before = 0; before !== doomed.size; ) {
      before = doomed.size;
      for (const { pid, parent } of table) if (doomed.has(parent)) doomed.add(pid);
    }
  }
  for (const pid of doomed) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone by itself
    }
  }
  for (const socket of left.sockets) socket.destroy();
  for (const server of left.servers) server.close();
  for (const folder of left.folders) rmSync(folder, { recursive: true, force: true });
  left.processes.clear();
  left.servers.clear();
  left.sockets.clear();
  left.folders.clear();
}

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "init-test-"));
  left.folders.add(made);
  return made;
}

export interface RunOptions {
  readonly pid1?: boolean;
  /** as PID 1 without a /proc of its own: with an empty one, or that of the outer namespace */
  readonly proc?: "empty" | "foreign";
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly program?: string;
  readonly stdin?: "pipe" | "ignore";
  /** a program that execs it: prlimit */
  readonly under?: readonly string[];
}

function namespace({ pid1, proc }: RunOptions): readonly string[] {
  if (!pid1) return [];
  if (proc === undefined) return asPid1 ?? [];
  const outer = (asPid1 ?? []).filter((word) => word !== "--mount-proc");
  return proc === "foreign" ? outer : [...outer, "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"];
}

export function run(args: readonly string[], options: RunOptions = {}): Running {
  const argv = [...(options.under ?? []), ...namespace(options), options.program ?? binary, ...args];
  const child = spawn(argv[0] ?? "", argv.slice(1), {
    env: cleanEnv(options.env),
    cwd: options.cwd,
    stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
  });
  left.processes.add(child);
  let out = "";
  let err = "";
  child.stdout?.setEncoding("latin1").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("latin1").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<Ended>((done, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => done({ code, signal }));
  });
  const pid = (): Promise<number> =>
    options.pid1
      ? eventually(() => childrenOf(child.pid ?? 0)[0], "the namespace has a PID 1")
      : Promise.resolve(child.pid ?? 0);
  return {
    process: child,
    pid,
    ended,
    out: () => out,
    err: () => err,
    kill: async (signal) => {
      process.kill(await pid(), signal);
    },
  };
}

export interface Proc {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly command: string;
}

/** The process table, without processes that ended while it was read. */
export function processes(): Proc[] {
  const table: Proc[] = [];
  for (const line of execFileSync("ps", ["-eo", "pid=,stat=,ppid=,pgid=,sid=,args="], { encoding: "utf8" }).split(
    "\n",
  )) {
    const [pid, state, parent, group, session, ...command] = line.trim().split(/\s+/);
    if (pid === undefined || state === undefined) continue;
    table.push({
      pid: Number(pid),
      state,
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      command: command.join(" "),
    });
  }
  return table;
}

export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** The pid that process `pid` has in its own namespace. */
export function innerPid(pid: number): number | undefined {
  try {
    return Number(/NSpid:.*?(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
  } catch {
    return undefined;
  }
}

/** The one-letter state of a process, undefined when it is gone. */
export function stateOf(pid: number): string | undefined {
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1];
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Compiles a small C program once for this test file. */
export function compile(name: string, source: string): string {
  const output = join(folder(), name);
  const compiler = process.env.CC ?? "cc";
  execFileSync(compiler, ["-std=c11", "-O1", "-o", output, "-x", "c", "-"], { input: source });
  return output;
}

export interface Message {
  readonly verb: string;
  readonly fields: readonly string[];
  /** name in the driver -> "port:N" or "text:..." or "" */
  readonly fds: readonly (readonly [string, string])[];
}

function encode(text: string): string {
  let escaped = "";
  for (const byte of Buffer.from(text, "latin1")) {
    escaped +=
      byte < 33 || byte > 126 || byte === 37
        ? `%${byte.toString(16).padStart(2, "0").toUpperCase()}`
        : String.fromCharCode(byte);
  }
  return escaped;
}

function decode(text: string): string {
  return text.replace(/%([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** The driver's end of a test: one supervisor process. */
export class Supervisor {
  readonly pid: number;
  readonly args: readonly string[];
  readonly frames: Message[] = [];
  readonly lines: string[][] = [];
  readonly #socket: Socket;

  constructor(socket: Socket, start: readonly string[]) {
    this.#socket = socket;
    this.pid = Number(start[1]);
    this.args = start.slice(3);
  }

  take(line: string[]): void {
    if (line[0] !== "frame") {
      this.lines.push(line);
      return;
    }
    const fds = (line[1] ?? "")
      .split(",")
      .filter(Boolean)
      .map((text): [string, string] => [text.split("=")[0] ?? "", decode(text.slice(text.indexOf("=") + 1))]);
    this.frames.push({ verb: line[2] ?? "", fields: line.slice(3).map(decode), fds });
  }

  order(...words: readonly string[]): void {
    this.#socket.write(`${words.join("\t")}\n`);
  }

  send(verb: string, fields: readonly (string | number)[] = [], fds: readonly string[] = []): void {
    this.order("send", fds.join(","), ...[verb, ...fields].map((field) => encode(String(field))));
  }

  big(how: "big" | "soft", verb: string, fields: readonly string[], fds: readonly string[] = []): void {
    this.order(how, fds.join(","), ...[verb, ...fields].map(encode));
  }

  raw(bytes: string, fds: readonly string[] = []): void {
    this.order("raw", fds.join(","), encode(bytes));
  }

  /** The next frame with this verb (and first field), which is taken out. */
  async next(verb: string, first?: string, timeoutMs = 10_000): Promise<Message> {
    const matches = (frame: Message) => frame.verb === verb && (first === undefined || frame.fields[0] === first);
    await eventually(
      () => this.frames.some(matches),
      () =>
        `${verb} ${first ?? ""}; came: ${this.frames.map((frame) => [frame.verb, ...frame.fields].join(" ")).join(" | ")}`,
      timeoutMs,
    );
    return this.frames.splice(this.frames.findIndex(matches), 1)[0] as Message;
  }

  async line(word: string, first?: string): Promise<string[]> {
    const matches = (line: string[]) => line[0] === word && (first === undefined || line[1] === first);
    await eventually(() => this.lines.some(matches), `the driver says ${word} ${first ?? ""}`);
    return this.lines.splice(this.lines.findIndex(matches), 1)[0] as string[];
  }

  /** HELLO and all that follows it. */
  async greet(): Promise<{ welcome: Message; sync: Message[] }> {
    this.send("HELLO", [1]);
    const welcome = await this.next("WELCOME");
    await this.next("SYNCED");
    const sync = this.frames.filter((frame) => frame.verb === "SYNC");
    for (const frame of sync) this.frames.splice(this.frames.indexOf(frame), 1);
    return { welcome, sync };
  }

  /** Spawns `argv` with the environment of PATH only, unless `fields` say more. */
  async spawn(
    id: string,
    argv: readonly string[],
    fields: readonly string[] = [],
    fds: readonly string[] = [],
  ): Promise<number> {
    this.send("SPAWN", [id, ...fields, `e=PATH=${process.env.PATH}`, ...argv.map((word) => `a=${word}`)], fds);
    const answer = await eventually(
      () => this.frames.find((frame) => frame.verb.startsWith("SPAWN") && frame.fields[0] === id),
      `an answer to SPAWN ${id}`,
    );
    this.frames.splice(this.frames.indexOf(answer), 1);
    if (answer.verb !== "SPAWNED") throw new Error([answer.verb, ...answer.fields].join(" "));
    return Number(answer.fields[1]);
  }

  /** What is written to the pipe `name.r` until its end, or for 2 s. */
  async read(name: string): Promise<string> {
    this.order("read", name);
    return decode((await this.line("read", name))[2] ?? "");
  }

  #tickets = 0;
  async signal(id: string, number: number, scope: string): Promise<number> {
    const ticket = String(++this.#tickets);
    this.send("SIGNAL", [ticket, id, number, scope]);
    return Number((await this.next("SIGNALLED", ticket)).fields[1]);
  }

  leave(code: number): void {
    this.order("exit", String(code));
  }
}

let driver: string | undefined;

function compiledDriver(): string {
  driver ??= (() => {
    const output = join(mkdtempSync(join(tmpdir(), "init-driver-")), "driver");
    execFileSync(process.env.CC ?? "cc", ["-std=c11", "-O1", "-o", output, resolve("test/integration/init/driver.c")]);
    process.on("exit", () => rmSync(resolve(output, ".."), { recursive: true, force: true }));
    return output;
  })();
  return driver;
}

/** The binary with a Node that is our driver; `supervisor` gives each started one in turn. */
export class Stage {
  readonly home: string;
  readonly running: Running;
  readonly #connected: Supervisor[] = [];

  private constructor(home: string, running: Running, connected: Supervisor[]) {
    this.home = home;
    this.running = running;
    this.#connected = connected;
  }

  static async open(args: readonly string[] = ["run"], options: RunOptions = {}): Promise<Stage> {
    const home = folder();
    const program = join(home, "pingora-entry");
    copyFileSync(binary, program);
    copyFileSync(compiledDriver(), join(home, "node"));
    for (const file of [program, join(home, "node")]) chmodSync(file, 0o755);
    writeFileSync(join(home, "pingora-entry.cjs"), "");
    const path = join(home, "control");
    const connected: Supervisor[] = [];
    const server = createServer((socket) => listenTo(socket, connected));
    left.servers.add(server);
    await new Promise<void>((done) => server.listen(path, done));
    const running = run(args, {
      ...options,
      program,
      env: { ...options.env, ...(options.proc && { PINGORA_ENTRY_HOME: home }), TEST_SOCKET: path },
    });
    return new Stage(home, running, connected);
  }

  async supervisor(timeoutMs = 10_000): Promise<Supervisor> {
    await eventually(
      () => this.#connected.length > 0,
      () => `a supervisor is started; stderr: ${this.running.err()}`,
      timeoutMs,
    );
    return this.#connected.shift() as Supervisor;
  }

  get waiting(): number {
    return this.#connected.length;
  }
}

function listenTo(socket: Socket, connected: Supervisor[]): void {
  let text = "";
  let supervisor: Supervisor | undefined;
  left.sockets.add(socket);
  socket.setEncoding("latin1");
  socket.on("error", () => {});
  socket.on("data", (more: string) => {
    text += more;
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines.map((whole) => whole.split("\t"))) {
      if (supervisor === undefined) {
        supervisor = new Supervisor(socket, line);
        connected.push(supervisor);
      } else {
        supervisor.take(line);
      }
    }
  });
}

/** Sanitizers need memory of their own: sizes mean nothing then. */
export const sanitized = existsSync(binary) && readFileSync(binary).includes("__asan_init") && "built with sanitizers";

export const missingBinary = existsSync(binary) ? false : `${binary} is not built: npm run setup`;

/** Starts a line for `asking` and waits for its supervisor, which has not said HELLO. */
export async function successor(
  stage: Stage,
  asking: Supervisor,
  name: string,
): Promise<{ readonly number: string; readonly supervisor: Supervisor }> {
  asking.send("SUCCESSOR", [
    `a=${join(stage.home, "node")}`,
    `a=${name}`,
    `e=TEST_SOCKET=${join(stage.home, "control")}`,
  ]);
  const [number = "", pid] = (await asking.next("STARTED")).fields;
  const supervisor = await stage.supervisor();
  assert.deepEqual(supervisor.args, [name]);
  assert.equal(supervisor.pid, Number(pid));
  return { number, supervisor };
}

/** Whether nobody listens at this port of 127.0.0.1. */
export function refused(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      done(false);
    });
    socket.on("error", () => done(true));
  });
}
