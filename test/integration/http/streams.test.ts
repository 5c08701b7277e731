import assert from "node:assert/strict";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import type { Phase } from "../../../src/core/phase.js";
import { serviceSpec } from "../../fakes/fake-server.js";
import { eventually } from "../eventually.js";
import { Stage, serviceView, snapshotOf } from "./stage.js";

const one = snapshotOf([serviceView("web")]);
const change = (from: Phase, to: Phase) => ({ from, to, event: "Terminate", at: 5 });

/** A reader that stays. */
class Reader {
  text = "";
  status = 0;
  ended = false;
  response: IncomingMessage | undefined;
  readonly call: ClientRequest;

  constructor(
    stage: Stage,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    where: "tcp" | "unix" = "tcp",
  ) {
    const to = where === "tcp" ? { host: "127.0.0.1", port: stage.port } : { socketPath: stage.socket };
    this.call = request({ ...to, path, headers, agent: false }, (response) => {
      this.response = response;
      this.status = response.statusCode ?? 0;
      response.setEncoding("utf8").on("data", (text: string) => {
        this.text += text;
      });
      response.on("error", () => {});
      response.on("close", () => {
        this.ended = true;
      });
    });
    this.call.on("error", () => {
      this.ended = true;
    });
    this.call.end();
  }

  events(name: string): { id?: string; data: Record<string, unknown> }[] {
    return this.text.split("\n\n").flatMap((block) => {
      const fields = Object.fromEntries(
        block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]),
      );
      return fields.event === name ? [{ ...fields, data: JSON.parse(fields.data ?? "{}") }] : [];
    });
  }

  [Symbol.dispose](): void {
    this.call.destroy();
  }
}

test("/events tells the snapshot at once, every transition in order, and the newest snapshot", async () => {
  await using stage = await Stage.open(one);
  using reader = new Reader(stage, "/events");
  await eventually(() => reader.events("snapshot").length === 1);
  assert.equal(reader.response?.headers["content-type"], "text/event-stream; charset=utf-8");
  assert.match(reader.text, /^retry: \d+\n\n/);
  assert.equal(reader.events("snapshot")[0]?.data.ready, true);
  assert.match(reader.events("snapshot")[0]?.id ?? "", /^[\w-]+\.0$/);
  stage.control.transition(change("Running", "GracefulTerminate"));
  stage.control.transition(change("GracefulTerminate", "ShutdownStarted"));
  await eventually(() => reader.events("snapshot").at(-1)?.data.phase === "ShutdownStarted");
  assert.deepEqual(
    reader.events("transition").map(({ data }) => data.to),
    ["GracefulTerminate", "ShutdownStarted"],
  );
});

test("/events repeats to a reader that comes back what it has missed, and nothing else", async () => {
  await using stage = await Stage.open(one);
  using first = new Reader(stage, "/events");
  await eventually(() => first.events("snapshot").length === 1);
  stage.control.transition(change("Running", "GracefulTerminate"));
  await eventually(() => first.events("transition").length === 1);
  const id = first.events("transition")[0]?.id ?? "";
  first.call.destroy();
  stage.control.transition(change("GracefulTerminate", "Running"));
  using second = new Reader(stage, "/v1/events", { "last-event-id": id }, "unix");
  await eventually(() => second.events("snapshot").length === 1);
  assert.deepEqual(
    second.events("transition").map(({ data }) => data.to),
    ["Running"],
  );
  using stranger = new Reader(stage, "/events", { "last-event-id": "other.0" });
  await eventually(() => stranger.events("snapshot").length === 1);
  assert.equal(stranger.events("transition").length, 0);
});

test("/events resumes from the id of a snapshot, and with a snapshot after the supervisor was restarted", async () => {
  await using stage = await Stage.open(one);
  using first = new Reader(stage, "/events");
  await eventually(() => first.events("snapshot").length === 1);
  const id = first.events("snapshot")[0]?.id ?? "";
  first.call.destroy();
  stage.control.transition(change("Running", "GracefulTerminate"));
  using second = new Reader(stage, "/events", { "last-event-id": id });
  await eventually(() => second.events("snapshot").length === 1);
  assert.deepEqual(
    second.events("transition").map(({ data }) => data.to),
    ["GracefulTerminate"],
  );
  await stage.admin?.close();
  stage.control.current = { ...stage.control.current, pid: 99 };
  await stage.reopen();
  using third = new Reader(stage, "/events", { "last-event-id": second.events("snapshot")[0]?.id ?? "" });
  await eventually(() => third.events("snapshot").length === 1);
  assert.match(third.text, /^retry: 1000\n\nevent: snapshot\nid: /);
});

