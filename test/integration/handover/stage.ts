import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildSync } from "esbuild";
import { type Journal, parseJournal } from "../../../src/core/handover-journal.js";
import type { PeerMessage, PeerOptions } from "./peer.js";

let program: string | undefined;
const running = new Set<ChildProcess>();
const folders = new Set<string>();

/** Below the repository: the addon is found from there. */
function peerProgram(): string {
  if (program !== undefined) return program;
  mkdirSync("build", { recursive: true });
  const folder = mkdtempSync(resolve("build/handover-peer-"));
  folders.add(folder);
  // other users start it, too
  chmodSync(folder, 0o755);
  program = join(folder, "peer.mjs");
  buildSync({
    entryPoints: ["test/integration/handover/peer.ts"],
    outfile: program,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    define: { "process.env.PINGORA_ENTRY_BUNDLED": '"test"' },
  });
  return program;
}

export class Peer {
  readonly process: ChildProcess;
  readonly said: PeerMessage[] = [];
  #more: (() => void)[] = [];

  constructor(options: PeerOptions, how: { readonly uid?: number; readonly command?: readonly string[] } = {}) {
    const [execPath = process.execPath, ...execArgv] = how.command ?? [];
    this.process = fork(peerProgram(), [JSON.stringify(options)], {
      execArgv: execArgv.length > 0 ? [...execArgv, process.execPath] : [],
      execPath,
      ...(how.uid === undefined ? {} : { uid: how.uid, gid: how.uid }),
    });
    running.add(this.process);
    this.process.on("message", (message) => {
      this.said.push(message as PeerMessage);
      for (const more of this.#more.splice(0)) more();
    });
    this.process.on("exit", () => {
      running.delete(this.process);
      for (const more of this.#more.splice(0)) more();
    });
  }

  /** the first message of this step, or of one of these */
  async at(...steps: readonly string[]): Promise<PeerMessage> {
    const timer = setTimeout(() => {
      for (const more of this.#more.splice(0)) more();
    }, 20_000);
    const from = performance.now();
    try {
      for (;;) {
        const found = this.said.find(({ at }) => steps.includes(at));
        if (found) return found;
        const gone = this.process.exitCode !== null || this.process.signalCode !== null;
        if (gone || performance.now() - from > 19_000)
          throw new Error(`not ${steps}, but ${JSON.stringify(this.said)} (exit ${this.process.exitCode})`);
        await new Promise<void>((more) => this.#more.push(more));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  has(step: string): boolean {
    return this.said.some(({ at }) => at === step);
  }

  go(): void {
    this.process.send("go");
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((done) => this.process.once("exit", done));
    this.process.kill(signal);
    if (signal === "SIGKILL") await gone;
  }
}

/** short, so that tests of silence do not take long; every test that is not about silence stays far below them */
export const quick = { heartbeatMs: 50, silenceMs: 400, commitMs: 400, decideMs: 600, helloMs: 1000, leaseMs: 1000 };

export function upgradeDirectory(): string {
  const folder = mkdtempSync(join(tmpdir(), "handover-"));
  folders.add(folder);
  return folder;
}

/** true when somebody holds the listener: the connection is at least queued */
export function isHeld(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  return new Promise((done) => {
    const socket = connect(Number(port), host);
    socket.on("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.on("error", () => done(false));
  });
}

export function journalOf(directory: string): Journal {
  return parseJournal(readFileSync(join(directory, "journal.json"), "utf8")) ?? assert.fail("the journal is damaged");
}

/** failed, superseded, ... of an "ended" message */
export function endOf(message: PeerMessage): string {
  return (message.end as { kind: string }).kind;
}

export function reasonOf(message: PeerMessage): string {
  return (message.end as { reason: string }).reason;
}

export function causeOf(message: PeerMessage): string {
  return (message.end as { cause: string }).cause;
}

export async function sweep(): Promise<void> {
  const all = [...running];
  for (const child of all) child.kill("SIGKILL");
  await Promise.all(
    all.map((child) =>
      child.exitCode !== null || child.signalCode !== null
        ? undefined
        : new Promise((done) => child.once("exit", done)),
    ),
  );
  for (const folder of [...folders]) {
    if (program?.startsWith(folder)) continue;
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

export function removeProgram(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

export async function oldAndNew(
  options: { readonly old?: Partial<PeerOptions>; readonly new?: Partial<PeerOptions> } = {},
): Promise<{ readonly directory: string; readonly old: Peer; readonly new: Peer; readonly address: string }> {
  const directory = upgradeDirectory();
  const old = new Peer({ role: "old", name: "first", directory, times: quick, ...options.old });
  const { address } = await old.at("owner");
  assert.equal(typeof address, "string");
  const candidate = new Peer({ role: "new", name: "second", directory, times: quick, ...options.new });
  return { directory, old, new: candidate, address: String(address) };
}
