import type { Plan, ServiceSpec } from "../../src/core/plan.js";
import type { Snapshot, Transition } from "../../src/core/snapshot.js";
import { ExitRouter } from "../../src/runtime/exit-router.js";
import type { PingoraParts } from "../../src/runtime/pingora-way.js";
import type { Log, ProbeResult, ServiceWires, Sockets } from "../../src/runtime/ports.js";
import { processBody } from "../../src/runtime/process-body.js";
import { ServerRun } from "../../src/runtime/server-run.js";
import type { UpgradeParts } from "../../src/runtime/upgrade-parts.js";
import { FakeConnections } from "./fake-connections.js";
import { exitEvent, FakeInit } from "./fake-init.js";
import { ManualClock, settle } from "./manual-clock.js";

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog, flush() {} };

export function serviceSpec(name: string, change: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name,
    type: "long-running",
    process: { command: [name], env: {}, limits: [], output: "inherit", tty: false },
    dependsOn: {},
    listeners: [],
    instances: 1,
    startTimeoutMs: 0,
    restart: {
      policy: "always",
      initialDelayMs: 500,
      maxDelayMs: 30_000,
      resetAfterMs: 30_000,
      limit: 5,
      windowMs: 60_000,
    },
    stop: { steps: [{ signal: "SIGTERM", waitMs: Number.POSITIVE_INFINITY }] },
    onFailure: "shutdown",
    required: true,
    upgrade: {
      strategy: "restart",
      accept: "on-start",
      preflight: false,
      onUpgrade: "run",
      arguments: [],
      signal: "SIGQUIT",
    },
    ...change,
  };
}

export function planOf(services: readonly ServiceSpec[], change: Partial<Plan> = {}): Plan {
  const depth = new Map<string, number>();
  const depthOf = (name: string): number => {
    const known = depth.get(name);
    if (known !== undefined) return known;
    const spec = services.find((service) => service.name === name);
    const value = Math.max(-1, ...Object.keys(spec?.dependsOn ?? {}).map(depthOf)) + 1;
    depth.set(name, value);
    return value;
  };
  const waves: string[][] = [];
  for (const { name } of services) {
    const wave = depthOf(name);
    waves[wave] = [...(waves[wave] ?? []), name];
  }
  return {
    services,
    listeners: [],
    waves,
    shutdown: { gracePeriodMs: 30_000, lameDuckMs: 0, reserveMs: 1_000 },
    readiness: { duringDrain: "auto" },
    bindRetry: { attempts: 1, intervalMs: 0 },
    admin: { socket: "/nowhere" },
    upgrade: {
      optional: true,
      probationMs: 5_000,
      bootMs: 60_000,
      drainMs: 29_000,
      release: "",
      maxGenerations: 2,
      standby: false,
    },
    log: { level: "silent", format: "json" },
    ...change,
  };
}

/** A server on fakes: real phases, real folds, no process, no time but the clock's. */
export class FakeServer {
  readonly clock = new ManualClock();
  readonly init: FakeInit;
  readonly run: ServerRun;
  readonly transitions: Transition[] = [];
  readonly warnings: string[] = [];
  /** what a probe of this service finds */
  readonly probes = new Map<string, ProbeResult>();
  readonly connections = new FakeConnections();
  readonly #notify = new Map<string, (ready: boolean) => void>();
  /** first versions of the termination message */
  readonly lastWords: Snapshot[] = [];
  ended: Promise<number> | undefined;
  exitCode: number | undefined;

  constructor(
    plan: Plan,
    options: {
      readonly inPod?: boolean;
      readonly init?: FakeInit;
      readonly clock?: ManualClock;
      readonly pingora?: PingoraParts;
      readonly upgrade?: UpgradeParts;
      readonly bind?: Sockets["bind"];
    } = {},
  ) {
    this.clock = options.clock ?? this.clock;
    this.init = options.init ?? new FakeInit(this.clock);
    const exits = new ExitRouter();
    const log: Log = { ...silentLog, warn: (message) => this.warnings.push(message), child: () => log };
    this.run = new ServerRun({
      plan,
      version: "0",
      release: "",
      generation: options.upgrade?.me.generation ?? 1,
      inPod: options.inPod ?? false,
      init: this.init,
      sockets: {
        bind: options.bind ?? ((spec) => Promise.resolve({ spec, fd: 0 })),
        adopt: (spec, fd) => ({ spec, fd }),
        asIs: (spec, fd) => ({ spec, fd }),
        bindPrivate: (listener) => ({ ...listener, standsFor: listener }),
        isBlocking: () => true,
        takeBack() {},
        setMode() {},
        isReachable: () => true,
        remove() {},
        leave: (listener) => listener,
        close() {},
      },
      connections: this.connections,
      clock: this.clock,
      prober: {
        ask: (_action, context) => Promise.resolve(this.probes.get(context.id.split("/")[0] ?? "") ?? { ok: true }),
      },
      log,
      random: () => 0.5,
      exits,
      body: (service, listeners) =>
        processBody(
          service,
          service.process ?? { command: [], env: {}, limits: [], output: "inherit", tty: false },
          {
            init: this.init,
            drainSignal: () => undefined,
            accepting: () => false,
            handsOver: () => false,
            env: {},
            listeners,
            pass: (argv, env) => ({ argv, env, pidEnv: [], fds: [] }),
            wiring: {
              connect: (spec, receive) => {
                this.#notify.set(spec.service, () => receive({ kind: "ready" }));
                return noWires;
              },
              resume: () => noWires,
            },
          },
          exits,
        ),
      adminListeners: [],
      openAdmin: () => Promise.resolve({ pause: () => Promise.resolve(), close: () => Promise.resolve() }),
      prepareAdmin: () => Promise.resolve(),
      noUpgrades: "none here",
      ...(options.pingora === undefined ? {} : { pingora: options.pingora }),
      ...(options.upgrade === undefined ? {} : { upgrade: options.upgrade }),
      realPathOf: (path) => path,
      addressesOf: (address) => [address.kind === "unix" ? address.path : `${address.host}:${address.port}`],
      stopped() {},
      closeFd() {},
      lastWords: (snapshot) => this.lastWords.push(snapshot),
      farewell: () => Promise.resolve(),
    });
    this.run.store.subscribe({ transition: (transition) => this.transitions.push(transition) });
  }

  async begin(): Promise<void> {
    this.ended = this.run.run().then((code) => {
      this.exitCode = code;
      return code;
    });
    await settle();
  }

  notify(service: string): void {
    this.#notify.get(service)?.(true);
  }

  get phase(): string {
    return this.run.store.snapshot.phase;
  }

  state(service: string): string {
    return this.run.store.snapshot.services.find(({ name }) => name === service)?.state ?? "none";
  }
}

const noWires: ServiceWires = { kept: [], fds: [], env: [], started() {}, close() {} };

/** The supervisor is killed at this instant; the init starts another. */
export function successor(first: FakeServer, plan: Plan, behaviour = first.init.behaviour): FakeServer {
  const init = new FakeInit(first.clock);
  init.behaviour = behaviour;
  init.processes.push(...first.init.processes.map((process) => ({ ...process, signals: [] })));
  init.recovered = {
    restarts: 1,
    lines: [],
    held: new Map(),
    state: new Map(first.init.saved),
    children: first.init.processes
      .filter(({ id }) => !first.init.forgotten.has(id))
      .map(({ id, pid, alive, status }) => ({
        id,
        pid,
        ...(alive || status === undefined ? {} : { exit: exitEvent(id, pid, status) }),
      })),
  };
  first.init.dead = true;
  return new FakeServer(plan, { init, clock: first.clock });
}
