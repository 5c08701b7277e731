import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeInit } from "../../test/fakes/fake-init.js";
import { planOf, serviceSpec, silentLog } from "../../test/fakes/fake-server.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import { EntryError } from "../core/entry-error.js";
import type { ServiceSpec } from "../core/plan.js";
import { ExitRouter } from "./exit-router.js";
import type { BoundListener, ProbeResult, ServiceWires } from "./ports.js";
import { processBody } from "./process-body.js";
import { type ServiceEnding, ServiceSet } from "./service-set.js";

const wires: ServiceWires = { kept: [], fds: [], env: [], started() {}, close() {} };
const address = { kind: "tcp", host: "127.0.0.1", port: 8080, ipv6Only: false } as const;
const listener: BoundListener = {
  spec: { name: "http", address, key: "k", backlog: 1, reusePort: false, passAs: "systemd", envName: "" },
  fd: 7,
  host: "127.0.0.1",
  port: 8080,
};

const probe = {
  action: { kind: "tcpSocket", host: "127.0.0.1", port: 8080 },
  initialDelayMs: 0,
  periodMs: 1_000,
  timeoutMs: 1_000,
  successThreshold: 1,
  failureThreshold: 3,
} as const;

function tried(change: Partial<ServiceSpec> = {}): ServiceSpec {
  const upgrade = { ...serviceSpec("x").upgrade, strategy: "handover", preflight: true } as const;
  return serviceSpec("web", { listeners: ["http"], readinessProbe: probe, upgrade, ...change });
}

/** A generation's services, on an init without processes. */
class Stage {
  readonly clock = new ManualClock();
  readonly init = new FakeInit(this.clock);
  readonly fatal: ServiceEnding[] = [];
  readonly closed: number[] = [];
  readonly services: ServiceSet;
  /** what is found at a port */
  readonly found = new Map<number, ProbeResult>();
  noSockets = false;

  constructor(...specs: ServiceSpec[]) {
    const exits = new ExitRouter();
    this.init.listen((event) => event.kind === "exited" && exits.deliver(event));
    const body = (service: ServiceSpec, listeners: ReadonlyMap<string, BoundListener>) =>
      processBody(
        service,
        service.process ?? { command: [], env: {}, limits: [], output: "inherit", tty: false },
        {
          init: this.init,
          wiring: { connect: () => wires, resume: () => wires },
          env: {},
          listeners,
          handsOver: () => true,
          pass: (argv, env, bound) => ({
            argv,
            env,
            pidEnv: [],
            fds: bound.map(({ fd }) => ({ target: 3, fd, listener: "http" })),
          }),
          drainSignal: () => undefined,
          accepting: () => false,
        },
        exits,
      );
    const listeners = new Map([["http", listener]]);
    this.services = new ServiceSet({
      plan: planOf(specs),
      body: (service) => body(service, listeners),
      trials: {
        listeners,
        sockets: {
          bindPrivate: (public_) => {
            if (this.noSockets) throw new EntryError("os", "cannot open a private socket: EMFILE");
            return { ...public_, fd: 9, port: 4000, standsFor: public_ };
          },
          remove() {},
          close: ({ fd }) => this.closed.push(fd),
        },
        body,
      },
      clock: this.clock,
      prober: {
        ask: (action) =>
          Promise.resolve(
            this.found.get(action.kind === "tcpSocket" ? action.port : 0) ?? { ok: false, reason: "refused" },
          ),
      },
      log: silentLog,
      random: () => 0.5,
      idPrefix: "2:",
      shared: () => false,
      othersServe: () => false,
      changed() {},
      save() {},
      fatal: (ending) => this.fatal.push(ending),
      over() {},
      killing() {},
      stopped() {},
      drains: { begin() {}, killing() {}, ended() {}, drained: () => Promise.resolve(true) },
    });
  }

  get reason(): string | undefined {
    return this.services.views.find(({ name }) => name === "web")?.reason;
  }
}

test("ServiceSet starts what is to be tried only when its trial on private sockets was ready, and is gone", async () => {
  const stage = new Stage(tried({ instances: 2 }));
  stage.services.beCandidate();
  stage.services.start();
  await stage.clock.advance(100);
  assert.deepEqual(stage.init.alive(), ["2:web!preflight/0#1"]);
  const trial = stage.init.find("2:web!preflight/0");
  assert.ok(trial?.spec.env.includes("PINGORA_ENTRY_PREFLIGHT=1"));
  assert.ok(trial?.spec.env.includes("PINGORA_ENTRY_SERVICE=web"));
  assert.deepEqual(trial?.spec.fds, [{ target: 3, fd: 9 }]);
  assert.equal(stage.reason, "preflight: readiness probe: refused");
  stage.found.set(8080, { ok: true });
  await stage.clock.advance(2_000);
  assert.equal(trial?.alive, true, "the public address does not count");
  stage.init.behaviour = () => 300;
  stage.found.set(4000, { ok: true });
  await stage.clock.advance(1_000);
  await stage.clock.advance(200);
  assert.equal(trial?.signals[0]?.signal, "SIGTERM");
  await stage.clock.advance(1_000);
  assert.deepEqual(stage.init.alive(), ["2:web/0#1", "2:web/1#1"]);
  assert.deepEqual(stage.closed, [9]);
  assert.ok(stage.init.find("2:web/0")?.spec.env.every((each) => !each.startsWith("PINGORA_ENTRY_PREFLIGHT")));
  assert.ok((stage.init.find("2:web/0")?.spawnedAt ?? 0) >= (trial?.endedAt ?? Number.POSITIVE_INFINITY));
  assert.deepEqual(
    stage.services.views[0]?.instances.map(({ restarts }) => restarts),
    [0, 0],
  );
  assert.deepEqual(stage.fatal, []);
});

