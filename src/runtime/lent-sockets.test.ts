import assert from "node:assert/strict";
import { test } from "node:test";
import { planOf, silentLog } from "../../test/fakes/fake-server.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { ListenerSpec } from "../core/plan.js";
import { LentSockets } from "./lent-sockets.js";
import type { BoundListener } from "./ports.js";

const spec = (name: string): ListenerSpec => ({
  name,
  address: { kind: "tcp", host: "127.0.0.1", port: 1, ipv6Only: false },
  key: name,
  backlog: 5,
  reusePort: false,
  passAs: "systemd",
  envName: "",
});

/** `modes`: what the kernel has, by listener; "admin" is an endpoint's. */
function stage(saved?: readonly string[]) {
  const modes = new Map([
    ["waits", true],
    ["loops", false],
    ["admin", false],
  ]);
  const put: string[] = [];
  const clock = new ManualClock();
  let saves = 0;
  const lent = new LentSockets({
    plan: planOf([], { listeners: [spec("waits"), spec("loops")] }),
    sockets: {
      isBlocking: ({ spec: { name } }) => modes.get(name) === true,
      takeBack: ({ spec: { name } }, blocking) => {
        put.push(name);
        modes.set(name, blocking);
      },
    },
    listeners: new Map([...modes.keys()].map((name, fd): [string, BoundListener] => [name, { spec: spec(name), fd }])),
    clock,
    log: silentLog,
    saved,
    save: () => {
      saves += 1;
    },
  });
  const all = (blocking: boolean) => {
    for (const name of modes.keys()) modes.set(name, blocking);
  };
  return { lent, modes, put, clock, all, saves: () => saves };
}

test("LentSockets puts back at once what a service of this generation would hang at, and a moment later what it would wait at", async () => {
  for (const blocking of [true, false]) {
    const { lent, modes, clock, all, saves } = stage();
    lent.lend();
    assert.deepEqual(lent.saved, ["waits"]);
    all(blocking);
    lent.takeBack();
    assert.equal(modes.get("loops"), false);
    assert.equal(modes.get("waits"), blocking);
    assert.deepEqual(lent.saved, blocking ? undefined : ["waits"]);
    await clock.advance(1_000);
    assert.deepEqual([...modes.values()], [true, false, blocking], "endpoints are left alone");
    assert.equal(lent.saved, undefined);
    assert.equal(saves(), blocking ? 0 : 1);
  }
});

test("LentSockets has put back everything before it lends again, and touches nothing that was never lent", async () => {
  const { lent, modes, put, clock, all } = stage();
  lent.takeBack();
  lent.putBack();
  assert.deepEqual(put, []);
  lent.lend();
  all(false);
  lent.takeBack();
  lent.lend();
  assert.deepEqual(lent.saved, ["waits"]);
  all(false);
  await clock.advance(5_000);
  assert.equal(modes.get("waits"), false, "the moment was the attempt's before");
  lent.putBack();
  assert.equal(modes.get("waits"), true);
});

test("LentSockets puts back what a supervisor before this one has lent", () => {
  const { lent, modes, all } = stage(["waits"]);
  all(false);
  assert.deepEqual(lent.saved, ["waits"]);
  lent.putBack();
  assert.deepEqual([...modes.values()], [true, false, false]);
  assert.equal(lent.saved, undefined);
});
