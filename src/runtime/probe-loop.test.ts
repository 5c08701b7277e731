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
const good = { ok: true } as ProbeResult;
const lost: ProbeResult = { ok: false, reason: "others were faster", lost: "others" };

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

test("runProbe passes over races that were lost, whatever was told before", async () => {
  const { clock, told, world } = run({}, false);
  world.result = good;
  await settle();
  world.result = lost;
  await clock.advance(9_000);
  assert.deepEqual(told, [{ ok: true, at: 0 }]);
  world.result = bad;
  await clock.advance(3_000);
  assert.deepEqual(told.at(-1), { ok: false, reason: "no", final: true, at: 12_000 });
  world.result = lost;
  await clock.advance(5_000);
  assert.equal(told.length, 2);
});

test("runProbe takes a lost race neither for a failure nor for a success between others", async () => {
  const failing = run({}, false);
  for (const result of [lost, bad, lost, bad, lost]) {
    failing.world.result = result;
    await failing.clock.advance(1_000);
  }
  assert.ok(!failing.told.some((verdict) => !verdict.ok && verdict.final));
  failing.world.result = bad;
  await failing.clock.advance(1_000);
  assert.ok(failing.told.some((verdict) => !verdict.ok && verdict.final));

  const passing = run({ successThreshold: 2 }, false);
  for (const result of [good, lost, good]) {
    passing.world.result = result;
    await passing.clock.advance(1_000);
  }
  assert.equal(passing.told.at(-1)?.ok, true);
});

test("runProbe tells no success when every race is lost, and no final failure before its patience is over", async () => {
  const { clock, told, world } = run({}, true);
  world.result = lost;
  await clock.advance(9_800);
  assert.deepEqual(told, [{ ok: false, reason: "others were faster", final: false, at: 0 }]);
});

test("runProbe counts lost races as failures when they have been lost for three times what the threshold takes", async () => {
  const { clock, told, world } = run({}, false);
  world.result = good;
  await settle();
  world.result = lost;
  // from 1 s on, for 3 x 3 x (1 s + 0.1 s); then 3 failures
  await clock.advance(30_000);
  assert.deepEqual(told.slice(1), [{ ok: false, reason: "others were faster", final: true, at: 13_000 }]);
});

test("runProbe never counts as a failure what was closed before it was seen who had accepted it, and never as a success", async () => {
  const unseen: ProbeResult = { ok: false, reason: "closed", lost: "unseen" };
  const ready = run({}, false);
  ready.world.result = good;
  await settle();
  ready.world.result = unseen;
  await ready.clock.advance(60_000);
  assert.deepEqual(ready.told, [{ ok: true, at: 0 }]);
  const starting = run({}, true);
  starting.world.result = unseen;
  await starting.clock.advance(60_000);
  assert.deepEqual(starting.told, [{ ok: false, reason: "closed", final: false, at: 0 }]);
});
