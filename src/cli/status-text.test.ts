import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstanceView, ServiceView, Snapshot } from "../core/snapshot.js";
import { serviceChanges, transitionText, upgradeChanges } from "./status-changes.js";
import { statusLines } from "./status-text.js";

const now = 1_700_000_000_000;

function instance(service: string, more: Partial<InstanceView> = {}): InstanceView {
  return { id: `${service}/0`, state: "Ready", since: now - 60_000, pid: 17, reason: "", restarts: 0, ...more };
}

function service(name: string, more: Partial<ServiceView> = {}): ServiceView {
  const state = more.state ?? "Ready";
  return {
    name,
    type: "long-running",
    required: true,
    dependsOn: {},
    listeners: [],
    state,
    since: now - 60_000,
    reason: "",
    ready: state === "Ready",
    instances: [instance(name, { state })],
    restartsByReason: {},
    wave: 0,
    ...more,
  };
}

function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return {
    revision: 1,
    phase: "Running",
    phaseSince: now - 7_265_000,
    startedAt: now - 7_270_000,
    generation: 1,
    release: "",
    version: "0.1.0",
    pid: 7,
    services: [],
    listeners: [],
    orphansReaped: 0,
    supervisorRestarts: 0,
    readyDuringDrain: false,
    ...more,
  };
}

const plain = { now, colours: false };

test("statusLines shows every service with what an operator asks first", () => {
  const services = [
    service("migrate", {
      type: "oneshot",
      state: "Stopped",
      ready: true,
      reason: "exit code 0",
      instances: [{ id: "migrate/0", state: "Stopped", since: now - 7_000_000, reason: "exit code 0", restarts: 0 }],
    }),
    service("cache"),
    service("web", {
      state: "Backoff",
      since: now - 800,
      reason: "exit code 1",
      instances: [instance("web", { state: "Backoff", reason: "exit code 1", restarts: 3, until: now + 1_240 })],
    }),
    service("tail", {
      required: false,
      state: "Starting",
      reason: "readiness probe: connection refused on 127.0.0.1:1",
      instances: [
        instance("tail", {
          state: "Starting",
          restarts: 1,
          lastExit: { code: 137, signal: "SIGKILL", at: now - 61_000 },
        }),
      ],
    }),
  ];
  const listeners = [{ name: "http", address: "tcp 0.0.0.0:8080", services: ["web"] }];
  assert.deepEqual(statusLines(snapshot({ services, listeners, orphansReaped: 1, supervisorRestarts: 2 }), plain), [
    "Running for 2h1m, not ready",
    "pingora-entry 0.1.0, supervisor pid 7, up 2h1m, 2 supervisor restarts, 1 orphan reaped",
    "",
    "SERVICE  STATE     READY          RESTARTS  PID  SINCE  REASON",
    "migrate  Stopped   yes            0         -    1m     exit code 0",
    "cache    Ready     yes            0         17   1m",
    "web      Backoff   no             3         17   0.8s   exit code 1; again in 1.2s",
    "tail     Starting  no (optional)  1         17   1m     readiness probe: connection refused on 127.0.0.1:1; last death of SIGKILL, 1m1s ago",
    "",
    "LISTENER  ADDRESS           SERVICES",
    "http      tcp 0.0.0.0:8080  web",
  ]);
});

test("statusLines shows the instances of a service that has several", () => {
  const instances = [
    instance("web"),
    instance("web", { id: "web/1", state: "Failed", reason: "exit code 1", restarts: 5 }),
  ];
  const lines = statusLines(snapshot({ services: [service("web", { state: "Failed", instances })] }), plain).slice(4);
  assert.deepEqual(lines, [
    "web      Failed  no     5         -    1m",
    "  web/0  Ready          0         17   1m",
    "  web/1  Failed         5         17   1m     exit code 1",
  ]);
});

test("statusLines counts down the shutdown plan", () => {
  const shutdown = {
    cause: "SIGTERM",
    requestedAt: now - 3_000,
    deadlineAt: now + 21_000,
    lameDuckUntil: now - 500,
    waves: [
      { services: ["web"], deadlineAt: now + 2_000, graceMs: 5_000, done: true },
      { services: ["api", "worker"], deadlineAt: now + 8_000, graceMs: 6_000, done: false },
      { services: ["db"], deadlineAt: now + 20_000, graceMs: 12_000, done: false },
    ],
    killed: ["web"],
  };
  const stopping = snapshot({ phase: "ShutdownGracePeriod", phaseSince: now - 2_000, shutdown });
  assert.deepEqual(statusLines(stopping, plain).slice(2), [
    "",
    "stopping: SIGTERM, 3s ago; 21s left",
    "  done                 web",
    "  now   killed in 8s   api, worker",
    "  then  killed in 20s  db",
    "  had to be killed: web",
  ]);
  const duck = statusLines(
    snapshot({ phase: "GracefulTerminate", shutdown: { ...shutdown, lameDuckUntil: now + 1_500, killed: [] } }),
    plain,
  );
  assert.equal(duck[4], "  lame duck: serving on for 1.5s");
  assert.ok(!duck.some((line) => line.startsWith("  now")));
});

