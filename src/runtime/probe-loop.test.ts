import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import type { ProbeSpec } from "../core/plan.js";
import type { ProbeResult } from "./ports.js";
import { type ProbeVerdict, runProbe } from "./probe-loop.js";

const spec: ProbeSpec = {
  action: { kind: "file", path: "/x" },
  initialDelayMs: 0,
  periodMs: 1_000,
  timeoutMs: 100,
  successThreshold: 1,
  failureThreshold: 3,
};
const bad: ProbeResult = { ok: false, reason: "no" };

function run(change: Partial<ProbeSpec>, eager: boolean) {
  const clock = new ManualClock();
  const abort = new AbortController();
  const told: (ProbeVerdict & { at: number })[] = [];
  const asked: number[] = [];
  const world = { result: bad };
  const from = clock.now();
  const ask = () => {
    asked.push(clock.now() - from);
    return Promise.resolve(world.result);
  };
  const tell = (verdict: ProbeVerdict) => told.push({ ...verdict, at: clock.now() - from });
  void runProbe({ spec: { ...spec, ...change }, ask, tell, eager }, clock, abort.signal);
  return { clock, abort, told, asked, world };
}

test("runProbe tells the failure as final after failureThreshold periods", async () => {
  const { clock, told } = run({}, false);
  await clock.advance(5_000);
  assert.deepEqual(
    told.map(({ ok, at }) => [ok, at]),
    [
      [false, 0],
      [false, 2_000],
    ],
  );
});

test("runProbe asks between the periods until the first success when eager, without counting towards the threshold", async () => {
  const { clock, told, asked, world } = run({ periodMs: 10_000 }, true);
  await clock.advance(900);
  assert.ok(asked.length > 5, `asked ${asked.length} times`);
  assert.deepEqual(
    told.map(({ ok }) => ok),
    [false],
  );
  world.result = { ok: true } as ProbeResult;
  await clock.advance(1_000);
  assert.equal(told.at(-1)?.ok, true);
  const before = asked.length;
  await clock.advance(9_000);
  assert.equal(asked.length, before + 1);
});

test("runProbe needs successThreshold successes in a row", async () => {
  const { clock, told, world } = run({ successThreshold: 2 }, false);
  world.result = { ok: true } as ProbeResult;
  await settle();
  assert.deepEqual(
    told.filter(({ ok }) => ok),
    [],
  );
  await clock.advance(1_000);
  assert.equal(told.filter(({ ok }) => ok).length, 1);
});

test("runProbe waits initialDelayMs and stops when aborted", async () => {
  const { clock, asked, abort } = run({ initialDelayMs: 3_000 }, true);
  await clock.advance(2_999);
  assert.deepEqual(asked, []);
  await clock.advance(1);
  assert.deepEqual(asked, [3_000]);
  abort.abort();
  const before = asked.length;
  await clock.advance(10_000);
  assert.equal(asked.length, before);
});
