import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceSpec } from "../../test/fakes/fake-server.js";
import { FakeServices } from "../../test/fakes/fake-services.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import type { ServiceSpec } from "../core/plan.js";
import type { ServicesLeft } from "../core/services-left.js";

const { restart, upgrade } = serviceSpec("x");
const never = { ...restart, policy: "never" } as const;
const skip = { ...upgrade, onUpgrade: "skip" } as const;
const handover = { ...upgrade, strategy: "handover" } as const;
const job = (name: string, change = {}) =>
  serviceSpec(name, {
    type: "oneshot",
    restart: never,
    required: false,
    onFailure: "ignore",
    upgrade: skip,
    ...change,
  });

/** A successor's services that are told what `old` leaves, and start unless they must not. */
function successorOf(left: ServicesLeft | undefined, specs: readonly ServiceSpec[], clock: ManualClock) {
  const next = new FakeServices(clock, specs);
  next.set.beCandidate();
  const problem = next.set.inherit(left);
  if (problem === undefined) next.set.start();
  return { next, problem };
}

test("ServiceSet skips only oneshots that the old generation has completed, or skipped after one had", async () => {
  const clock = new ManualClock();
  const specs = [
    job("done"),
    job("failed"),
    job("waits", { dependsOn: { failed: "completed" } }),
    job("plain", { upgrade }),
    serviceSpec("web", { dependsOn: { done: "completed" }, upgrade: handover }),
  ];
  const old = new FakeServices(clock, specs);
  old.set.start();
  await settle();
  for (const [name, code] of [
    ["done", 0],
    ["failed", 3],
    ["plain", 0],
  ] as const)
    old.init.end(`${name}/0`, { code });
  await settle();
  assert.deepEqual(old.set.left, {
    completed: ["done", "plain"],
    running: ["web"],
    held: [],
    strategies: { web: "handover" },
  });

  const { next } = successorOf(old.set.left, [...specs, job("added")], clock);
  await settle();
  assert.deepEqual(next.init.alive(), ["failed/0#1", "plain/0#1", "web/0#1", "added/0#1"]);
  assert.equal(next.reason("done"), "skipped in this upgrade (onUpgrade: skip)");
  next.init.end("failed/0", { code: 0 });
  await settle();
  assert.deepEqual(next.init.alive(), ["plain/0#1", "web/0#1", "added/0#1", "waits/0#1"]);
  next.init.end("waits/0", { code: 0 });
  next.init.end("added/0", { code: 0 });
  next.init.end("plain/0", { code: 0 });
  await settle();

  const { next: third } = successorOf(next.set.left, [...specs, job("added")], clock);
  await settle();
  assert.deepEqual(third.init.alive(), ["plain/0#1", "web/0#1"]);
});

test("ServiceSet does not go on as a successor while a oneshot that it may skip runs in the old generation", async () => {
  const clock = new ManualClock();
  const old = new FakeServices(clock, [job("migrate", { upgrade })]);
  old.set.start();
  await settle();
  assert.equal(old.set.unfinished, undefined, "it says nothing of skipping");
  const { problem } = successorOf(old.set.left, [job("migrate")], clock);
  assert.match(problem ?? "", /^oneshot migrate still runs in the old generation/);

  const same = new FakeServices(clock, [job("migrate")]);
  same.set.start();
  await settle();
  assert.equal(same.set.unfinished, "migrate");
  same.init.end("migrate/0", { code: 3 });
  await settle();
  assert.equal(same.set.unfinished, undefined);
});

test("ServiceSet skips what it may after a release that does not tell what it has completed", async () => {
  const clock = new ManualClock();
  const { next } = successorOf(undefined, [job("migrate"), job("plain", { upgrade })], clock);
  await settle();
  assert.deepEqual(next.init.alive(), ["plain/0#1"]);
});

