import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeInit } from "../../test/fakes/fake-init.js";
import { FakeServer, planOf, serviceSpec, silentLog, successor } from "../../test/fakes/fake-server.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import { EntryError } from "../core/entry-error.js";
import type { ListenerSpec, Plan } from "../core/plan.js";
import { openListeners, waitsText } from "./listener-set.js";
import type { BoundListener, Sockets } from "./ports.js";

const notify = {
  action: { kind: "notify" },
  initialDelayMs: 0,
  periodMs: 1000,
  timeoutMs: 1000,
  successThreshold: 1,
  failureThreshold: 3,
} as const;
const probe = { ...notify, action: { kind: "tcpSocket", host: "127.0.0.1", port: 1 } } as const;

function three() {
  return planOf([
    serviceSpec("migrate", { type: "oneshot", restart: { ...serviceSpec("x").restart, policy: "on-failure" } }),
    serviceSpec("cache", { readinessProbe: notify }),
    serviceSpec("web", { dependsOn: { migrate: "completed", cache: "ready" } }),
  ]);
}

test("ServerRun starts a service when its dependencies are fulfilled and not before", async () => {
  const server = new FakeServer(three());
  await server.begin();
  assert.deepEqual(server.init.alive(), ["migrate/0#1", "cache/0#1"]);
  server.notify("cache");
  await settle();
  assert.deepEqual(server.init.alive(), ["migrate/0#1", "cache/0#1"]);
  server.init.end("migrate/0", { code: 0 });
  await settle();
  assert.deepEqual(server.init.alive(), ["cache/0#1", "web/0#1"]);
  assert.equal(server.phase, "Running");
});

test("ServerRun stops in reverse order and exits 0 when SIGTERM arrives", async () => {
  const server = new FakeServer(three());
  await server.begin();
  server.notify("cache");
  server.init.end("migrate/0", { code: 0 });
  await settle();
  server.init.send("SIGTERM");
  await settle();
  assert.deepEqual(server.init.find("cache/0")?.signals, []);
  await server.clock.advance(10);
  assert.equal(server.init.find("web/0")?.alive, false);
  await server.clock.advance(10);
  assert.equal(await server.ended, 0);
  assert.deepEqual(
    server.transitions.map(({ to }) => to),
    [
      "Bootstrap",
      "BootstrapComplete",
      "Running",
      "GracefulTerminate",
      "ShutdownStarted",
      "ShutdownGracePeriod",
      "ShutdownRuntimes",
      "Terminated",
    ],
  );
});

test("ServerRun tells of a stop plan without the oneshots that are done", async () => {
  const server = new FakeServer(three());
  server.init.behaviour = () => "ignore";
  await server.begin();
  server.notify("cache");
  server.init.end("migrate/0", { code: 0 });
  await settle();
  server.init.send("SIGTERM");
  await server.clock.advance(20_000);
  assert.deepEqual(
    server.run.store.snapshot.shutdown?.waves.map(({ services, done }) => [services, done]),
    [
      [["web"], true],
      [["cache"], false],
    ],
  );
});

test("ServerRun kills at the wave's deadline what ignores SIGTERM, and exits 143", async () => {
  const server = new FakeServer(planOf([serviceSpec("a"), serviceSpec("b", { dependsOn: { a: "ready" } })]));
  server.init.behaviour = () => "ignore";
  await server.begin();
  const from = server.clock.now();
  server.init.send("SIGTERM");
  await server.clock.advance(30_000);
  assert.equal(server.exitCode, 143);
  assert.equal((server.init.find("b/0")?.endedAt ?? 0) - from, 14_500);
  assert.equal((server.init.find("a/0")?.endedAt ?? 0) - from, 29_000);
  assert.deepEqual(server.run.store.snapshot.shutdown?.killed, ["b", "a"]);
});

test("ServerRun takes the init's SIGTERM, when the owner has ended, for no second signal", async () => {
  const server = new FakeServer(planOf([serviceSpec("a")]), { inPod: false });
  server.init.behaviour = () => "ignore";
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(1_000);
  server.init.send("SIGTERM", { senderPid: server.init.pid });
  await server.clock.advance(1_000);
  assert.equal(server.state("a"), "Stopping");
  server.init.send("SIGTERM");
  await server.clock.advance(1_000);
  assert.equal(server.exitCode, 143);
});

