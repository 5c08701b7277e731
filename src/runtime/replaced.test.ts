import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeServer, planOf, serviceSpec, successor } from "../../test/fakes/fake-server.js";
import type { SavedState } from "./saved-state.js";

const drainMs = 60_000;
const plan = planOf([serviceSpec("web")], { shutdown: { gracePeriodMs: 6_000, lameDuckMs: 0, reserveMs: 1_000 } });

/** A supervisor that follows one of a generation that had just been replaced; its process ignores what it is told. */
async function replaced(): Promise<FakeServer> {
  const first = new FakeServer(plan);
  await first.begin();
  const saved = JSON.parse(first.init.saved.get("state") ?? "") as SavedState;
  const stop: SavedState["stop"] = {
    requestedAt: first.clock.now(),
    requestedWall: first.clock.wall(),
    cause: "replaced by generation 2",
    requested: true,
    signalled: false,
    hurried: false,
    busy: ["web"],
    drainMs,
  };
  first.init.saved.set("state", JSON.stringify({ ...saved, phase: "ShutdownStarted", stop }));
  const second = successor(first, plan, () => "ignore");
  await second.begin();
  assert.equal(second.state("web"), "Stopping");
  return second;
}

test("a replaced generation has its drain time, however short the grace period", async () => {
  const server = await replaced();
  const from = server.clock.now();
  assert.equal(server.init.backstopAt, from + drainMs + 500);
  await server.clock.advance(drainMs);
  assert.equal((server.init.find("web/0")?.endedAt ?? 0) - from, drainMs);
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  test(`a replaced generation has the pod's grace from a ${signal} on, in the init, too`, async () => {
    const server = await replaced();
    await server.clock.advance(20_000);
    const from = server.clock.now();
    server.init.send(signal);
    assert.equal(server.init.backstopAt, from + 5_500);
    await server.clock.advance(5_000);
    assert.equal((server.init.find("web/0")?.endedAt ?? 0) - from, signal === "SIGINT" ? 0 : 5_000);
  });
}
