import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeOwner } from "../../test/fakes/fake-upgrades.js";
import { settle } from "../../test/fakes/manual-clock.js";

/** On probation with this attempt, and nobody can use the journal any more. */
async function unusable(owner: FakeOwner, attempt: string): Promise<void> {
  const session = await owner.lease(attempt);
  void session.ready();
  await settle();
  session.owned();
  await owner.server.clock.advance(100);
  owner.place.unusable = true;
  owner.place.latest.old.end("undecided", "the journal cannot be written");
  await owner.server.clock.advance(3_000);
}

test("a generation that has ended the other one of its init goes on when the journal cannot be used", async () => {
  const owner = await FakeOwner.start();
  const given = await owner.order();
  await unusable(owner, "order-1");
  assert.equal(given.outcome?.result, "rolled-back");
  assert.equal(owner.server.run.store.snapshot.phase, "Running");
  assert.ok(owner.server.init.alive().includes("web/0#1"));
});

test("one whose successor is of another container, and may own, ends when the journal cannot be used", async () => {
  const owner = await FakeOwner.start();
  await unusable(owner, "other");
  assert.notEqual(owner.server.run.store.snapshot.phase, "Running");
});
