import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join, resolve } from "node:path";
import type { Journal } from "../../../src/core/handover-journal.js";
import {
  eventually,
  freePort,
  heard,
  program,
  type Running,
  type Said,
  type StartOptions,
  startServer,
} from "../harness.js";

export const web = resolve("test/fixtures/web.mjs");

/** The head of a configuration: a web service of this generation; more services may follow, then other parts. */
export const webService = (number: number): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: [{{web}}, "${number}"]
    listeners: [http]
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.1 }
`;

/** What a load saw. */
export interface Seen {
  requests: number;
  /** by errno name or what else was wrong */
  readonly failed: Map<string, number>;
  readonly generations: Set<number>;
}

/** One request after another, each on a connection of its own, by several at once, until the result is called. */
export function load(port: number, clients = 4, path = "/"): () => Promise<Seen> {
  const seen: Seen = { requests: 0, failed: new Map(), generations: new Set() };
  let over = false;
  // a test that failed does not come back to end it
  const limit = performance.now() + 90_000;
  const client = async (): Promise<void> => {
    while (!over && performance.now() < limit) {
      const answer = await ask(port, path);
      seen.requests += 1;
      if (typeof answer === "string") seen.failed.set(answer, (seen.failed.get(answer) ?? 0) + 1);
      else seen.generations.add(answer);
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  return async () => {
    over = true;
    await all;
    return seen;
  };
}

/** The generation that answers, or what went wrong. */
export function ask(port: number, path = "/"): Promise<number | string> {
  return new Promise((done) => {
    const call = request({ host: "127.0.0.1", port, path, agent: false, timeout: 10_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => done(body === "" ? "empty" : (JSON.parse(body) as { generation: number }).generation));
      response.on("error", () => done("torn"));
    });
    call.on("timeout", () => call.destroy(new Error("unanswered")));
    call.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    call.end();
  });
}

/** A server whose configuration can be replaced. */
export class Upgradable {
  readonly server: Running;
  readonly port: number;

  private constructor(server: Running, port: number) {
    this.server = server;
    this.port = port;
  }

  /** `{{port}}` in the text is a free port, `{{web}}` the web service of test/fixtures with its log */
  static async start(config: string, options: StartOptions = {}): Promise<Upgradable> {
    const port = await freePort();
    const server = startServer(fill(config, port), options);
    return new Upgradable(server, port);
  }

  config(name: string, text: string): string {
    const path = join(this.server.dir, name);
    const { dir } = this.server;
    const admin = `admin: { tcp: "off", socket: ${join(dir, "control.sock")} }\nlog: { format: json, level: debug }\n`;
    writeFileSync(path, admin + fill(text, this.port).replaceAll("{{dir}}", dir));
    return path;
  }

  /** `pingora-entry upgrade`, run to its end. */
  upgrade(text: string | undefined, ...args: string[]): Promise<Said> {
    const conf = text === undefined ? [] : ["--conf", this.config(`next-${Math.random()}.yaml`, text)];
    return this.cli("upgrade", ...conf, ...args);
  }

  cli(...args: string[]): Promise<Said> {
    const [command = "", ...rest] = args;
    const child = spawn(program, [command, "--socket", this.server.socket, ...rest], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    return heard(child).ended;
  }

  journal(): Journal {
    return JSON.parse(readFileSync(join(this.server.dir, "upgrade/journal.json"), "utf8")) as Journal;
  }

  /** What the web services wrote: "start 1", "term 1", ... */
  said(): string[] {
    try {
      return readFileSync(join(this.server.dir, "web.log"), "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(" ").slice(0, 2).join(" "));
    } catch {
      return [];
    }
  }

  /** Waits until the supervisor's log says that a step was entered by one side. */
  step(role: "old" | "new", step: string, times = 1): Promise<unknown> {
    const said = () =>
      this.server.stderr
        .split("\n")
        .filter((line) => line.includes(`"step":"${step}"`) && line.includes(`"side":"${role}"`));
    return eventually(() => said().length >= times, { what: `step ${step} of ${role}`, timeoutMs: 20_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.end();
  }
}

function fill(text: string, port: number): string {
  return text.replaceAll("{{port}}", `${port}`).replaceAll("{{web}}", `${process.execPath}, ${web}`);
}
