import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeInit } from "../../test/fakes/fake-init.js";
import { planOf, serviceSpec } from "../../test/fakes/fake-server.js";
import { FakeServices } from "../../test/fakes/fake-services.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import type { ServiceSpec } from "../core/plan.js";

const { restart } = serviceSpec("x");
const never = { ...restart, policy: "never" } as const;
const own = { ...serviceSpec("x").upgrade, strategy: "own" } as const;

/** Services in every state: `queue` runs, `done` and `broken` have ended, `waiter` waits for `job`, `flaky` is in its back-off. */
async function mixed(clock: ManualClock): Promise<FakeServices> {
  const services = new FakeServices(clock, [
    serviceSpec("queue"),
    serviceSpec("done", { restart: never, required: false }),
    serviceSpec("broken", { restart: never, required: false, onFailure: "ignore" }),
    serviceSpec("job", { type: "oneshot", restart: never, required: false }),
    serviceSpec("waiter", { dependsOn: { job: "completed" }, required: false }),
    serviceSpec("flaky", { restart: { ...restart, initialDelayMs: 10_000, maxDelayMs: 10_000 } }),
  ]);
  services.set.start();
  await settle();
  services.init.end("done/0", { code: 0 });
  services.init.end("broken/0", { code: 3 });
  services.init.end("flaky/0", { code: 1 });
  await clock.advance(100);
  return services;
}

const before = {
  queue: "Ready",
  done: "Stopped",
  broken: "Failed",
  job: "Starting",
  waiter: "Waiting",
  flaky: "Backoff",
};

/** Lets go of everything for a successor. */
async function begin({ set }: FakeServices, clock: ManualClock): Promise<void> {
  const begun = set.yielding.begin(clock.now() + 10_000, "left to the new generation", new AbortController().signal);
  await clock.advance(100);
  assert.deepEqual(await begun, []);
}

/** The supervisor is killed at this instant; the init starts another. */
function restarted(first: FakeServices, clock: ManualClock, specs: readonly ServiceSpec[]): FakeServices {
  const init = new FakeInit(clock);
  first.init.dead = true;
  init.processes.push(...first.init.processes);
  const second = new FakeServices(clock, specs, init);
  const { records, held, yielding } = first.set;
  const saved = JSON.parse(JSON.stringify({ instances: records, held, yielded: yielding.saved }));
  const children = init.processes.filter(({ alive }) => alive).map(({ id, pid }) => ({ id, pid }));
  second.set.resume(saved, children);
  second.set.start();
  return second;
}

test("Yielding starts again what it had stopped, and leaves everything else as it was", async () => {
  const clock = new ManualClock();
  const services = await mixed(clock);
  assert.deepEqual(services.states, before);
  await begin(services, clock);
  assert.deepEqual(services.init.alive(), ["job/0#1"]);
  services.set.yielding.takeBack();
  await clock.advance(100);
  assert.deepEqual(services.states, before);
  assert.deepEqual(services.init.alive(), ["job/0#1", "queue/0#2"]);
  services.init.end("job/0", { code: 0 });
  await clock.advance(10_000);
  assert.deepEqual(services.init.alive(), ["queue/0#2", "waiter/0#1", "flaky/0#2"]);
  assert.deepEqual(services.ends, []);
});

test("Yielding stops what the successor names, though it would keep it, for this attempt only", async () => {
  const clock = new ManualClock();
  const services = new FakeServices(clock, [
    serviceSpec("web", { upgrade: { ...serviceSpec("x").upgrade, strategy: "handover" } }),
  ]);
  services.set.start();
  await clock.advance(100);
  const { yielding } = services.set;
  const begun = (stopFirst: readonly string[]) =>
    yielding.begin(clock.now() + 10_000, "left to the new generation", new AbortController().signal, stopFirst);
  const first = begun(["web"]);
  await clock.advance(100);
  assert.deepEqual(await first, []);
  assert.deepEqual([services.init.alive(), yielding.saved], [[], { web: "stop" }]);
  yielding.takeBack();
  await clock.advance(100);
  assert.deepEqual(services.init.alive(), ["web/0#2"]);
  assert.deepEqual(await begun([]), []);
  assert.deepEqual([services.init.alive(), yielding.saved], [["web/0#2"], {}]);
});

