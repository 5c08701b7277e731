import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually } from "../../../test/integration/eventually.js";
import { type Family, parseMetrics } from "../../../test/integration/http/parse-metrics.js";
import { serviceView, snapshotOf } from "../../../test/integration/http/stage.js";
import type { Snapshot } from "../../core/snapshot.js";
import { createMetrics } from "./create-metrics.js";
import { EventTally } from "./event-tally.js";
import { type MetricRow, metricTable, prefix } from "./metric-table.js";

function open(snapshot: Snapshot) {
  const tally = new EventTally();
  let current = snapshot;
  const metrics = createMetrics({
    snapshot: () => current,
    tally,
    build: "abc",
    wall: () => 20_000,
    dropped: () => ({ stdout: 5, stderr: 0 }),
  });
  return {
    tally,
    metrics,
    set: (change: Partial<Snapshot>) => {
      current = { ...current, ...change, revision: current.revision + 1 };
      tally.snapshot(current);
    },
    read: async (accept?: string) => {
      const { body } = await metrics.render(accept);
      return parseMetrics(body.toString(), accept?.includes("openmetrics"));
    },
  };
}

const value = (
  families: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined => {
  const family = [...families.values()].find((each) => each.samples.some((sample) => sample.name === prefix + name));
  const matching = family?.samples.filter(
    (sample) =>
      sample.name === prefix + name && Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  );
  assert.ok((matching?.length ?? 0) <= 1, `${name} ${JSON.stringify(labels)} is not one sample`);
  return matching?.[0]?.value;
};

const odd = 'we"ird\\na\nme';

test("createMetrics shows the snapshot in text that parses strictly, odd names included", async () => {
  const services = [
    serviceView("web", { restartsByReason: { exit: 2, probe: 1 } }),
    serviceView(odd, { state: "Backoff" }),
  ];
  const stage = open(snapshotOf(services, { orphansReaped: 3, supervisorRestarts: 1, generation: 2 }));
  const families = await stage.read();
  assert.equal(value(families, "phase", { phase: "Running" }), 1);
  assert.equal(value(families, "phase", { phase: "Setup" }), 0);
  assert.equal(value(families, "ready"), 0);
  assert.equal(value(families, "service_state", { service: odd, state: "Backoff" }), 1);
  assert.equal(value(families, "service_state", { service: odd, state: "Ready" }), 0);
  assert.equal(value(families, "service_restarts_total", { service: "web", reason: "exit" }), 2);
  assert.equal(value(families, "service_restarts_total", { service: "web", reason: "request" }), 0);
  assert.equal(value(families, "orphans_reaped_total"), 3);
  assert.equal(value(families, "supervisor_restarts_total"), 1);
  assert.equal(value(families, "generation_info", { generation: "2", release: "r1", build: "abc" }), 1);
  assert.equal(value(families, "build_info", { version: "0.0.0", node: process.version }), 1);
  assert.equal(value(families, "output_dropped_bytes_total", { stream: "stdout" }), 5);
  assert.ok(
    (value(families, "service_resident_memory_bytes", { service: "web" }) ?? 0) > 10e6,
    "this process, at least",
  );
  assert.ok((value(families, "service_cpu_seconds_total", { service: "web" }) ?? 0) > 0);
  assert.equal(value(families, "shutdown_deadline_timestamp_seconds"), undefined);
});

test("createMetrics has the stop's figures while one is in progress only", async () => {
  const stage = open(snapshotOf([serviceView("web")]));
  const shutdown = { cause: "SIGTERM", requestedAt: 18_500, deadlineAt: 45_000, waves: [], killed: [] };
  stage.set({ shutdown, phase: "ShutdownGracePeriod" });
  const during = await stage.read();
  assert.equal(value(during, "shutdown_deadline_timestamp_seconds"), 45);
  assert.equal(value(during, "shutdown_seconds"), 1.5);
  stage.set({ shutdown: undefined, phase: "Running" });
  await eventually(async () => value(await stage.read(), "shutdown_seconds") === undefined);
});

test("createMetrics has what became of connections, for every listener from the start", async () => {
  const listeners = ["http", "grpc"].map((name) => ({ name, address: "tcp 0.0.0.0:1", services: [] }));
  const stage = open(snapshotOf([serviceView("web")], { listeners }));
  const before = await stage.read();
  for (const listener of ["http", "grpc"]) {
    assert.equal(value(before, "drain_connections", { listener }), 0);
    assert.equal(value(before, "connections_cut_total", { listener }), 0);
  }
  const drain = {
    listener: "http",
    since: 1,
    connections: 4,
    drained: 12,
    cut: 1,
    killed: 0,
    seconds: 2.5,
    done: false,
    exact: true,
    cutTotal: 3,
  };
  stage.set({ drains: [drain] });
  await eventually(async () => value(await stage.read(), "drain_connections", { listener: "http" }) === 4);
  assert.equal(value(await stage.read(), "connections_cut_total", { listener: "http" }), 3);
});

test("createMetrics has what became of upgrades, every reason from the start", async () => {
  const stage = open(snapshotOf([serviceView("web")]));
  stage.set({});
  const before = await stage.read();
  for (const [result, reason] of [
    ["completed", "none"],
    ["rolled-back", "service"],
    ["busy", "busy"],
  ] as const)
    assert.equal(value(before, "upgrade_attempts_total", { result, reason }), 0);
  assert.equal(value(before, "handover_sockets"), 0);
  const peer = { generation: 1, release: "", build: "", pid: 7 };
  stage.set({ upgrade: { attempt: "a", role: "new", step: "PROBATION", since: 1_000, sockets: 4, peer } });
  const lastUpgrade = {
    attempt: "a",
    result: "completed",
    reason: "",
    cause: "none",
    at: 3_000,
    seconds: 5,
    generation: 2,
    warnings: [],
  } as const;
  stage.set({ upgrade: undefined, lastUpgrade });
  await eventually(
    async () => value(await stage.read(), "upgrade_attempts_total", { result: "completed", reason: "none" }) === 1,
  );
  const families = await stage.read();
  assert.equal(value(families, "handover_sockets"), 4);
  assert.equal(value(families, "upgrade_seconds_sum", { step: "PROBATION" }), 2);
  assert.equal(value(families, "upgrade_seconds_sum", { step: "all" }), 5);
});

test("createMetrics writes the same figures as OpenMetrics when that is preferred", async () => {
  const stage = open(snapshotOf([serviceView("web", { restartsByReason: { exit: 2 } })]));
  const prometheus =
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
  const families = await stage.read(prometheus);
  assert.equal(value(families, "service_restarts_total", { service: "web", reason: "exit" }), 2);
  assert.equal(families.get(`${prefix}service_restarts`)?.type, "counter");
  const { type } = await stage.metrics.render(prometheus);
  assert.match(type, /^application\/openmetrics-text; version=1\.0\.0/);
  for (const accept of [undefined, "*/*", "text/plain", "text/plain;q=0.9,application/openmetrics-text;q=0.1"]) {
    const text = await stage.metrics.render(accept);
    assert.match(text.type, /^text\/plain; version=0\.0\.4/, accept);
    assert.equal(
      value(parseMetrics(text.body.toString()), "service_restarts_total", { service: "web", reason: "exit" }),
      2,
    );
  }
});

test("createMetrics renders once for any number of readers, and again after a change", async () => {
  const stage = open(snapshotOf([serviceView("web")]));
  const [first, second] = [stage.metrics.render(undefined), stage.metrics.render("text/plain")];
  assert.equal(first, second);
  await first;
  stage.set({ orphansReaped: 9 });
  await eventually(async () => value(await stage.read(), "orphans_reaped_total") === 9, 1_000);
});

test("every metric keeps the rules that promtool checks", async () => {
  const families = await open(snapshotOf([serviceView("web")])).read();
  for (const { name, type, help, samples } of families.values()) {
    assert.ok(help !== "" && type !== "", name);
    assert.equal(type === "counter", name.endsWith("_total"), `${name} is a ${type}`);
    assert.doesNotMatch(
      name,
      /_(milliseconds|ms|minutes|kb|kilobytes|percent|count|sum|bucket|gauge|counter|histogram)(_|$)/,
      name,
    );
    for (const { labels } of samples) for (const label of Object.keys(labels)) assert.match(label, /^[a-z_]+$/);
  }
});

test("the reference names exactly what is served", async () => {
  const families = await open(snapshotOf([serviceView("web")])).read();
  const served = [...families.keys()].sort();
  const page = readFileSync("docs/reference/metrics.md", "utf8");
  const written = [...page.matchAll(/^\| `([a-z_]+)(?:\{([a-z,]*)\})?` \|/gm)].map(([, name = "", labels = ""]) => ({
    name,
    labels,
  }));
  assert.deepEqual(written.map(({ name }) => name).sort(), served);
  for (const row of Object.values(metricTable) as readonly MetricRow[])
    assert.equal(written.find(({ name }) => name === prefix + row.name)?.labels, row.labels.join(","), row.name);
});