test("ServerRun calls killed only what it has killed itself", async () => {
  const server = new FakeServer(planOf([serviceSpec("a"), serviceSpec("b")]));
  server.init.behaviour = () => "ignore";
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(1_000);
  // the kernel, short of memory
  server.init.end("a/0", { signal: "SIGKILL" });
  await server.clock.advance(30_000);
  const ends = server.run.store.snapshot.services.map(({ name, instances: [one] }) => [
    name,
    one?.reason,
    one?.lastExit?.killed,
  ]);
  assert.deepEqual(ends, [
    ["a", "stopped", undefined],
    ["b", "killed at its deadline", true],
  ]);
});

test("ServerRun kills the main process first, and the tree when that does not help", async () => {
  const server = new FakeServer(planOf([serviceSpec("a")]));
  server.init.behaviour = () => "ignore";
  const signal = server.init.signal.bind(server.init);
  server.init.signal = (id, name, scope) =>
    name === "SIGKILL" && scope === "child" ? Promise.resolve(1) : signal(id, name, scope);
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(29_900);
  assert.equal(server.exitCode, undefined);
  await server.clock.advance(200);
  assert.equal(server.exitCode, 143);
});

test("ServerRun has last words on record before its services are dead", async () => {
  const server = new FakeServer(planOf([serviceSpec("a"), serviceSpec("b"), serviceSpec("c")]));
  server.init.behaviour = ({ id }) => (id.startsWith("c") ? 10 : "ignore");
  server.init.signal = (
    (signal) => (id, name, scope) =>
      name === "SIGKILL" ? Promise.resolve(0) : signal(id, name, scope)
  )(server.init.signal.bind(server.init));
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(29_500);
  assert.equal(server.exitCode, undefined);
  assert.deepEqual(
    server.lastWords.map(({ exitCode, shutdown }) => [exitCode, shutdown?.cause, shutdown?.killed]),
    [[143, "SIGTERM", ["a", "b"]]],
  );
});

test("ServerRun moves every deadline to now when a second SIGTERM arrives outside a pod", async () => {
  const server = new FakeServer(planOf([serviceSpec("a"), serviceSpec("b", { dependsOn: { a: "ready" } })]));
  server.init.behaviour = () => "ignore";
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(100);
  server.init.send("SIGTERM");
  await server.clock.advance(100);
  assert.equal(server.exitCode, 143);
});

test("ServerRun keeps its plan when SIGTERM is repeated in a pod, and hurries on SIGINT", async () => {
  const server = new FakeServer(planOf([serviceSpec("a")]), { inPod: true });
  server.init.behaviour = () => "ignore";
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(100);
  server.init.send("SIGTERM");
  await server.clock.advance(100);
  assert.equal(server.phase, "ShutdownGracePeriod");
  server.init.send("SIGINT");
  await server.clock.advance(100);
  assert.equal(server.exitCode, 143);
});

test("ServerRun serves on during the lame duck, unready, then stops", async () => {
  const plan = planOf([serviceSpec("a")], { shutdown: { gracePeriodMs: 30_000, lameDuckMs: 5_000, reserveMs: 1_000 } });
  const server = new FakeServer(plan);
  await server.begin();
  server.init.send("SIGTERM");
  await server.clock.advance(4_999);
  assert.equal(server.phase, "GracefulTerminate");
  assert.deepEqual(server.init.find("a/0")?.signals, []);
  await server.clock.advance(1);
  assert.equal(server.init.find("a/0")?.signals.length, 1);
});

