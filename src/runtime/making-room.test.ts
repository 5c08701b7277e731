import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceSpec } from "../../test/fakes/fake-server.js";
import { FakeOwner } from "../../test/fakes/fake-upgrades.js";
import { settle } from "../../test/fakes/manual-clock.js";
import type { NewSession } from "./handover-ports.js";

const { upgrade } = serviceSpec("any");
const web = serviceSpec("web", { upgrade: { ...upgrade, strategy: "handover" } });
const q = serviceSpec("q", { upgrade: { ...upgrade, strategy: "restart" } });
const busy = /^cannot (start|stop|restart) "q": it makes room for the new generation of an upgrade that is under way, /;

/** Its successor is ready, and q needs three seconds to end. */
async function makingRoom({ stopped = false } = {}): Promise<{ owner: FakeOwner; session: NewSession }> {
  const owner = await FakeOwner.start({ services: [web, q] });
  const { server } = owner;
  server.init.behaviour = ({ id }, signal) => (signal === "SIGTERM" ? (id.startsWith("q") ? 3_000 : 10) : "ignore");
  if (stopped) {
    void server.run.control.stopService("q");
    await server.clock.advance(3_000);
  }
  const session = await owner.lease("other");
  void session.ready();
  await settle();
  return { owner, session };
}

for (const action of ["startService", "stopService", "restartService"] as const)
  test(`a service that makes room for a new generation refuses ${action}, and the upgrade goes on`, async () => {
    const { owner, session } = await makingRoom();
    const { control } = owner.server.run;
    await owner.server.clock.advance(1_000);
    await assert.rejects(control[action]("q"), { message: busy, reason: "failed" });
    await owner.server.clock.advance(2_000);
    assert.equal(owner.server.state("q"), "Stopped");
    await owner.takeOver(session);
    assert.equal(owner.server.run.replaced, true);
  });

test("what made room starts again after a prestop that rolled the upgrade back, and was given up", async () => {
  const { owner } = await makingRoom();
  const { server } = owner;
  await server.clock.advance(1_000);
  const hook = new AbortController();
  void server.run.control.prestop(hook.signal);
  await server.clock.advance(4_000);
  assert.equal(server.state("q"), "Ready");
});

test("what made room does not start again when a SIGTERM rolled the upgrade back", async () => {
  const { owner } = await makingRoom();
  const { server } = owner;
  await server.clock.advance(1_000);
  server.init.send("SIGTERM");
  await server.clock.advance(4_000);
  assert.ok(!server.init.alive().includes("q/0#2"));
  assert.equal(server.init.find("q/0#2"), undefined);
});

test("what a new generation has been told is not changed until the upgrade is over, but a service that both have may be restarted", async () => {
  const owner = await FakeOwner.start({ services: [web, q] });
  const { control } = owner.server.run;
  owner.server.init.behaviour = (_, signal) => (signal === "SIGTERM" ? 10 : "ignore");
  const session = await owner.lease("other");
  await settle();
  const told = /^cannot (start|stop|restart) "(web|q)": an upgrade is under way, and the new generation has been told /;
  for (const name of ["web", "q"])
    for (const action of ["startService", "stopService"] as const)
      await assert.rejects(control[action](name), { message: told, reason: "failed" });
  const restarted = control.restartService("q");
  await owner.server.clock.advance(1_000);
  await restarted;
  session.abort("not ready", "unready");
  await settle();
  const stopped = control.stopService("q");
  await owner.server.clock.advance(1_000);
  await stopped;
});

test("a service that an operator has stopped does not start beside the new generation's", async () => {
  const { owner, session } = await makingRoom({ stopped: true });
  const { control } = owner.server.run;
  await assert.rejects(control.startService("q"), { message: busy });
  session.abort("not ready", "unready");
  await settle();
  assert.equal(owner.server.state("q"), "Stopped", "nothing of it was taken back");
  await control.startService("q");
  assert.equal(owner.server.state("q"), "Ready");
});

test("a service that was being restarted when it has to make room does not come back", async () => {
  const owner = await FakeOwner.start({ services: [web, q] });
  const { server } = owner;
  server.init.behaviour = (_, signal) => (signal === "SIGTERM" ? 3_000 : "ignore");
  const session = await owner.lease("other");
  const restarted = server.run.control.restartService("q").catch((error: Error) => error.message);
  await server.clock.advance(1_000);
  void session.ready();
  await server.clock.advance(2_000);
  assert.equal(server.state("q"), "Stopped");
  assert.match((await restarted) ?? "", busy);
  await owner.takeOver(session);
  assert.equal(server.run.replaced, true);
});

test("a service that has started again after a rollback may be restarted", async () => {
  const { owner, session } = await makingRoom();
  await owner.server.clock.advance(3_000);
  session.abort("not ready", "unready");
  await settle();
  assert.equal(owner.server.state("q"), "Ready");
  const restarted = owner.server.run.control.restartService("q");
  await owner.server.clock.advance(3_000);
  await restarted;
});

test("a service that new and old generation have at the same time may be restarted in an upgrade", async () => {
  const { owner } = await makingRoom();
  const restarted = owner.server.run.control.restartService("web");
  await owner.server.clock.advance(1_000);
  await restarted;
});

test("a generation that was replaced has no lame duck: its clients have left it", async () => {
  const owner = await FakeOwner.start({ shutdown: { gracePeriodMs: 30_000, lameDuckMs: 5_000, reserveMs: 1_000 } });
  const { server } = owner;
  await owner.takeOver(await owner.lease("other"));
  const { shutdown } = server.run.store.snapshot;
  assert.equal(server.run.replaced, true);
  assert.notEqual(shutdown, undefined);
  assert.equal(shutdown?.lameDuckUntil, undefined);
});