test("ServiceSet fails a service whose trial is not ready in four fifths of the boot time", async () => {
  const stage = new Stage(tried());
  stage.services.beCandidate();
  stage.services.start();
  stage.init.behaviour = () => 500;
  await stage.clock.advance(47_900);
  assert.deepEqual(stage.fatal, []);
  assert.deepEqual(stage.closed, []);
  await stage.clock.advance(200);
  assert.deepEqual(stage.fatal[0], {
    service: "web",
    exit: { code: 1 },
    reason: "preflight: not ready within 48 s (readiness probe: refused)",
  });
  assert.deepEqual(stage.init.alive(), ["2:web!preflight/0#1"]);
  assert.deepEqual(stage.closed, [9], "whoever fails may be killed before its trial has ended");
  await stage.clock.advance(1_000);
  assert.deepEqual(
    stage.init.processes.map(({ id, alive }) => [id, alive]),
    [["2:web!preflight/0#1", false]],
  );
  assert.deepEqual(stage.closed, [9]);
});

test("ServiceSet fails a service whose trial exits, cannot be started, or has no private sockets", async () => {
  const exits = new Stage(tried());
  const absent = new Stage(tried());
  absent.init.spawnFailure = () => ({ ok: false, stage: "exec", errno: "ENOENT" });
  const without = new Stage(tried());
  without.noSockets = true;
  for (const { services } of [exits, absent, without]) {
    services.beCandidate();
    services.start();
  }
  await settle();
  exits.init.end("2:web!preflight/0", { code: 3 });
  await settle();
  const reasons = [exits, absent, without].map(({ fatal }) => fatal[0]?.reason);
  assert.deepEqual(reasons, [
    "preflight: exited with code 3",
    'preflight: cannot execute "web": not found, or the interpreter that its first line names is not',
    "preflight: cannot open a private socket: EMFILE",
  ]);
  for (const stage of [exits, absent, without]) {
    await stage.clock.advance(60_000);
    assert.equal(stage.init.find("2:web/0"), undefined);
    assert.equal(stage.services.views[0]?.state, "Failed");
  }
});

test("ServiceSet goes on without a service that is not required and fails its trial", async () => {
  const stage = new Stage(tried({ required: false, onFailure: "ignore" }), serviceSpec("other"));
  stage.services.beCandidate();
  stage.services.start();
  await settle();
  stage.init.end("2:web!preflight/0", { code: 3 });
  await settle();
  assert.deepEqual(stage.fatal, []);
  assert.deepEqual(stage.init.alive(), []);
  stage.services.commit();
  await settle();
  assert.deepEqual(stage.init.alive(), ["2:other/0#1"]);
});

test("ServiceSet tries nothing when it is no candidate", async () => {
  const stage = new Stage(tried());
  stage.services.start();
  await settle();
  assert.deepEqual(stage.init.alive(), ["2:web/0#1"]);
});

test("ServiceSet stops a trial with its service, by the service's own signals, and starts nothing after", async () => {
  const stage = new Stage(
    tried({
      stop: {
        steps: [
          { signal: "SIGQUIT", waitMs: 1_000 },
          { signal: "SIGINT", waitMs: 0 },
        ],
        graceMs: 3_000,
      },
    }),
  );
  stage.init.behaviour = () => "ignore";
  stage.services.beCandidate();
  stage.services.start();
  await settle();
  assert.deepEqual(stage.services.busy, ["web"]);
  let over = false;
  const from = stage.clock.now();
  void stage.services.stopWave(["web"], from + 2_000, "SIGTERM", new AbortController().signal).then(() => {
    over = true;
  });
  await stage.clock.advance(1_900);
  assert.equal(over, false);
  await stage.clock.advance(200);
  assert.equal(over, true);
  assert.deepEqual(
    stage.init.find("2:web!preflight/0")?.signals.map(({ signal }) => signal),
    ["SIGQUIT", "SIGINT", "SIGKILL"],
  );
  assert.deepEqual(stage.fatal, []);
  await stage.clock.advance(60_000);
  assert.equal(stage.init.processes.length, 1);
});

test("ServiceSet takes a trial that an earlier supervisor has left for a stray", () => {
  const stage = new Stage(tried());
  const record = {
    fold: { state: { name: "Waiting" }, attempt: 0, recent: [] },
    serial: 0,
    sinceWall: 0,
    restarts: 0,
  } as const;
  const left = { id: "2:web!preflight/0#1", pid: 5 };
  const { strays } = stage.services.resume({ instances: { "web/0": record }, held: [], yielded: {} }, [left]);
  assert.deepEqual(strays, [left]);
});