test("/events tells many changes as few snapshots, the last of them for certain", async () => {
  await using stage = await Stage.open(one);
  using reader = new Reader(stage, "/events");
  await eventually(() => reader.events("snapshot").length === 1);
  for (let n = 1; n <= 500; n++) {
    stage.control.change({ orphansReaped: n });
    if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually(() => reader.events("snapshot").at(-1)?.data.orphansReaped === 500);
  assert.ok(reader.events("snapshot").length < 50, `${reader.events("snapshot").length} snapshots`);
});

test("/events has room for a bounded number of readers", async () => {
  await using stage = await Stage.open(one);
  const readers = Array.from({ length: 70 }, () => new Reader(stage, "/events"));
  await eventually(() => readers.every(({ status }) => status !== 0));
  assert.ok(readers.some(({ status }) => status === 503));
  assert.ok(readers.filter(({ status }) => status === 200).length <= 64);
  for (const reader of readers) reader.call.destroy();
  await eventually(async () => {
    using reader = new Reader(stage, "/events");
    await eventually(() => reader.status !== 0);
    return reader.status === 200;
  });
});

test("close ends the readers with the last snapshot and lets the sockets go", async () => {
  const stage = await Stage.open(one);
  using reader = new Reader(stage, "/events");
  await eventually(() => reader.events("snapshot").length === 1);
  stage.control.change({ phase: "ShutdownRuntimes" });
  const from = performance.now();
  await stage.admin?.close();
  assert.ok(performance.now() - from < 1_000);
  await eventually(() => reader.ended);
  assert.equal(reader.events("snapshot").at(-1)?.data.phase, "ShutdownRuntimes");
  await stage[Symbol.asyncDispose]();
});

const kept = (name: string) => {
  const { process } = serviceSpec(name);
  return serviceSpec(name, process === undefined ? {} : { process: { ...process, output: "prefix" } });
};
let clock = 0;
const line = (service: string, text: string) => ({
  at: ++clock,
  service,
  id: `${service}/0`,
  stream: "stdout" as const,
  text,
});

test("/v1/logs gives the last lines, of all or of one, as text or JSON", async () => {
  await using stage = await Stage.open(one, {}, [kept("web"), kept("db")]);
  for (let n = 0; n < 5; n++) stage.history.record(line(n % 2 === 0 ? "web" : "db", `line ${n}`));
  assert.equal((await stage.unix("/v1/logs?tail=2")).body, "db | line 3\nweb | line 4\n");
  assert.equal((await stage.unix("/v1/logs?service=db")).body, "db | line 1\ndb | line 3\n");
  const answer = await stage.unix("/v1/logs?service=web&tail=1", { headers: { accept: "application/x-ndjson" } });
  assert.deepEqual(JSON.parse(answer.body), { ...line("web", "line 4"), at: 5 });
  assert.equal((await stage.unix("/v1/logs?service=none")).status, 404);
  assert.equal((await stage.unix("/v1/logs?tail=many")).status, 400);
  assert.equal((await stage.tcp("/v1/logs")).status, 403);
});

test("/v1/logs says when there is nothing to show because the output goes past it", async () => {
  await using stage = await Stage.open(one, {}, [kept("web"), serviceSpec("db")]);
  assert.equal((await stage.unix("/v1/logs")).status, 200);
  const answer = await stage.unix("/v1/logs?service=db");
  assert.equal(answer.status, 409);
  assert.match(answer.body, /output: prefix or json is needed/);
});

test("/v1/logs follows, and tells a reader that is too slow how much it has missed", async () => {
  await using stage = await Stage.open(one, {}, [kept("web")]);
  stage.history.record(line("web", "before"));
  using reader = new Reader(stage, "/v1/logs?follow&service=web", {}, "unix");
  await eventually(() => reader.text === "web | before\n");
  stage.history.record(line("web", "after"));
  await eventually(() => reader.text === "web | before\nweb | after\n");
  reader.response?.pause();
  for (let n = 0; n < 30_000; n++) stage.history.record(line("web", `${n} ${"x".repeat(100)}`));
  await new Promise((resolve) => setImmediate(resolve));
  reader.response?.resume();
  await eventually(() => {
    stage.history.record(line("web", "more"));
    return /\npingora-entry \| \d+ lines left out: this reader was too slow\nweb \| more\n/.test(reader.text);
  });
});

test("/status is the snapshot, what the probes make of it, and the server's clock", async () => {
  await using stage = await Stage.open(one);
  const { now, live, ready, started, ...snapshot } = JSON.parse((await stage.tcp("/status")).body);
  assert.deepEqual(snapshot, JSON.parse(JSON.stringify(one)));
  assert.deepEqual([live, ready, started], [true, true, true]);
  assert.ok(Math.abs(now - Date.now()) < 60_000);
  stage.control.change({ phase: "BootstrapComplete" });
  assert.equal(JSON.parse((await stage.unix("/status")).body).ready, false);
});
