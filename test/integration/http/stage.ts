import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Admin, type AdminParts, openAdmin } from "../../../src/adapters/http/open-admin.js";
import { native } from "../../../src/adapters/native/addon.js";
import { OutputMemory } from "../../../src/adapters/wiring/output-history.js";
import { EntryError } from "../../../src/core/entry-error.js";
import type { ServiceSpec } from "../../../src/core/plan.js";
import type { ServiceView, Snapshot, Transition } from "../../../src/core/snapshot.js";
import type { UpgradeOutcome } from "../../../src/core/upgrade-outcome.js";
import type { Control, Sink } from "../../../src/runtime/ports.js";
import { serviceSpec, silentLog } from "../../fakes/fake-server.js";

export function serviceView(name: string, change: Partial<ServiceView> = {}): ServiceView {
  const state = change.state ?? "Ready";
  return {
    name,
    type: "long-running",
    required: true,
    dependsOn: {},
    listeners: [],
    state,
    since: 1_700_000_000_000,
    reason: "",
    ready: state === "Ready",
    instances: [
      { id: `${name}/0`, state, since: 1_700_000_000_000, pid: process.pid, reason: change.reason ?? "", restarts: 0 },
    ],
    restartsByReason: {},
    wave: 0,
    ...change,
  };
}

export function snapshotOf(services: readonly ServiceView[], change: Partial<Snapshot> = {}): Snapshot {
  return {
    revision: 1,
    phase: "Running",
    phaseSince: 1_700_000_000_000,
    startedAt: 1_700_000_000_000,
    generation: 1,
    release: "r1",
    version: "0.0.0",
    pid: process.pid,
    services,
    listeners: [],
    orphansReaped: 0,
    supervisorRestarts: 0,
    readyDuringDrain: false,
    ...change,
  };
}

/** A server that does what it is told at once, and remembers it. */
export class FakeControl implements Control {
  current: Snapshot;
  readonly sinks = new Set<Sink>();
  readonly calls: string[] = [];
  /** what the next action fails with */
  refusal: unknown;
  #drained: (() => void)[] = [];

  constructor(snapshot: Snapshot) {
    this.current = snapshot;
  }

  snapshot(): Snapshot {
    return this.current;
  }

  upgrade(): Promise<UpgradeOutcome> {
    return Promise.resolve({
      attempt: "a1",
      result: "completed",
      reason: "",
      cause: "none",
      at: 1,
      seconds: 1,
      generation: 2,
      warnings: [],
    });
  }

  subscribe(sink: Sink): () => void {
    this.sinks.add(sink);
    return () => this.sinks.delete(sink);
  }

  change(change: Partial<Snapshot>): void {
    this.current = { ...this.current, ...change, revision: this.current.revision + 1 };
    for (const sink of this.sinks) sink.snapshot?.(this.current);
  }

  transition(transition: Transition): void {
    this.change({ phase: transition.to });
    for (const sink of this.sinks) sink.transition?.(transition);
  }

  prestop(signal: AbortSignal): Promise<void> {
    this.calls.push("prestop");
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      signal.addEventListener("abort", () => {
        this.calls.push("prestop aborted");
        resolve();
      });
    });
  }

  drained(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  startService(name: string): Promise<void> {
    return this.#act(`start ${name}`);
  }

  stopService(name: string): Promise<void> {
    return this.#act(`stop ${name}`);
  }

  restartService(name: string): Promise<void> {
    return this.#act(`restart ${name}`);
  }

  async signalService(name: string, signal: string, scope: string): Promise<number> {
    await this.#act(`signal ${name} ${signal} ${scope}`);
    return this.current.services.find((service) => service.name === name)?.state === "Ready" ? 2 : 0;
  }

  async #act(call: string): Promise<void> {
    this.calls.push(call);
    if (this.refusal !== undefined) throw this.refusal;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The endpoints on real sockets, before a fake server. */
export class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), "pe-http-"));
  readonly socket = join(this.dir, "control.sock");
  readonly control: FakeControl;
  readonly history = new OutputMemory();
  port = 0;
  admin: Admin | undefined;
  readonly #fds: number[] = [];
  #parts: AdminParts | undefined;

  constructor(snapshot: Snapshot) {
    this.control = new FakeControl(snapshot);
  }

  static async open(
    snapshot: Snapshot,
    change: Partial<AdminParts> = {},
    services: readonly ServiceSpec[] = [],
  ): Promise<Stage> {
    const stage = new Stage(snapshot);
    const tcpFd = stage.#tcp();
    const controlFd = stage.#unix();
    stage.#parts = {
      plan: {
        services: services.length > 0 ? services : snapshot.services.map(({ name }) => serviceSpec(name)),
        admin: {},
      },
      tcpFd,
      controlFd,
      control: stage.control,
      history: stage.history,
      renderMetrics: () => Promise.resolve({ type: "text/plain; version=0.0.4", body: "up 1\n" }),
      log: silentLog,
      clock: { wall: () => Date.now() },
      ...change,
    };
    await stage.reopen();
    return stage;
  }

  /** On the same sockets, as a supervisor does that takes over from one that died. */
  async reopen(): Promise<void> {
    if (this.#parts !== undefined) this.admin = await openAdmin(this.#parts);
  }

  #tcp(): number {
    const { constants, socket, bindInet, listen, getLocalAddress } = native();
    const fd = socket(constants.AF_INET, constants.SOCK_STREAM);
    bindInet(fd, "127.0.0.1", 0, 0);
    listen(fd, 511);
    const address = getLocalAddress(fd);
    this.port = address.family === "inet" ? address.port : 0;
    this.#fds.push(fd);
    return fd;
  }

  #unix(): number {
    const { constants, socket, bindUnix, listen } = native();
    const fd = socket(constants.AF_UNIX, constants.SOCK_STREAM);
    bindUnix(fd, this.socket);
    listen(fd, 511);
    this.#fds.push(fd);
    return fd;
  }

  tcp(path: string, ask: Ask = {}): Promise<Answer> {
    return send({ host: "127.0.0.1", port: this.port, path }, ask);
  }

  unix(path: string, ask: Ask = {}): Promise<Answer> {
    return send({ socketPath: this.socket, path }, ask);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin?.close();
    for (const fd of this.#fds.splice(0)) native().close(fd);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function send(to: object, { method = "GET", headers = {}, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ ...to, method, headers, agent: new Agent(), timeout: 10_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on("error", reject);
    });
    call.on("timeout", () => call.destroy(new Error(`${method} did not answer`)));
    call.on("error", reject);
    call.end(body);
  });
}

export const refused = (message: string): EntryError => new EntryError("failed", message);
