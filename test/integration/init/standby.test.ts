import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import {
  binary,
  childrenOf,
  eventually,
  folder,
  isAlive,
  missingBinary,
  refused,
  Stage,
  type Supervisor,
  successor,
  sweep,
} from "./stage.js";

const skip = missingBinary;
afterEach(sweep);

/** A stage that stands by for a lock that the other one has. */
async function standingBy(): Promise<{
  stage: Stage;
  first: Supervisor;
  owner: Supervisor;
  waiter: number;
  path: string;
}> {
  const path = join(folder(), "owner.lock");
  const other = await Stage.open();
  const owner = await other.supervisor();
  owner.order("open", "lock", path);
  owner.order("lock", "lock");
  await owner.line("locked");
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.order("listen", "web");
  first.send("HOLD", ["web"], ["web"]);
  await first.next("HELD");
  first.order("open", "lock", path);
  first.send("STANDBY", [], ["lock"]);
  first.leave(0);
  const waiter = await waiterOf(stage, first.pid);
  return { stage, first, owner, waiter, path };
}

async function waiterOf(stage: Stage, ...not: readonly number[]): Promise<number> {
  const pid = await stage.running.pid();
  return eventually(() => childrenOf(pid).find((child) => !not.includes(child)), "a child waits for the lock");
}

test("STANDBY starts the next supervisor when the lock was free once, and costs a child that has nothing else", {
  skip,
}, async () => {
  const { stage, first, owner, waiter } = await standingBy();
  await eventually(() => !isAlive(first.pid), "the supervisor has ended");
  await eventually(() => readdirSync(`/proc/${waiter}/fd`).length === 1, "it has the lock only");
  assert.match(readlinkSync(`/proc/${waiter}/fd/0`), /owner\.lock$/);
  assert.equal(stage.waiting, 0);
  assert.equal(stage.running.err(), "");
  owner.order("drop", "lock");
  const second = await stage.supervisor();
  const { welcome, sync } = await second.greet();
  assert.equal(welcome.fields[4], "1");
  assert.deepEqual(
    sync.map((frame) => frame.fields),
    [["held", "web"]],
  );
  assert.ok(!isAlive(waiter));
});

test("STANDBY leaves the lock free for the supervisor that it starts", { skip }, async () => {
  const { stage, owner, path } = await standingBy();
  owner.order("drop", "lock");
  const second = await stage.supervisor();
  await second.greet();
  second.order("open", "mine", path);
  second.order("lock", "mine");
  await second.line("locked", "mine");
});

test("STANDBY kills a supervisor that stays", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.order("open", "lock", join(folder(), "free.lock"));
  const began = performance.now();
  first.send("STANDBY", [], ["lock"]);
  const second = await stage.supervisor();
  assert.ok(performance.now() - began > 1900);
  await second.greet();
});

test("TERM in standby ends the init with 0 at once", { skip }, async () => {
  const { stage, first, waiter } = await standingBy();
  await eventually(() => !isAlive(first.pid), "the supervisor has ended");
  const began = performance.now();
  await stage.running.kill("SIGTERM");
  assert.deepEqual(await stage.running.ended, { code: 0, signal: null });
  assert.ok(performance.now() - began < 400);
  assert.ok(!isAlive(waiter));
});

test("TERM that a supervisor did not acknowledge before its standby ends the init", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.send("READY");
  first.order("open", "lock", join(folder(), "free.lock"));
  first.send("STANDBY", [], ["lock"]);
  await first.signal("nobody", 0, "child");
  await stage.running.kill("SIGTERM");
  await first.next("SIGNAL");
  first.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 0, signal: null });
});

test("TERM in standby starts the supervisor when children are left", { skip }, async () => {
  const { stage, first, owner, path } = await standingBy();
  owner.order("drop", "lock");
  const second = await stage.supervisor();
  await second.greet();
  const child = await second.spawn("left", ["sleep", "1000"]);
  owner.order("open", "lock", path);
  owner.order("lock", "lock");
  await owner.line("locked");
  second.order("open", "lock", path);
  second.send("STANDBY", [], ["lock"]);
  second.leave(0);
  await waiterOf(stage, first.pid, second.pid, child);
  await stage.running.kill("SIGTERM");
  const third = await stage.supervisor();
  await third.greet();
  third.send("READY");
  assert.equal((await third.next("SIGNAL")).fields[1], "15");
  assert.ok(isAlive(child));
  third.send("ACK", [1]);
  third.send("EXIT", [5]);
  third.leave(0);
  assert.equal((await stage.running.ended).code, 5);
});

test("other signals in standby wait, and a waiting child that is killed is started again", { skip }, async () => {
  const { stage, owner, first, waiter } = await standingBy();
  await eventually(() => !isAlive(first.pid), "the supervisor has ended");
  await stage.running.kill("SIGHUP");
  process.kill(waiter, "SIGKILL");
  await waiterOf(stage, waiter);
  assert.equal(stage.waiting, 0);
  owner.order("drop", "lock");
  const second = await stage.supervisor();
  await second.greet();
  second.send("READY");
  assert.deepEqual((await second.next("SIGNAL")).fields.slice(0, 2), ["1", "1"]);
});

test("STANDBY is refused without its descriptor and to a candidate", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.send("STANDBY");
  assert.deepEqual((await first.next("ERROR")).fields, ["STANDBY", "exactly one descriptor is needed"]);
  const { supervisor: second } = await successor(stage, first, "second");
  await second.greet();
  second.order("open", "lock", join(folder(), "free.lock"));
  second.send("STANDBY", [], ["lock"]);
  assert.deepEqual((await second.next("ERROR")).fields, ["STANDBY", "this supervisor is not started again"]);
});

test("a line in standby stays so when another line has the init replaced", { skip }, async () => {
  const { stage, owner } = await standingBy();
  owner.order("drop", "lock");
  const first = await stage.supervisor();
  await first.greet();
  const { supervisor: second } = await successor(stage, first, "second");
  await second.greet();
  const path = join(folder(), "second.lock");
  owner.order("open", "lock", path);
  owner.order("lock", "lock");
  await owner.line("locked");
  first.order("listen", "other");
  const port = Number((await first.line("made"))[2]);
  first.send("HOLD", ["other"], ["other"]);
  await first.next("HELD");
  first.order("open", "lock", path);
  first.send("STANDBY", [], ["lock"]);
  first.leave(0);
  const waiter = await waiterOf(stage, first.pid, second.pid);
  await eventually(() => !isAlive(first.pid), "the supervisor has ended");
  const another = join(folder(), "another");
  copyFileSync(binary, another);
  second.send("REPLACE", [another]);
  await second.next("REPLACED");
  const pid = await stage.running.pid();
  assert.equal(readFileSync(`/proc/${pid}/comm`, "latin1"), "another\n");
  assert.deepEqual(new Set(childrenOf(pid)), new Set([waiter, second.pid]));
  assert.equal(await refused(port), false);
  owner.order("drop", "lock");
  const third = await stage.supervisor();
  assert.deepEqual((await third.greet()).welcome.fields.slice(4), ["2", "1", "1"]);
});