test("ServiceSet does not begin a oneshot that its successor runs instead, until that is no more", async () => {
  const clock = new ManualClock();
  const old = new FakeServices(clock, [
    job("migrate", { restart }),
    job("index", { dependsOn: { migrate: "completed" } }),
    serviceSpec("web"),
  ]);
  old.set.start();
  await settle();
  old.init.end("migrate/0", { code: 1 });
  await settle();
  old.set.yielding.holdBack();
  await clock.advance(60_000);
  assert.deepEqual(old.init.alive(), ["web/0#1"]);
  old.set.yielding.takeBack();
  await clock.advance(1);
  assert.deepEqual(old.init.alive(), ["web/0#1", "migrate/0#2"]);
  old.init.end("migrate/0", { code: 0 });
  await settle();
  assert.deepEqual(old.init.alive(), ["web/0#1", "index/0#1"]);
});

test("ServiceSet keeps stopped what an operator had stopped in the old generation, until it is started", async () => {
  const clock = new ManualClock();
  const specs = [
    serviceSpec("queue"),
    serviceSpec("early", { upgrade: handover }),
    job("migrate"),
    serviceSpec("web", { dependsOn: { queue: "ready", early: "ready", migrate: "completed" }, upgrade: handover }),
    serviceSpec("aside", { dependsOn: { early: "ready" }, required: false }),
  ];
  const old = new FakeServices(clock, specs);
  old.set.start();
  await settle();
  old.init.end("migrate/0", { code: 0 });
  await clock.advance(100);
  const { signal } = new AbortController();
  for (const name of ["queue", "early", "migrate", "aside"]) {
    const stopped = old.set.operate(name, "stop", signal);
    await clock.advance(100);
    await stopped;
  }
  assert.deepEqual(old.set.left, {
    completed: ["migrate"],
    running: ["web"],
    held: ["queue", "early", "migrate", "aside"],
    strategies: { aside: "restart", early: "handover", queue: "restart", web: "handover" },
  });

  const { next, problem } = successorOf(old.set.left, specs, clock);
  assert.equal(problem, undefined);
  await settle();
  assert.deepEqual(next.init.alive(), ["web/0#1"], "it ran without them, and does again");
  assert.deepEqual(next.set.missing, []);
  next.set.commit();
  await settle();
  assert.deepEqual(next.init.alive(), ["web/0#1"]);
  assert.deepEqual(next.states, {
    queue: "Stopped",
    early: "Stopped",
    migrate: "Stopped",
    web: "Ready",
    aside: "Stopped",
  });
  assert.deepEqual(
    next.set.views.map(({ held, excused, reason }) => [held, excused, reason]),
    [true, true, true, undefined, true].map((held) => [
      held,
      undefined,
      held ? "stopped by request before the upgrade" : "",
    ]),
  );
  assert.deepEqual(next.set.left, { ...old.set.left });
  await next.set.operate("queue", "start", signal);
  await settle();
  assert.deepEqual(next.init.alive(), ["web/0#1", "queue/0#1"]);
  assert.deepEqual(next.ends, []);
});

test("ServiceSet waits, as in the old generation, for what is kept stopped, and does not go on when that is in the way", async () => {
  const clock = new ManualClock();
  const left = { completed: [], running: ["queue"], held: ["db"] };
  const db = serviceSpec("db");
  const queue = serviceSpec("queue", { dependsOn: { db: "ready" }, upgrade: handover });
  const added = (change = {}) => serviceSpec("added", { dependsOn: { db: "ready" }, required: false, ...change });
  const { next } = successorOf(left, [db, queue, added({ upgrade: handover })], clock);
  await settle();
  assert.deepEqual(next.init.alive(), ["queue/0#1"]);
  assert.equal(next.reason("added"), "waiting for db to be ready (stopped by request)");

  const done = { completed: ["added"], running: ["queue"], held: ["db"] };
  const skipped = added({
    required: true,
    type: "oneshot",
    upgrade: { ...serviceSpec("any").upgrade, onUpgrade: "skip" },
  });
  assert.equal(successorOf(done, [db, queue, skipped], clock).problem, undefined);

  for (const specs of [
    [db, added({ required: true })],
    [db, added(), serviceSpec("web", { dependsOn: { added: "started" } })],
  ])
    assert.match(
      successorOf(left, specs, clock).problem ?? "",
      /^service (added|web) depends on db, which has been stopped by request$/,
    );
});