test("ServerRun drains for preStop, waits for the signal, and does not begin the lame duck again", async () => {
  const plan = planOf([serviceSpec("a")], { shutdown: { gracePeriodMs: 30_000, lameDuckMs: 5_000, reserveMs: 1_000 } });
  const server = new FakeServer(plan);
  await server.begin();
  let drained = false;
  void server.run.control.prestop(new AbortController().signal).then(() => {
    drained = true;
  });
  await server.clock.advance(4_999);
  assert.equal(drained, false);
  await server.clock.advance(1);
  assert.equal(drained, true);
  assert.deepEqual(server.init.find("a/0")?.signals, []);
  server.init.send("SIGTERM");
  await server.clock.advance(10);
  assert.equal(server.exitCode, 0);
});

test("ServerRun returns to Running when no signal follows preStop", async () => {
  const plan = planOf([serviceSpec("a")], { shutdown: { gracePeriodMs: 30_000, lameDuckMs: 5_000, reserveMs: 1_000 } });
  const server = new FakeServer(plan);
  await server.begin();
  void server.run.control.prestop(new AbortController().signal);
  await server.clock.advance(29_000);
  assert.equal(server.phase, "Running");
  assert.equal(server.run.store.snapshot.shutdown, undefined);
  server.init.send("SIGTERM");
  await server.clock.advance(5_010);
  assert.equal(server.exitCode, 0);
});

test("ServerRun restarts with back-off and ends with the service's code when the limit is reached", async () => {
  const server = new FakeServer(planOf([serviceSpec("a"), serviceSpec("b")]));
  await server.begin();
  for (let i = 1; i <= 6; i++) {
    assert.equal(server.init.alive().includes(`a/0#${i}`), true, `life ${i}`);
    server.init.end("a/0", { code: 3 });
    await server.clock.advance(30_000 * (i < 6 ? 0.3 : 0));
  }
  await server.clock.advance(100);
  assert.equal(server.exitCode, 3);
});

test("ServerRun counts what an operator starts again, also a oneshot that was done", async () => {
  const server = new FakeServer(planOf([serviceSpec("migrate", { type: "oneshot" }), serviceSpec("web")]));
  await server.begin();
  server.init.end("migrate/0", { code: 0 });
  await settle();
  const restarted = server.run.control.restartService("migrate");
  await settle();
  server.init.end("migrate/0", { code: 0 });
  await restarted;
  const migrate = server.run.store.snapshot.services.find(({ name }) => name === "migrate");
  assert.deepEqual([migrate?.restartsByReason, migrate?.instances[0]?.restarts], [{ request: 1 }, 1]);
});

test("ServerRun is not ready while a required service restarts", async () => {
  const server = new FakeServer(planOf([serviceSpec("a")]));
  await server.begin();
  server.init.end("a/0", { code: 1 });
  await settle();
  assert.equal(server.state("a"), "Backoff");
  assert.equal(server.phase, "Running");
  await server.clock.advance(600);
  assert.equal(server.state("a"), "Ready");
});

test("ServerRun ends with the main service's own code", async () => {
  const main = serviceSpec("main", { restart: { ...serviceSpec("x").restart, policy: "never" } });
  for (const [exit, expected] of [
    [{ code: 0 }, 0],
    [{ code: 7 }, 7],
    [{ signal: "SIGSEGV" }, 139],
  ] as const) {
    const server = new FakeServer(planOf([main, serviceSpec("side")], { main: "main" }));
    await server.begin();
    server.init.end("main/0", exit);
    await server.clock.advance(20);
    assert.equal(server.exitCode, expected);
  }
});

test("ServerRun kills what a service leaves behind before it restarts it", async () => {
  const server = new FakeServer(planOf([serviceSpec("a")]));
  await server.begin();
  const first = server.init.find("a/0");
  assert.ok(first);
  first.leaves = 2;
  server.init.end("a/0", { code: 1 });
  await server.clock.advance(1_900);
  assert.deepEqual(
    first.signals.map(({ signal, scope }) => `${signal} ${scope}`),
    ["SIGTERM tree"],
  );
  assert.equal(server.init.processes.length, 1);
  await server.clock.advance(800);
  assert.equal(first.leftovers, 0);
  assert.deepEqual(server.init.alive(), ["a/0#2"]);
});

