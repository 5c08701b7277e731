import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeConnections } from "../../test/fakes/fake-connections.js";
import { FakeServer, planOf, serviceSpec, silentLog } from "../../test/fakes/fake-server.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import type { ListenerSpec } from "../core/plan.js";
import { DrainWatch } from "./drain-watch.js";
import type { Log } from "./ports.js";

function listenerSpec(name: string): ListenerSpec {
  const address = { kind: "tcp", host: "127.0.0.1", port: 1, ipv6Only: false } as const;
  return { name, address, key: name, backlog: 1, reusePort: false, passAs: "systemd", envName: "" };
}

function open(stopSince?: number) {
  const clock = new ManualClock();
  const connections = new FakeConnections();
  const logged: Readonly<Record<string, unknown>>[] = [];
  const keep = (level: string) => (_text: string, fields?: Readonly<Record<string, unknown>>) =>
    logged.push({ level, ...fields });
  const log: Log = { ...silentLog, debug: keep("debug"), info: keep("info"), warn: keep("warn") };
  const listeners = new Map(["http", "grpc"].map((name) => [name, { spec: listenerSpec(name), fd: 0 }]));
  let changes = 0;
  const watch = new DrainWatch({
    connections,
    clock,
    log,
    listeners: () => listeners,
    changed: () => {
      changes += 1;
    },
    stopSince: () => stopSince,
  });
  const view = (listener = "http") => {
    const found = watch.views.find((each) => each.listener === listener);
    assert.ok(found, listener);
    const { connections: now, drained, cut, killed, seconds, done } = found;
    return { connections: now, drained, cut, killed, seconds, done };
  };
  return { clock, connections, logged, watch, view, changes: () => changes };
}

const web = { instance: "web/0", pid: 10, listeners: ["http"] };
const api = { instance: "api/0", pid: 11, listeners: ["http", "grpc"] };

test("DrainWatch counts as drained what ended while the process was there", async () => {
  const { clock, connections, logged, watch, view } = open();
  connections.open.set("http web/0", 5);
  watch.begin([web]);
  await settle();
  assert.deepEqual(view(), { connections: 5, drained: 0, cut: 0, killed: 0, seconds: 0, done: false });
  connections.open.set("http web/0", 2);
  await clock.advance(100);
  assert.deepEqual(view(), { connections: 2, drained: 3, cut: 0, killed: 0, seconds: 0.1, done: false });
  connections.open.set("http web/0", 0);
  await clock.advance(100);
  watch.ended("web/0", "exited");
  assert.deepEqual(view(), { connections: 0, drained: 5, cut: 0, killed: 0, seconds: 0.2, done: true });
  assert.deepEqual(logged, [
    { level: "info", listener: "http", drained: 5, cut: 0, killed: 0, seconds: 0.2, exact: true },
  ]);
});

test("DrainWatch counts as cut what was open when the process was killed, died of the signal, or left at once", async () => {
  for (const [how, expected] of [
    ["killed", { cut: 2, killed: 1 }],
    ["signalled", { cut: 2, killed: 0 }],
  ] as const) {
    const { clock, connections, watch, view } = open();
    connections.open.set("http web/0", 2);
    watch.begin([web]);
    await clock.advance(1_000);
    watch.ended("web/0", how);
    const { cut, killed, drained } = view();
    assert.deepEqual({ cut, killed }, expected, how);
    assert.equal(drained, 0);
  }
  const { connections, watch, view, logged } = open();
  connections.open.set("http web/0", 2);
  watch.begin([web]);
  await settle();
  watch.ended("web/0", "exited");
  await settle();
  assert.equal(view().cut, 2);
  assert.equal(logged[0]?.level, "warn");
});

test("DrainWatch takes the end of a process that drained for the end of its last connections, but not of many", async () => {
  for (const [left, drained, cut] of [
    [2, 9, 0],
    [3, 6, 3],
  ] as const) {
    const { clock, connections, watch, view } = open();
    connections.open.set("http web/0", 9);
    watch.begin([web]);
    connections.open.set("http web/0", left);
    await clock.advance(1_000);
    watch.ended("web/0", "exited");
    await settle();
    assert.deepEqual([view().drained, view().cut], [drained, cut]);
  }
});

