import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeInit } from "../../test/fakes/fake-init.js";
import { serviceSpec } from "../../test/fakes/fake-server.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { ExitRouter } from "./exit-router.js";
import type { ServiceWires } from "./ports.js";
import { processBody } from "./process-body.js";

const wires: ServiceWires = { kept: [], fds: [], env: [], started() {}, close() {} };

/** The commands with which three starts of two instances are made. */
async function commands(handsOver: boolean): Promise<readonly string[]> {
  const service = serviceSpec("proxy", {
    upgrade: { ...serviceSpec("x").upgrade, strategy: "own", arguments: ["-u", "now"] },
  });
  const { process } = service;
  assert.ok(process !== undefined);
  const started: string[] = [];
  const body = processBody(
    service,
    process,
    {
      init: new FakeInit(new ManualClock()),
      wiring: { connect: () => wires, resume: () => wires },
      env: {},
      listeners: new Map(),
      handsOver: () => handsOver,
      pass: (argv, env) => {
        started.push(argv.join(" "));
        return { argv, env, pidEnv: [], fds: [] };
      },
      hardLimit: () => undefined,
      drainSignal: () => undefined,
      accepting: () => false,
    },
    new ExitRouter(),
  );
  for (const [id, index] of [
    ["proxy/0#1", 0],
    ["proxy/0#2", 0],
    ["proxy/1#1", 1],
  ] as const)
    await body.start(id, index, () => {});
  return started;
}

test("processBody adds upgrade.arguments to the first start of each instance that a process of the old generation hands over to, and to no other", async () => {
  assert.deepEqual(await commands(true), ["proxy -u now", "proxy", "proxy -u now"]);
  assert.deepEqual(await commands(false), ["proxy", "proxy", "proxy"]);
});

test("processBody says of a working directory that it is no directory, not that a program is missing", async () => {
  const service = serviceSpec("web");
  const init = new FakeInit(new ManualClock());
  const answers = ["ENOENT", "ENOTDIR", "EACCES"];
  init.spawn = () => Promise.resolve({ ok: false, stage: "cwd", errno: answers.shift() ?? "" });
  const { process } = service;
  assert.ok(process !== undefined);
  const body = processBody(
    service,
    { ...process, workingDirectory: "/no/such" },
    {
      init,
      wiring: { connect: () => wires, resume: () => wires },
      env: {},
      listeners: new Map(),
      handsOver: () => false,
      pass: (argv, env) => ({ argv, env, pidEnv: [], fds: [] }),
      drainSignal: () => undefined,
      accepting: () => false,
    },
    new ExitRouter(),
  );
  const reasons = [];
  for (const id of ["web/0#1", "web/0#2", "web/0#3"]) {
    const result = await body.start(id, 0, () => {});
    reasons.push(result.ok ? "" : result.reason);
  }
  assert.deepEqual(reasons, [
    'cannot change to directory "/no/such": no such directory',
    'cannot change to directory "/no/such": it, or a part of its path, is no directory',
    'cannot change to directory "/no/such": permission denied',
  ]);
});