test("ServerRun restarts a service whose liveness probe fails failureThreshold times", async () => {
  const server = new FakeServer(planOf([serviceSpec("a", { livenessProbe: probe })]));
  await server.begin();
  assert.equal(server.phase, "Running");
  server.probes.set("a", { ok: false, reason: "connection refused" });
  await server.clock.advance(3_100);
  assert.equal(server.init.find("a/0#1")?.alive, false);
  server.probes.set("a", { ok: true });
  await server.clock.advance(1_000);
  assert.deepEqual(server.init.alive(), ["a/0#2"]);
});

test("ServerRun ends 127 when a required command does not exist", async () => {
  const server = new FakeServer(planOf([serviceSpec("a")]));
  server.init.spawnFailure = () => ({ ok: false, stage: "exec", errno: "ENOENT" });
  await server.begin();
  await server.clock.advance(10);
  assert.equal(server.exitCode, 127);
});

test("ServerRun takes up where a dead supervisor stopped: same processes, same phase, same deadlines", async () => {
  const plan = three();
  const first = new FakeServer(plan);
  first.init.behaviour = () => "ignore";
  await first.begin();
  first.notify("cache");
  first.init.end("migrate/0", { code: 0 });
  await settle();
  first.init.send("SIGTERM");
  await first.clock.advance(1_000);
  const deadline = first.run.store.snapshot.shutdown?.deadlineAt;

  const second = successor(first, plan, () => "ignore");
  await second.begin();
  assert.equal(second.phase, "ShutdownGracePeriod");
  assert.equal(second.state("web"), "Stopping");
  assert.equal(second.run.store.snapshot.shutdown?.deadlineAt, deadline);
  await second.clock.advance(29_000);
  assert.equal(second.exitCode, 143);
  assert.equal(second.init.processes.length, 3);
});

/** Resolves as soon as the stop that `act` leads to is on record, before anything else can happen. */
function writtenDown(init: FakeInit, act: () => void): Promise<void> {
  return new Promise((resolve) => {
    init.saving = (text) => {
      if (!text.includes('"stop":')) return;
      init.dead = true;
      resolve();
    };
    act();
  });
}

test("ServerRun goes on with a stop that its predecessor wrote down and did not come to act on", async () => {
  const plan = planOf([serviceSpec("a"), serviceSpec("main", { onFailure: "shutdown" })], { main: "main" });
  const never = { ...serviceSpec("x").restart, policy: "never" } as const;
  const ending = planOf([serviceSpec("a"), serviceSpec("main", { restart: never })], { main: "main" });
  const cases: [string, Plan, (server: FakeServer) => void | Promise<void>, number, string[]][] = [
    ["SIGTERM", plan, ({ init }) => void init.send("SIGTERM"), 0, ["GracefulTerminate", "ShutdownStarted"]],
    ["SIGINT", plan, ({ init }) => void init.send("SIGINT"), 137, ["ShutdownStarted"]],
    ["fatal", ending, ({ init }) => writtenDown(init, () => init.end("main/0", { code: 5 })), 5, ["ShutdownStarted"]],
    [
      "main ended",
      ending,
      ({ init }) => writtenDown(init, () => init.end("main/0", { code: 0 })),
      0,
      ["ShutdownStarted"],
    ],
  ];
  for (const [name, of, happens, code, phases] of cases) {
    const first = new FakeServer(of);
    await first.begin();
    assert.equal(first.phase, "Running");
    await happens(first);
    assert.match(first.init.saved.get("state") ?? "", /"phase":"Running".*"stop":/, name);
    const second = successor(first, of);
    await second.begin();
    await second.clock.advance(30_000);
    assert.equal(second.exitCode, code, name);
    assert.deepEqual(
      second.transitions.slice(0, phases.length).map(({ to }) => to),
      phases,
      name,
    );
    assert.equal(second.init.processes.length, 2, `${name}: nothing was started`);
  }
});

test("ServerRun stops when its predecessor had a stop on record while it was starting", async () => {
  const plan = planOf([serviceSpec("a", { readinessProbe: notify }), serviceSpec("b", { dependsOn: { a: "ready" } })]);
  const first = new FakeServer(plan);
  await first.begin();
  assert.equal(first.phase, "BootstrapComplete");
  first.init.send("SIGTERM");
  const second = successor(first, plan);
  await second.begin();
  await second.clock.advance(100);
  assert.equal(second.exitCode, 0);
  assert.deepEqual(
    second.init.processes.map(({ id }) => id),
    ["a/0#1"],
  );
});