test("DrainWatch counts as drained what a process passed on before it ended, however fast that was", async () => {
  const { connections, watch, view } = open();
  connections.open.set("http web/0", 9);
  watch.begin([web]);
  await settle();
  connections.open.delete("http web/0");
  connections.moved.set("http web/0", 8);
  watch.ended("web/0", "exited");
  await settle();
  assert.deepEqual([view().connections, view().drained, view().cut, view().done], [0, 8, 1, true]);
});

test("DrainWatch.drained is true when the instances have no connection left, and false at the deadline", async () => {
  const { clock, connections, watch } = open();
  connections.open.set("http web/0", 1).set("http api/0", 1).set("grpc api/0", 1);
  const outcomes: string[] = [];
  const start = clock.now();
  const tell = (name: string) => (value: boolean) => outcomes.push(`${name} ${value} ${clock.now() - start < 600}`);
  void watch.drained([web], start + 10_000).then(tell("web"));
  void watch.drained([web, api], start + 2_000).then(tell("both"));
  void watch.drained([], start + 2_000).then(tell("none"));
  await clock.advance(400);
  assert.deepEqual(outcomes, ["none true true"]);
  connections.open.set("http web/0", 0);
  await clock.advance(110);
  assert.deepEqual(outcomes, ["none true true", "web true true"]);
  await clock.advance(2_000);
  assert.deepEqual(outcomes, ["none true true", "web true true", "both false false"]);
  let ended: boolean | undefined;
  void watch.drained([api], clock.now() + 2_000).then((value) => {
    ended = value;
  });
  await settle();
  watch.ended("api/0", "killed");
  await settle();
  assert.equal(ended, true);
});

test("DrainWatch waits for connections that their client has left, and does not count them", async () => {
  const { clock, connections, watch, view } = open();
  connections.deserted.set("http web/0", 2);
  let drained: boolean | undefined;
  void watch.drained([web], clock.now() + 10_000).then((value) => {
    drained = value;
  });
  await clock.advance(100);
  assert.equal(drained, undefined);
  connections.deserted.clear();
  await clock.advance(200);
  assert.equal(drained, true);
  watch.ended("web/0", "exited");
  assert.deepEqual([view().drained, view().cut], [0, 0]);
});

test("DrainWatch looks less often while nothing changes, and not at all when nothing stops", async () => {
  const { clock, connections, watch, changes } = open();
  connections.open.set("http web/0", 1);
  watch.begin([web]);
  await clock.advance(10_000);
  assert.ok(connections.looks > 90 && connections.looks < 120, String(connections.looks));
  assert.equal(changes(), 1);
  watch.ended("web/0", "exited");
  await clock.advance(10_000);
  const { looks } = connections;
  await clock.advance(10_000);
  assert.equal(connections.looks, looks);
});

test("DrainWatch keeps the figures of a listener apart by stop, and adds those of one shutdown", async () => {
  for (const [stopSince, drained] of [
    [undefined, 1],
    [0, 4],
  ] as const) {
    const { clock, connections, watch, view } = open(stopSince);
    for (const count of [3, 1]) {
      connections.open.set("http web/0", count);
      watch.begin([web]);
      await clock.advance(100);
      connections.open.set("http web/0", 0);
      await clock.advance(200);
      watch.ended("web/0", "exited");
    }
    assert.equal(view().drained, drained);
  }
});

test("DrainWatch counts connections of processes that cannot be seen with the last of them", async () => {
  const { clock, connections, watch, view } = open();
  connections.exact = false;
  connections.open.set("http", 6);
  watch.begin([web, api]);
  await clock.advance(100);
  connections.open.set("http", 4);
  await clock.advance(200);
  watch.ended("web/0", "killed");
  assert.deepEqual([view().connections, view().drained, view().cut], [4, 2, 0]);
  watch.ended("api/0", "killed");
  assert.deepEqual([view().connections, view().drained, view().cut, view().killed], [0, 2, 4, 2]);
  assert.equal(watch.views[0]?.exact, false);
});

