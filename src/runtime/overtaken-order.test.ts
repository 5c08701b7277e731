import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeOwner, type Given } from "../../test/fakes/fake-upgrades.js";
import { settle } from "../../test/fakes/manual-clock.js";

const ended = ({ outcome }: Given) => [outcome?.result, outcome?.cause];
const tryLater = { code: 75 };
const overtaken = "another upgrade is under way: generation 2 (other) was faster";

/** Whatever became of the order before, the next one has its way. */
async function nextCompletes(owner: FakeOwner, attempt: string): Promise<void> {
  const order = await owner.order();
  await owner.takeOver(await owner.lease(attempt));
  await owner.server.clock.advance(60_000);
  assert.deepEqual(ended(order), ["completed", "none"]);
}

test("an order whose candidate is refused because another one has the lease ends as busy, at once", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order();
  const other = await owner.lease("other");
  const refused = await owner.dial("order-1");
  assert.equal(refused?.kind, "busy");
  owner.server.init.endLine(2, tryLater);
  await settle();
  assert.deepEqual(ended(order), ["busy", "busy"]);
  assert.equal(order.outcome?.reason, overtaken);
  assert.deepEqual(order.steps, ["start"], "the other one's steps are not its own");

  const meanwhile = await owner.order();
  assert.deepEqual(ended(meanwhile), ["busy", "busy"]);
  other.abort("not ready", "unready");
  await settle();
  assert.equal(owner.server.run.store.snapshot.lastUpgrade?.attempt, "other");
  await nextCompletes(owner, "order-3");
});

test("an order whose candidate was refused ends as busy, also when the other one has failed meanwhile", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order();
  const other = await owner.lease("other");
  owner.words.set("order-1", "pingora-entry: cannot take over now: attempt other is under way (owner)");
  other.abort("not ready", "unready");
  await settle();
  assert.deepEqual(ended(order), [undefined, undefined], "its candidate may still have its turn");
  owner.server.init.endLine(2, tryLater);
  await settle();
  assert.deepEqual(ended(order), ["busy", "busy"]);
  assert.equal(
    order.outcome?.reason,
    "the new generation was refused: cannot take over now: attempt other is under way (owner)",
  );
  assert.equal(owner.server.run.store.snapshot.lastUpgrade?.attempt, "other");
  await nextCompletes(owner, "order-2");
});

test("an order whose candidate knocks when the other attempt has failed goes on", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order();
  (await owner.lease("other")).abort("not ready", "unready");
  await settle();
  await owner.takeOver(await owner.lease("order-1"));
  await owner.server.clock.advance(60_000);
  assert.deepEqual(ended(order), ["completed", "none"]);
  assert.deepEqual(order.steps, [
    "start",
    "LEASE",
    "OFFER",
    "CLAIM",
    "PREPARING",
    "READY",
    "COMMIT",
    "PROBATION",
    "FINALIZE",
  ]);
});

for (const [what, status, reason] of [
  ["dies", { signal: "SIGKILL" }, /^the new generation died of SIGKILL before it asked/],
  ["has a wrong configuration", { code: 78 }, /^the new generation exited with code 78 before it asked/],
] as const)
  test(`an order whose candidate ${what} while another attempt is under way tells that`, async () => {
    const owner = await FakeOwner.start();
    const order = await owner.order();
    const other = await owner.lease("other");
    owner.server.init.endLine(2, status);
    await settle();
    assert.equal(order.outcome?.result, "rolled-back");
    assert.match(order.outcome?.reason ?? "", reason);
    other.abort("not ready", "unready");
    await settle();
    await nextCompletes(owner, "order-2");
  });

test("an order whose candidate hangs while another attempt is under way ends after bootSeconds", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order();
  const other = await owner.lease("other");
  await owner.server.clock.advance(60_000);
  assert.deepEqual(ended(order), ["rolled-back", "start"]);
  assert.match(order.outcome?.reason ?? "", /did not ask for the sockets within 60 s$/);
  assert.deepEqual([...owner.server.init.lines], []);
  other.abort("not ready", "unready");
  await settle();
  await nextCompletes(owner, "order-2");
});

test("an order ends when another candidate has replaced the generation that took it, and its own candidate goes", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order();
  await owner.takeOver(await owner.lease("other"));
  assert.deepEqual(ended(order), ["busy", "busy"]);
  assert.equal(order.outcome?.reason, "generation 2 has replaced this one meanwhile");
  assert.equal(order.outcome?.generation, 2);
  assert.equal(order.outcome?.stopping, undefined, "who owns now goes on");
  assert.deepEqual([...owner.server.init.lines], []);
});