test("ServerRun goes on with a stop command and a list of signals where its predecessor was", async () => {
  const steps = [
    { signal: "SIGTERM", waitMs: 2_000 },
    { signal: "SIGUSR1", waitMs: 2_000 },
    { signal: "SIGINT", waitMs: 0 },
  ];
  const plan = planOf([serviceSpec("a", { stop: { command: ["quiesce"], steps, graceMs: 20_000 } })]);
  const sent = ({ init }: FakeServer) => init.find("a/0#1")?.signals.map(({ signal, at }) => [signal, at - from]);
  const one = new FakeServer(plan);
  one.init.behaviour = () => "ignore";
  await one.begin();
  const from = one.clock.now();
  one.init.send("SIGTERM");
  await one.clock.advance(1_000);
  assert.deepEqual(one.init.alive(), ["a/0#1", "a/0#1!stop"]);

  const two = successor(one, plan);
  await two.begin();
  await two.clock.advance(1_000);
  assert.deepEqual(two.init.alive(), ["a/0#1", "a/0#1!stop"], "the command goes on");
  const forget = two.init.forget.bind(two.init);
  two.init.forget = (id) => {
    if (id === "a/0#1!stop") assert.match(two.init.saved.get("state") ?? "", /"command":"done"/, "on record before");
    forget(id);
  };
  two.init.end("a/0#1!stop", { code: 0 });
  await two.clock.advance(1_000);
  assert.deepEqual(sent(two), [["SIGTERM", 2_000]]);

  const three = successor(two, plan);
  await three.begin();
  await three.clock.advance(1_500);
  assert.deepEqual(sent(three), [["SIGUSR1", 4_000]]);

  const four = successor(three, plan);
  await four.begin();
  await four.clock.advance(20_000);
  assert.deepEqual(sent(four), [
    ["SIGINT", 6_000],
    ["SIGKILL", 20_000],
  ]);
  assert.equal(four.init.processes.length, 2);
  assert.equal(four.exitCode, 143);
});

test("ServerRun says when a stop command cannot be started, fails or hangs, and still sends the signals in time", async () => {
  const cases: [RegExp, number, (server: FakeServer) => void][] = [
    [
      /cannot execute "quiesce": not found/,
      0,
      ({ init }) => {
        init.spawnFailure = (id) => (id.endsWith("!stop") ? { ok: false, stage: "exec", errno: "ENOENT" } : undefined);
      },
    ],
    [
      /it exited with code 3/,
      500,
      ({ init, clock }) => {
        void clock.until(clock.now() + 500).then(() => init.end("a/0#1!stop", { code: 3 }));
      },
    ],
    [/did not end within 15 s, 75 % of the grace, and was killed/, 15_000, () => {}],
  ];
  for (const [words, at, prepare] of cases) {
    const stop = { command: ["quiesce"], steps: [{ signal: "SIGTERM", waitMs: 0 }], graceMs: 20_000 };
    const server = new FakeServer(planOf([serviceSpec("a", { stop })]));
    await server.begin();
    const from = server.clock.now();
    prepare(server);
    server.init.send("SIGTERM");
    await server.clock.advance(25_000);
    assert.deepEqual(
      server.init.find("a/0#1")?.signals.map(({ signal, at }) => [signal, at - from]),
      [["SIGTERM", at]],
    );
    assert.match(server.warnings.join("\n"), words);
    assert.equal(server.exitCode, 0);
  }
});