test("statusLines never writes beyond the terminal, and cuts nothing where there is none", () => {
  const reason = "x".repeat(300);
  const services = [
    service("web", { state: "Failed", reason, instances: [instance("web", { state: "Failed", reason })] }),
  ];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours take no columns
  const bare = (line: string): string => line.replace(/\x1b\[\d*m/g, "");
  const wave = { services: ["web", "api", "db"], deadlineAt: now + 8_000, graceMs: 6_000, done: false };
  const cause = "service web failed: was killed by SIGKILL";
  const shutdown = { cause, requestedAt: now - 3_000, deadlineAt: now + 9_000, waves: [wave], killed: ["web", "api"] };
  for (const width of [1, 20, 40, 80, 120]) {
    const look = { now, colours: true, width };
    const lines = statusLines(snapshot({ phase: "ShutdownGracePeriod", services, shutdown }), look).map(bare);
    for (const line of lines) assert.ok(line.length <= width, `${width}: ${line}`);
    assert.ok(
      lines.some((line) => line.endsWith("…")),
      `${width}: nothing says that it was cut`,
    );
  }
  assert.ok(statusLines(snapshot({ services }), plain).some((line) => line.includes(reason)));
});

test("upgradeChanges tells each step of an upgrade once, and how it ended", () => {
  const peer = { generation: 2, release: "", build: "b", pid: 9 };
  const ended = { attempt: "a", at: now, seconds: 2, generation: 2, warnings: [] };
  const step = (name: string) => ({ attempt: "a", role: "old" as const, step: name, since: 1, peer });
  const [none, offer] = [snapshot({}), snapshot({ upgrade: step("OFFER") })];
  assert.deepEqual(upgradeChanges(none, offer), ["upgrade OFFER (to generation 2)"]);
  assert.deepEqual(upgradeChanges(offer, offer), []);
  assert.deepEqual(upgradeChanges(offer, snapshot({ upgrade: step("CLAIM") })), ["upgrade CLAIM (to generation 2)"]);
  const lost = snapshot({ lastUpgrade: { ...ended, result: "rolled-back", reason: "not ready", cause: "unready" } });
  assert.deepEqual(upgradeChanges(offer, lost), ["upgrade rolled back: not ready"]);
  assert.deepEqual(upgradeChanges(undefined, lost), []);
  const won = snapshot({ lastUpgrade: { ...ended, result: "completed", reason: "", cause: "none" } });
  assert.deepEqual(upgradeChanges(offer, won), [`upgrade completed: generation ${ended.generation} serves`]);
});

test("serviceChanges tells what is new since the last snapshot", () => {
  const before = snapshot({ services: [service("a"), service("b", { state: "Starting", reason: "not asked yet" })] });
  assert.deepEqual(serviceChanges(undefined, before), ["a: Ready", "b: Starting (not asked yet)"]);
  assert.deepEqual(serviceChanges(before, before), []);
  const after = snapshot({ services: [service("a"), service("b", { state: "Failed", reason: "exit code 1" })] });
  assert.deepEqual(serviceChanges(before, after), ["b: Starting -> Failed (exit code 1)"]);
  const again = snapshot({ services: [service("a"), service("b", { state: "Starting", reason: "HTTP 503" })] });
  assert.deepEqual(serviceChanges(before, again), ["b: Starting (HTTP 503)"]);
  assert.equal(
    transitionText({ from: "Running", to: "GracefulTerminate", event: "Terminate", at: now }),
    "phase Running -> GracefulTerminate (Terminate)",
  );
});

test("statusLines shows what becomes of connections while something stops", () => {
  const drain = {
    listener: "http",
    since: now - 3_000,
    connections: 4,
    drained: 12,
    cut: 1,
    killed: 0,
    seconds: 2.5,
    done: false,
    exact: true,
    cutTotal: 3,
  };
  const lines = (change: Partial<Snapshot>) =>
    statusLines(snapshot(change), plain).filter((line) => line.startsWith("  listener "));
  assert.deepEqual(lines({ drains: [drain] }), ["  listener http: 4 connections open, 12 drained, 1 cut"]);
  assert.deepEqual(lines({ drains: [{ ...drain, done: true }] }), []);
  const shutdown = { cause: "SIGTERM", requestedAt: now - 5_000, deadlineAt: now + 9_000, waves: [], killed: [] };
  assert.deepEqual(lines({ shutdown, drains: [{ ...drain, done: true, connections: 0 }] }), [
    "  listener http: 12 drained, 1 cut",
  ]);
});

test("statusLines shows both generations of an upgrade, what is left of an old one, and how the last upgrade ended", () => {
  const peer = { generation: 2, release: "r2", build: "", pid: 7 };
  const under = {
    attempt: "a",
    role: "old",
    step: "PREPARING",
    since: now - 3_000,
    until: now + 57_000,
    peer,
  } as const;
  assert.ok(
    statusLines(snapshot({ upgrade: under }), plain).includes(
      "upgrade: being replaced by generation 2 (r2): PREPARING for 3s, 57s left",
    ),
  );
  const old = { generation: 1, release: "", build: "", pid: 5, connections: 1 };
  const ended = { attempt: "a", at: now - 60_000, seconds: 2, generation: 2, warnings: [] };
  const lines = statusLines(
    snapshot({
      draining: [{ ...old, generation: 0, release: "r0", connections: 2, deadlineAt: now + 12_000 }, old],
      lastUpgrade: { ...ended, result: "completed", reason: "", cause: "none", warnings: ["the init stayed"] },
    }),
    plain,
  );
  assert.ok(lines.includes("generation 0 (r0) ends its services, pid 5, 2 connections open, killed in 12s"));
  assert.ok(lines.includes("generation 1 ends its services, pid 5, 1 connection open"));
  assert.ok(lines.includes("last upgrade: completed 1m ago, generation 2 serves"));
  assert.ok(lines.includes("  warning: the init stayed"));
  const failed = statusLines(
    snapshot({ lastUpgrade: { ...ended, result: "rolled-back", reason: "not ready", cause: "unready" } }),
    plain,
  );
  assert.ok(failed.includes("last upgrade: rolled back 1m ago: not ready"));
});