test("DrainWatch takes for cut what the kernel has closed of a killed process before its end is known, while others drain on", async () => {
  const { clock, connections, watch, view } = open();
  connections.open.set("http web/0", 5).set("http api/0", 3).set("grpc api/0", 2);
  watch.begin([web, api]);
  connections.open.set("http web/0", 4);
  await clock.advance(200);
  watch.killing("web/0");
  connections.open.delete("http web/0");
  connections.open.set("http api/0", 1);
  await clock.advance(200);
  assert.deepEqual(view(), { connections: 5, drained: 3, cut: 0, killed: 0, seconds: 0.4, done: false });
  watch.ended("web/0", "killed");
  connections.open.delete("http api/0");
  connections.open.delete("grpc api/0");
  await clock.advance(200);
  watch.ended("api/0", "exited");
  assert.deepEqual(view(), { connections: 0, drained: 4, cut: 4, killed: 1, seconds: 0.6, done: true });
  assert.deepEqual([view("grpc").drained, view("grpc").cut], [2, 0]);
  // the next process of the same instance is another one
  connections.open.set("http web/0", 2);
  watch.begin([web]);
  connections.open.delete("http web/0");
  await clock.advance(200);
  watch.ended("web/0", "exited");
  assert.deepEqual([view().drained, view().cut], [2, 0]);
});

test("DrainWatch takes for cut what processes had that cannot be seen, when the last of them has been sent SIGKILL", async () => {
  const { clock, connections, watch, view } = open();
  connections.exact = false;
  connections.open.set("http", 6);
  watch.begin([web, api]);
  watch.killing("web/0");
  connections.open.set("http", 4);
  await clock.advance(200);
  watch.killing("api/0");
  connections.open.delete("http");
  await clock.advance(200);
  watch.ended("web/0", "killed");
  watch.ended("api/0", "killed");
  assert.deepEqual([view().drained, view().cut, view().killed], [2, 4, 2]);
});

test("ServerRun counts as cut what a process had when SIGKILL was sent, however late its end is told", async () => {
  for (const hurry of [false, true]) {
    const plan = planOf([serviceSpec("web", { listeners: ["http"] })], { listeners: [listenerSpec("http")] });
    const server = new FakeServer(plan);
    const { init, connections, clock } = server;
    init.behaviour = () => "ignore";
    const signal = init.signal.bind(init);
    init.signal = (id, name, scope) => {
      if (name !== "SIGKILL") return signal(id, name, scope);
      connections.open.delete("http web/0");
      return clock.until(clock.now() + 300).then(() => signal(id, name, scope));
    };
    await server.begin();
    connections.open.set("http web/0", 3);
    init.send("SIGTERM");
    await clock.advance(1_000);
    if (hurry) init.send("SIGINT");
    await clock.advance(40_000);
    const [drain] = server.run.store.snapshot.drains ?? [];
    assert.deepEqual([drain?.drained, drain?.cut, drain?.killed, drain?.done], [0, 3, 1, true], `hurry ${hurry}`);
  }
});

test("ServerRun reports what became of connections, and stops as fast when they cannot be counted", async () => {
  const plan = planOf([serviceSpec("web", { listeners: ["http"] }), serviceSpec("other")], {
    listeners: [listenerSpec("http")],
  });
  const server = new FakeServer(plan);
  server.init.behaviour = (process) => (process.id.startsWith("web/") ? "ignore" : 10);
  await server.begin();
  server.connections.open.set("http web/0", 3);
  server.init.send("SIGTERM");
  await server.clock.advance(1_000);
  assert.equal(server.run.store.snapshot.drains?.[0]?.connections, 3);
  server.connections.open.set("http web/0", 1);
  await server.clock.advance(30_000);
  const [drain] = server.run.store.snapshot.drains ?? [];
  assert.deepEqual([drain?.drained, drain?.cut, drain?.killed, drain?.done], [2, 1, 1, true]);
  assert.equal(server.exitCode, 143);

  const blind = new FakeServer(plan);
  blind.connections.failure = new Error("no /proc");
  await blind.begin();
  blind.init.send("SIGTERM");
  await blind.clock.advance(10);
  assert.equal(blind.exitCode, 0);
});