test("ServerRun does not end 0 by itself when a required service failed or never started", async () => {
  const never = { ...serviceSpec("x").restart, policy: "never" } as const;
  const job = (change: object) =>
    serviceSpec("job", { type: "oneshot", restart: never, onFailure: "ignore", ...change });
  const web = serviceSpec("web", { dependsOn: { job: "completed" } });
  const cases: [Plan, number, number][] = [
    [planOf([job({})]), 5, 5],
    [planOf([job({ type: "long-running" })]), 9, 9],
    [planOf([job({}), web]), 5, 5],
    [planOf([job({ required: false }), web]), 5, 1],
    [planOf([job({ required: false }), { ...web, name: "main" }], { main: "main" }), 5, 1],
    [planOf([job({ required: false }), { ...web, required: false }]), 5, 0],
    [planOf([job({})]), 0, 0],
  ];
  for (const [i, [plan, exit, expected]] of cases.entries()) {
    const server = new FakeServer(plan);
    await server.begin();
    server.init.end("job/0", { code: exit });
    await server.clock.advance(100);
    assert.equal(server.exitCode, expected, `case ${i}`);
  }
});

test("ServerRun ends 0 after a requested stop whose failed service was to be ignored", async () => {
  const never = { ...serviceSpec("x").restart, policy: "never" } as const;
  const server = new FakeServer(
    planOf([serviceSpec("job", { restart: never, onFailure: "ignore" }), serviceSpec("web")]),
  );
  await server.begin();
  server.init.end("job/0", { code: 5 });
  await settle();
  server.init.send("SIGTERM");
  await server.clock.advance(100);
  assert.equal(server.exitCode, 0);
});

test("ServerRun does not take a service for started that could not be executed", async () => {
  const plan = planOf([
    serviceSpec("a", { required: false, onFailure: "ignore" }),
    serviceSpec("b", { dependsOn: { a: "started" } }),
    serviceSpec("c", { required: false, onFailure: "restart" }),
    serviceSpec("d", { required: false, dependsOn: { c: "started" } }),
  ]);
  const server = new FakeServer(plan);
  server.init.spawnFailure = (id) => (/^[ac]/.test(id) ? { ok: false, stage: "exec", errno: "ENOENT" } : undefined);
  await server.begin();
  assert.equal(server.state("a"), "Failed");
  assert.equal(server.state("b"), "Waiting");
  await server.clock.advance(2_000);
  assert.equal(server.state("d"), "Waiting");
  server.init.spawnFailure = undefined;
  await server.clock.advance(30_000);
  assert.equal(server.state("d"), "Ready");
});

test("ServerRun starts what waits for started or healthy as soon as that is so", async () => {
  const plan = planOf([
    serviceSpec("a", { readinessProbe: notify }),
    serviceSpec("b", { dependsOn: { a: "started" } }),
    serviceSpec("c", { livenessProbe: probe }),
    serviceSpec("d", { dependsOn: { c: "healthy" } }),
  ]);
  const server = new FakeServer(plan);
  server.probes.set("c", { ok: false, reason: "not yet" });
  await server.begin();
  assert.deepEqual([server.state("a"), server.state("b")], ["Starting", "Ready"]);
  assert.deepEqual([server.state("c"), server.state("d")], ["Ready", "Waiting"]);
  server.probes.set("c", { ok: true });
  await server.clock.advance(1_000);
  assert.equal(server.state("d"), "Ready");
});

const tcpSpec = (name: string): ListenerSpec => ({
  name,
  address: { kind: "tcp", host: "127.0.0.1", port: 1, ipv6Only: false },
  key: "k",
  backlog: 1,
  reusePort: false,
  passAs: "systemd",
  envName: "",
});

function fakeSockets(some: Partial<Sockets>): Sockets {
  return {
    bind: (spec) => Promise.resolve({ spec, fd: 7 }),
    adopt: (spec, fd) => ({ spec, fd }),
    asIs: (spec, fd) => ({ spec, fd }),
    bindPrivate: (listener) => listener,
    isReachable: () => true,
    isBlocking: () => true,
    takeBack() {},
    setMode() {},
    remove() {},
    leave: (listener) => listener,
    close() {},
    ...some,
  };
}