test("Yielding lets no excuse of an attempt before outlast the time of a boot", async () => {
  const clock = new ManualClock();
  const services = new FakeServices(clock, [
    serviceSpec("web", { upgrade: { ...serviceSpec("x").upgrade, strategy: "handover" }, readinessProbe: notify }),
  ]);
  services.set.start();
  await clock.advance(100);
  const { yielding } = services.set;
  const excused = () => services.set.views.some((view) => view.excused);
  for (const stopFirst of [["web"], []]) {
    const begun = yielding.begin(clock.now() + 10_000, "left", new AbortController().signal, stopFirst);
    await clock.advance(100);
    await begun;
    yielding.takeBack();
    await clock.advance(100);
    assert.ok(excused(), "it starts again after a rollback");
  }
  await clock.advance(planOf([]).upgrade.bootMs);
  assert.ok(!excused());
});

test("Yielding holds back a back-off that is over, and ends it with the attempt", async () => {
  const clock = new ManualClock();
  const services = await mixed(clock);
  await begin(services, clock);
  services.init.end("job/0", { code: 0 });
  await clock.advance(20_000);
  assert.deepEqual(services.init.alive(), []);
  services.set.yielding.takeBack();
  await clock.advance(1);
  assert.deepEqual(services.init.alive().sort(), ["flaky/0#2", "queue/0#2", "waiter/0#1"]);
});

test("Yielding is taken back by the next supervisor, too", async () => {
  const clock = new ManualClock();
  const first = await mixed(clock);
  await begin(first, clock);
  const second = restarted(
    first,
    clock,
    ["queue", "done", "broken", "job", "waiter", "flaky"].map((name) => specOf(first, name)),
  );
  await clock.advance(20_000);
  assert.deepEqual(second.init.alive(), ["job/0#1"]);
  second.set.yielding.takeBack();
  await clock.advance(1);
  assert.deepEqual(second.init.alive().sort(), ["flaky/0#2", "job/0#1", "queue/0#2"]);
  assert.equal(second.states.done, "Stopped");
  assert.equal(second.states.broken, "Failed");
  assert.equal(second.states.waiter, "Waiting");
});

function specOf({ set }: FakeServices, name: string): ServiceSpec {
  const found = set.find(name);
  assert.ok(found);
  return found.spec;
}

test("Yielding lets a process that its health ends meanwhile follow its own policy", async () => {
  const clock = new ManualClock();
  const services = new FakeServices(clock, [
    serviceSpec("a", { startTimeoutMs: 1_000, readinessProbe: notify, restart: never }),
    serviceSpec("b", { startTimeoutMs: 1_000, readinessProbe: notify, onFailure: "ignore" }),
  ]);
  services.init.behaviour = () => 500;
  services.set.start();
  await clock.advance(1_100);
  assert.deepEqual(services.states, { a: "Stopping", b: "Stopping" });
  const begun = services.set.yielding.begin(clock.now() + 5_000, "left", new AbortController().signal);
  await clock.advance(1_000);
  await begun;
  assert.deepEqual(services.states, { a: "Failed", b: "Backoff" });
  assert.deepEqual(services.ends, []);
  services.set.yielding.takeBack();
  assert.equal(services.ends.length, 1);
  assert.match(services.ends[0] ?? "", /^a: /);
});

test("Yielding replaces what ended because it was told to hand over, and nothing that had ended before", async () => {
  const clock = new ManualClock();
  const services = new FakeServices(clock, [
    serviceSpec("proxy", { upgrade: own, restart: never }),
    serviceSpec("gone", { upgrade: own, restart: never, required: false }),
  ]);
  services.init.behaviour = () => 10;
  services.set.start();
  await settle();
  services.init.end("gone/0", { code: 0 });
  await settle();
  await begin(services, clock);
  await clock.advance(1_000);
  assert.deepEqual(services.init.alive(), []);
  services.set.yielding.takeBack();
  await clock.advance(1);
  assert.deepEqual(services.init.alive(), ["proxy/0#2"]);
});

const notify = {
  action: { kind: "notify" },
  initialDelayMs: 0,
  periodMs: 1000,
  timeoutMs: 1000,
  successThreshold: 1,
  failureThreshold: 3,
} as const;
