import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { eventually } from "../harness.js";

export const web = resolve("test/fixtures/web.mjs");
const imitationScript = resolve("test/fixtures/pingora-imitation.mjs");

/** A folder for sockets, with a short path. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "pw-"));

  at(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A process that is killed at the end of the test. */
export class Companion {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  out = "";

  constructor(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const [file = "", ...args] = command;
    this.child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.out += text;
      });
    this.exited = new Promise((done) => this.child.on("close", (code) => done(code)));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  said(text: string, timeoutMs = 10_000): Promise<unknown> {
    return eventually(() => this.out.includes(text), { what: `"${text}" among ${this.out}`, timeoutMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** test/fixtures/pingora-imitation.mjs */
export function imitation(...args: readonly string[]): Companion {
  return new Companion([process.execPath, imitationScript, ...args]);
}

export interface PingoraStart {
  readonly upgrade?: boolean;
  /** what it answers with */
  readonly generation: string;
  readonly listeners: readonly string[];
  readonly sock: string;
}

/** A real pingora: short grace times, one thread. */
export function pingora(program: string, folder: Folder, start: PingoraStart): Companion {
  const conf = folder.at(`${start.generation}.yaml`);
  const grace = "grace_period_seconds: 1\ngraceful_shutdown_timeout_seconds: 1";
  writeFileSync(conf, `---\nversion: 1\nthreads: 1\nupgrade_sock: ${start.sock}\npid_file: ${conf}.pid\n${grace}\n`);
  const upgrade = start.upgrade === true ? ["-u"] : [];
  const env = { GENERATION: start.generation, LISTENERS: start.listeners.join(" ") };
  return new Companion([program, ...upgrade, "-c", conf], env);
}

/** Who answers at a port of this machine, or at a path: the first word; or what went wrong. */
export function ask(where: number | string, path = "/"): Promise<string> {
  const target = typeof where === "number" ? { host: "127.0.0.1", port: where } : { socketPath: where };
  return new Promise((done) => {
    const call = request({ ...target, path, agent: false, timeout: 10_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => done(body.startsWith("{") ? "ours" : (body.split(" ")[0] ?? "")));
      response.on("error", () => done("error torn"));
    });
    call.on("timeout", () => call.destroy(new Error("unanswered")));
    call.on("error", (error: NodeJS.ErrnoException) => done(`error ${error.code ?? error.message}`));
    call.end();
  });
}

/** One request after another until the result is called: how often each answered, or failed. */
export function load(where: number | string): () => Promise<ReadonlyMap<string, number>> {
  const seen = new Map<string, number>();
  let over = false;
  // a test that failed does not come back to end it
  const limit = performance.now() + 90_000;
  const client = async (): Promise<void> => {
    while (!over && performance.now() < limit) {
      const answer = await ask(where);
      seen.set(answer, (seen.get(answer) ?? 0) + 1);
    }
  };
  const all = Promise.all([client(), client()]);
  return async () => {
    over = true;
    await all;
    return seen;
  };
}

/** Connections with their request sent, which nobody accepts yet. The result resolves with the answers. */
export async function queue(port: number, count: number): Promise<() => Promise<readonly string[]>> {
  const sockets: Socket[] = [];
  const answers: Promise<string>[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect(port, "127.0.0.1");
    await new Promise((done) => socket.once("connect", done));
    socket.write("GET / HTTP/1.0\r\nhost: x\r\n\r\n");
    sockets.push(socket);
    answers.push(
      new Promise((done) => {
        let text = "";
        socket.setEncoding("utf8").on("data", (more: string) => {
          text += more;
          const [, body] = text.split("\r\n\r\n");
          // it may be kept alive
          if (body?.includes("\n")) done(body.split(" ")[0] ?? "");
        });
        socket.on("close", () => done(`error closed after ${text.length} bytes`));
        socket.on("error", (error) => done(`error ${error.message}`));
      }),
    );
  }
  return () => Promise.all(answers);
}

/** Our configuration with a TCP listener, a unix one, and a service on each. */
export function ours(port: number, folder: Folder, more = ""): string {
  const service = (listener: string) => `
    command: [${process.execPath}, ${web}, "1"]
    listeners: [${listener}]
    upgrade: { strategy: handover }`;
  return `
upgrade_sock: ${folder.at("up.sock")}
upgrade_sock_connect_accept_max_retries: 5
listeners:
  front: { tcp: "127.0.0.1:${port}" }
  side: { unix: "${folder.at("side.sock")}" }
services:
  web: ${service("front")}
  local: ${service("side")}
upgrade: { probationSeconds: 1 }
${more}
`;
}

export function total(seen: ReadonlyMap<string, number>): { readonly failed: string[]; readonly by: string[] } {
  const names = [...seen.keys()];
  return {
    failed: names.filter((name) => /^error|^$/.test(name)),
    by: names.filter((name) => !/^error|^$/.test(name)).sort(),
  };
}