test("openListeners does not wait for the tries of one listener when another cannot be had", async () => {
  const sockets = fakeSockets({
    bind: ({ name }, signal) =>
      new Promise((_, reject) => {
        const refuse = () => reject(new EntryError("os", `cannot bind ${name}`));
        if (name === "denied") refuse();
        else signal.addEventListener("abort", refuse);
      }),
  });
  const specs = ["retried", "denied"].map(tcpSpec);
  const parts = { init: new FakeInit(new ManualClock()), sockets, log: silentLog };
  await assert.rejects(
    openListeners(specs, parts, new AbortController().signal),
    (error: EntryError) =>
      error.problems.map(({ message }) => message).join() === "cannot bind retried,cannot bind denied",
  );
});

test("openListeners asks the init for no more when it has no room, says so once, and closes all", async () => {
  const closed: string[] = [];
  const removed: string[] = [];
  const sockets = fakeSockets({
    close: ({ spec }) => closed.push(spec.name),
    remove: ({ spec }) => removed.push(spec.name),
  });
  const init = new FakeInit(new ManualClock());
  const asked: string[] = [];
  init.hold = async (name) => {
    asked.push(name);
    if (name === "listener:b") throw new EntryError("os", "the init has no room");
  };
  await assert.rejects(
    openListeners(
      ["a", "b", "c", "d"].map(tcpSpec),
      { init, sockets, log: silentLog },
      new AbortController().signal,
      new Map([["c", 9]]),
    ),
    ({ problems }: EntryError) => problems.map(({ message }) => message).join() === "the init has no room",
  );
  assert.deepEqual(asked.length, asked.indexOf("listener:b") + 1);
  assert.deepEqual(closed.sort(), ["a", "b", "c", "d"]);
  // what was inherited is the other generation's
  assert.deepEqual(removed.sort(), ["a", "b", "d"]);
});

test("waitsText names a few listeners, and counts the others", () => {
  const waits = (count: number) => new Map(Array.from({ length: count }, (_, i) => [`l${i}`, "is in use"] as const));
  assert.equal(waitsText(waits(0)), "");
  assert.equal(waitsText(waits(1)), 'listener "l0": is in use');
  assert.equal(
    waitsText(waits(200)),
    'listener "l0": is in use; listener "l1": is in use; listener "l2": is in use; and 197 more',
  );
});

test("ServerRun tells once of all listeners that wait, and once of those that were opened together", async () => {
  const address = { kind: "tcp", host: "127.0.0.1", port: 1, ipv6Only: false } as const;
  const common = { address, key: "k", backlog: 1, reusePort: false, passAs: "systemd", envName: "" } as const;
  const listeners = Array.from({ length: 200 }, (_, i) => ({ ...common, name: `l${i}` }));
  const free = new Map<string, () => void>();
  const server = new FakeServer(planOf([serviceSpec("a")], { listeners }), {
    bind: (spec, _signal, inUse) =>
      new Promise<BoundListener>((bound) => {
        free.set(spec.name, () => bound({ spec, fd: 3 }));
        inUse?.("is in use");
      }),
  });
  const told: number[] = [];
  let last = server.run.store.snapshot.listeners;
  server.run.store.subscribe({
    snapshot: (snapshot) => {
      if (snapshot.listeners !== last) told.push(snapshot.listeners.filter(({ waits }) => waits !== undefined).length);
      last = snapshot.listeners;
    },
  });
  await server.begin();
  await server.clock.advance(1_000);
  assert.deepEqual(told, [200]);
  for (const { name } of listeners.slice(0, 150)) free.get(name)?.();
  await server.clock.advance(1_000);
  assert.deepEqual(told, [200, 50]);
  for (const { name } of listeners.slice(150)) free.get(name)?.();
  await settle();
  assert.deepEqual(told, [200, 50, 0]);
  assert.equal(server.phase, "Running");
});

test("ServerRun takes a SIGTERM that is told again, because its acknowledgement was lost, for the same one", async () => {
  const plan = planOf([serviceSpec("a")]);
  const first = new FakeServer(plan);
  await first.begin();
  const sequence = first.init.send("SIGTERM");
  // on record, and nothing has been done yet
  const second = successor(first, plan, () => 50);
  await second.begin();
  second.init.send("SIGTERM", { sequence });
  await second.clock.advance(100);
  assert.equal(second.exitCode, 0);
});
