import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { eventually, missingBinary, noPid1, processes, Stage, sanitized, sweep } from "./stage.js";

const skip = missingBinary || noPid1;
afterEach(sweep);

const now = () => Number(process.hrtime.bigint() / 1_000_000n);

/** A deaf command that leaves a deaf grandchild in a session of its own. */
const deaf = (seconds: number) =>
  `trap "" TERM; setsid sh -c "sleep ${seconds}; true" & sleep ${seconds} & sleep ${seconds}`;

for (const proc of ["empty", "foreign"] as const) {
  // sanitizers read their options from /proc, and without them look for leaks there when the program ends
  const cannotEnd = skip || (proc === "empty" && sanitized);
  const begin = async (seconds: number) => {
    const stage = await Stage.open(["run"], { pid1: true, proc });
    const supervisor = await stage.supervisor();
    await supervisor.greet();
    await supervisor.spawn("deaf", ["sh", "-c", deaf(seconds)]);
    const left = () => processes().filter(({ command }) => command === `sleep ${seconds}`).length;
    await eventually(() => left() === 3, "all run");
    return { stage, supervisor, left };
  };

  test(`EXIT ends all in time when /proc is ${proc}`, { skip: cannotEnd }, async () => {
    const { stage, supervisor } = await begin(1041);
    const began = performance.now();
    supervisor.send("EXIT", [7]);
    supervisor.leave(0);
    assert.deepEqual(await stage.running.ended, { code: 7, signal: null });
    const took = performance.now() - began;
    assert.ok(took > 450 && took < 2500, `${took} ms`);
  });

  test(`BACKSTOP kills all at its instant when /proc is ${proc}`, { skip: cannotEnd }, async () => {
    const { stage, supervisor } = await begin(1042);
    const began = performance.now();
    supervisor.send("BACKSTOP", [now() + 200, 143]);
    assert.deepEqual(await stage.running.ended, { code: 143, signal: null });
    const took = performance.now() - began;
    assert.ok(took < 2500, `${took} ms`);
  });

  test(`SIGNAL reaches child and group, and no other process, when /proc is ${proc}`, { skip }, async () => {
    const { supervisor, left } = await begin(1043);
    await supervisor.spawn("other", ["sleep", "1043"]);
    await eventually(() => left() === 4, "it runs");
    assert.equal(await supervisor.signal("deaf", 0, "child"), 1);
    assert.equal(await supervisor.signal("deaf", 9, "group"), 1);
    assert.deepEqual((await supervisor.next("EXITED", "deaf")).fields.slice(2, 4), ["signal", "9"]);
    assert.equal(await supervisor.signal("other", 0, "tree"), 1);
    await eventually(() => left() === 2, "what has left the group, and the other child, live");
  });
}

test("ABANDON ends a line's groups and leaves the others alone when /proc is empty", { skip }, async () => {
  const stage = await Stage.open(["run"], { pid1: true, proc: "empty" });
  const first = await stage.supervisor();
  await first.greet();
  await first.spawn("kept", ["sleep", "1044"]);
  first.send("SUCCESSOR", [`a=${join(stage.home, "node")}`, `e=TEST_SOCKET=${join(stage.home, "control")}`]);
  const second = await stage.supervisor();
  await second.greet();
  await second.spawn("2:deaf", ["sh", "-c", "trap '' TERM; sleep 1045 & sleep 1045"]);
  const running = (seconds: number) => processes().filter(({ command }) => command === `sleep ${seconds}`).length;
  await eventually(() => running(1044) === 1 && running(1045) === 2, "all run");
  first.send("ABANDON", [2]);
  await first.next("ENDED", "2");
  assert.deepEqual([running(1044), running(1045)], [1, 0]);
  assert.equal(await first.signal("kept", 0, "child"), 1);
});