test("an order ends when its candidate is started after another one has replaced the generation", async () => {
  const owner = await FakeOwner.start();
  const { init } = owner.server;
  const successor = init.successor.bind(init);
  let answer = (): void => {};
  init.successor = (spec) =>
    new Promise((resolve) => {
      answer = () => resolve(successor(spec));
    });
  const order = await owner.order();
  await owner.takeOver(await owner.lease("other"));
  answer();
  await settle();
  assert.equal(order.outcome?.reason, "generation 2 has replaced this one meanwhile");
  assert.deepEqual([...init.lines], []);
});

test("an order that waits is tried again when the attempt that overtook it has failed", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order({ wait: true });
  const other = await owner.lease("other");
  owner.server.init.endLine(2, tryLater);
  await owner.server.clock.advance(5_000);
  assert.deepEqual(ended(order), [undefined, undefined]);
  assert.deepEqual(order.steps, ["start", "wait", "wait"]);
  assert.equal(owner.server.init.successors.length, 1);
  other.abort("not ready", "unready");
  await owner.server.clock.advance(1_000);
  await owner.takeOver(await owner.lease("order-2"));
  await owner.server.clock.advance(60_000);
  assert.deepEqual(ended(order), ["completed", "none"]);
  assert.equal(order.outcome?.attempt, "order-2");
});

test("an order that waits ends when the attempt that overtook it replaces this generation", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order({ wait: true });
  const other = await owner.lease("other");
  owner.server.init.endLine(2, tryLater);
  await owner.server.clock.advance(5_000);
  await owner.takeOver(other);
  assert.deepEqual(ended(order), ["busy", "busy"]);
  assert.equal(order.outcome?.reason, "generation 2 has replaced this one meanwhile");
  assert.equal(order.outcome?.generation, 2);
});

test("an order that waits ends when nobody listens to it any more", async () => {
  const owner = await FakeOwner.start();
  const order = await owner.order({ wait: true });
  await owner.lease("other");
  owner.server.init.endLine(2, tryLater);
  await settle();
  order.gone.abort();
  await owner.server.clock.advance(1_000);
  assert.deepEqual(ended(order), ["busy", "busy"]);
});

test("an order that waits ends when the server begins to stop, and not by a hook alone, which may be given up", async () => {
  const owner = await FakeOwner.start();
  const { server } = owner;
  server.init.behaviour = () => "ignore";
  await owner.order();
  const waits = await owner.order({ wait: true });
  const hook = new AbortController();
  void server.run.control.prestop(hook.signal);
  await settle();
  assert.deepEqual(ended(waits), [undefined, undefined]);
  server.init.send("SIGTERM");
  await settle();
  assert.deepEqual(ended(waits), ["busy", "busy"]);
  assert.equal(waits.outcome?.reason, "the server is being stopped: preStop");
});

test("an order that waits for another one goes on when that one ends with nothing changed", async () => {
  const owner = await FakeOwner.start();
  const first = await owner.order();
  const second = await owner.order({ wait: true });
  owner.server.init.endLine(2, tryLater);
  await settle();
  assert.deepEqual(ended(first), ["busy", "busy"]);
  assert.deepEqual(second.steps, ["wait", "start"]);
});

test("an order for which the init has no room is busy, and tried again when it waits", async () => {
  const owner = await FakeOwner.start();
  const { init } = owner.server;
  init.successorFailure = { ok: false, stage: "table", errno: "ENOSPC" };
  const busy = await owner.order();
  assert.deepEqual(ended(busy), ["busy", "busy"]);
  assert.equal(owner.turnedAway(), 1);
  const waits = await owner.order({ wait: true });
  await owner.server.clock.advance(3_000);
  assert.deepEqual(ended(waits), [undefined, undefined]);
  assert.equal(owner.turnedAway(), 1, "who waits is not turned away");
  init.successorFailure = undefined;
  await owner.server.clock.advance(1_000);
  assert.equal(init.successors.length, 1);
});

test("a candidate that came in the instant of a preStop that is given up keeps no later one out", async () => {
  const owner = await FakeOwner.start();
  const { server } = owner;
  const hook = new AbortController();
  void server.run.control.prestop(hook.signal);
  await owner.dial("other");
  assert.equal(server.phase, "GracefulTerminate");
  owner.place.latest.lose("new");
  hook.abort();
  await server.clock.advance(60_000);
  assert.equal(server.phase, "Running");
  await nextCompletes(owner, "order-1");
});

test("an order whose candidate came in the instant of a stop tells that, and does not last as long as the stop", async () => {
  const owner = await FakeOwner.start();
  const { server } = owner;
  server.init.behaviour = () => "ignore";
  const order = await owner.order();
  server.init.send("SIGTERM");
  await owner.dial("order-1");
  assert.notEqual(server.phase, "GracefulUpgradeTransferringFds");
  owner.place.latest.lose("new");
  await server.clock.advance(2_000);
  assert.deepEqual(ended(order), ["rolled-back", "stopped"]);
  assert.equal(order.outcome?.reason, "the old generation is stopping: SIGTERM");
  assert.equal(order.outcome?.stopping, true);
  assert.equal(server.exitCode, undefined);
});
