import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { systemClock } from "./clock.js";

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

test("now is the machine's monotonic clock", () => {
  // /proc/uptime counts suspended time too (boot time), which a test machine has none of; hundredths of a second
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e3;
  assert.ok(Math.abs(systemClock.now() - uptimeMs) < 1000, `${systemClock.now()} ${uptimeMs}`);
});

test("until never resolves before its deadline, and soon after it", async () => {
  for (const ms of [0, 0.3, 1.7, 5.2, 20]) {
    const deadline = systemClock.now() + ms;
    await systemClock.until(deadline);
    const late = systemClock.now() - deadline;
    assert.ok(late >= 0 && late < 1000, `${ms}: ${late}`);
  }
});

test("until resolves at once, and leaves no timer and no listener, when it is aborted or too late", async () => {
  const stop = new AbortController();
  const before = timers();
  const waits = Array.from({ length: 50 }, () => systemClock.until(systemClock.now() + 3.6e6, stop.signal));
  assert.equal(timers(), before + 50);
  stop.abort();
  await Promise.all(waits);
  await systemClock.until(systemClock.now() + 3.6e6, stop.signal);
  await systemClock.until(systemClock.now() - 5, new AbortController().signal);
  assert.equal(timers(), before);
  assert.equal(getEventListeners(stop.signal, "abort").length, 0);
});

test("until leaves no listener on the signal when its deadline comes first", async () => {
  const { signal } = new AbortController();
  await systemClock.until(systemClock.now() + 2, signal);
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("until waits on when the deadline is further away than a timer can be", async () => {
  const stop = new AbortController();
  let ended = false;
  const waiting = systemClock.until(systemClock.now() + 2 ** 40, stop.signal).then(() => {
    ended = true;
  });
  // a timer that is told more than 2^31 - 1 ms fires after 1 ms
  await systemClock.until(systemClock.now() + 20);
  assert.equal(ended, false);
  stop.abort();
  await waiting;
});
