import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../test/fakes/random.js";
import type { RestartPolicy } from "./plan.js";
import {
  freshFold,
  type InstanceEvent,
  type InstanceFold,
  type InstancePolicy,
  instanceNext,
  isUp,
} from "./service-state.js";

function policy(
  change: Partial<InstancePolicy["restart"]> = {},
  type: InstancePolicy["type"] = "long-running",
): InstancePolicy {
  const restart = {
    policy: "always" as RestartPolicy,
    initialDelayMs: 500,
    maxDelayMs: 30_000,
    resetAfterMs: 30_000,
    limit: 5,
    windowMs: 60_000,
  };
  return { type, restart: { ...restart, ...change }, forever: false };
}

function fold(events: readonly InstanceEvent[], by: InstancePolicy): InstanceFold {
  return events.reduce((before, event) => instanceNext(before, event, by).fold, freshFold);
}

const start: InstanceEvent = { kind: "start", now: 0 };
const exit = (code: number, now = 10): InstanceEvent => ({ kind: "exited", exit: { code }, now, random: 0.5 });

test("instanceNext ends a oneshot Stopped by itself when it exits 0", () => {
  assert.deepEqual(fold([start, exit(0)], policy({}, "oneshot")).state, {
    name: "Stopped",
    by: "itself",
    exit: { code: 0 },
  });
});

test("instanceNext restarts by policy", () => {
  const after = (restart: RestartPolicy, code: number) =>
    fold([start, exit(code)], policy({ policy: restart })).state.name;
  assert.equal(after("always", 0), "Backoff");
  assert.equal(after("always", 1), "Backoff");
  assert.equal(after("on-failure", 0), "Stopped");
  assert.equal(after("on-failure", 1), "Backoff");
  assert.equal(after("never", 0), "Stopped");
  assert.equal(after("never", 1), "Failed");
});

test("instanceNext doubles the delay up to the cap and begins anew after a stable run", () => {
  const by = policy({ limit: 0, maxDelayMs: 3_000 });
  let now = 0;
  let state = instanceNext(freshFold, start, by).fold;
  const delays: number[] = [];
  for (const upMs of [10, 10, 10, 10, 30_000, 10]) {
    now += upMs;
    state = instanceNext(state, exit(1, now), by).fold;
    assert.equal(state.state.name, "Backoff");
    const until = state.state.name === "Backoff" ? state.state.until : 0;
    delays.push(until - now);
    now = until;
    state = instanceNext(state, { kind: "elapsed", now }, by).fold;
  }
  assert.deepEqual(delays, [500, 1_000, 2_000, 3_000, 500, 1_000]);
});

test("instanceNext fails the service when the limit within the window is passed, and not when onFailure is restart", () => {
  const events: InstanceEvent[] = [start];
  for (let i = 1; i <= 6; i++) events.push(exit(1, i * 100), { kind: "elapsed", now: i * 100 + 50 });
  assert.equal(fold(events, policy()).state.name, "Failed");
  for (const [limit, words] of [
    [5, "5 restarts"],
    [1, "1 restart"],
  ] as const) {
    const until = events.slice(0, 2 * limit + 2);
    const { state } = fold(until, policy({ limit }));
    assert.equal(state.name === "Failed" && state.reason, `exited with code 1; ${words} within 60 s did not help`);
  }
  assert.equal(fold(events, { ...policy(), forever: true }).state.name, "Starting");
  assert.equal(fold(events, policy({ windowMs: 150 })).state.name, "Starting");
});

test("instanceNext remembers no more restarts than the limit needs, however many there are", () => {
  const events: InstanceEvent[] = [start];
  for (let i = 1; i <= 200; i++) events.push(exit(1, i), { kind: "elapsed", now: i });
  assert.equal(fold(events, { ...policy(), forever: true }).recent.length, 6);
  assert.equal(fold(events, policy({ limit: 0 })).recent.length, 1);
});

test("instanceNext lets the last word decide what follows a stop", () => {
  const restart: InstanceEvent = { kind: "stop", next: "restart-now", reason: "" };
  const stop: InstanceEvent = { kind: "stop", next: "stay", reason: "" };
  assert.equal(fold([start, restart, stop, exit(0)], policy()).state.name, "Stopped");
  assert.equal(fold([start, stop, restart, exit(0)], policy()).state.name, "Starting");
});

test("instanceNext treats a process that had to be stopped for its health as failed, whatever its exit code", () => {
  const events: InstanceEvent[] = [
    start,
    { kind: "ready" },
    { kind: "unhealthy", reason: "liveness probe: x" },
    exit(0),
  ];
  assert.equal(fold(events, policy({ policy: "never" })).state.name, "Failed");
  assert.equal(fold(events, policy({ policy: "on-failure" })).state.name, "Backoff");
});

test("instanceNext never has two processes and never forgets one, whatever happens", () => {
  const random = seeded(11);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  for (let i = 0; i < 3_000; i++) {
    const by: InstancePolicy = {
      ...policy(
        { policy: pick(["always", "on-failure", "never"]), limit: pick([0, 2]) },
        pick(["long-running", "oneshot"]),
      ),
      forever: random() < 0.3,
    };
    let processes = 0;
    let now = 0;
    let at = freshFold;
    for (let k = 0; k < 40; k++) {
      now += random() * 20_000;
      const events: InstanceEvent[] = [
        { kind: "start", now },
        { kind: "ready" },
        { kind: "unready", reason: "r" },
        { kind: "unhealthy", reason: "u" },
        { kind: "stop", next: pick(["stay", "restart-now"]), reason: "s" },
        { kind: "elapsed", now },
        ...(processes > 0
          ? [
              exit(pick([0, 1]), now),
              { kind: "spawn-failed", reason: "f", code: 127, permanent: random() < 0.5, now, random: 0.5 } as const,
            ]
          : []),
      ];
      const event = pick(events);
      if (event.kind === "exited" || event.kind === "spawn-failed") processes -= 1;
      const { fold: next, act } = instanceNext(at, event, by);
      if (act === "spawn") processes += 1;
      at = next;
      assert.ok(processes === 0 || processes === 1, `seed 11, case ${i}: ${processes} processes`);
      const up = isUp(at.state) || at.state.name === "Stopping";
      assert.equal(up, processes === 1, `seed 11, case ${i}: ${at.state.name} with ${processes} processes`);
    }
  }
});
