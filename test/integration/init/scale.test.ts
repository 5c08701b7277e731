// Full length: INIT_CHILDREN=10000 INIT_HELD=5000 INIT_CHURN=50000 node scripts/test.mjs test/integration/init/scale
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { compile, eventually, missingBinary, noPid1, Stage, sanitized, sweep } from "./stage.js";

const skip = missingBinary;
const children = Number(process.env.INIT_CHILDREN ?? 500);
const held = Number(process.env.INIT_HELD ?? 500);
const churn = Number(process.env.INIT_CHURN ?? 3000);
afterEach(sweep);

const status = (pid: number) => readFileSync(`/proc/${pid}/status`, "utf8");
const rssOf = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(status(pid))?.[1]);

test(`${children} children live, are told to a new supervisor and end, each once`, {
  skip: skip || noPid1,
  timeout: 300_000,
}, async () => {
  const stage = await Stage.open(["run"], { pid1: true });
  const first = await stage.supervisor();
  await first.greet();
  // static, so that ten thousand of them cost little
  const waiter = compile("waiter", "#include <unistd.h>\nint main(void) { pause(); return 0; }");
  for (let i = 0; i < children; i++) first.send("SPAWN", [`child.${i}`, `a=${waiter}`]);
  await eventually(
    () => first.frames.filter((frame) => frame.verb === "SPAWNED").length === children,
    () => `all run: ${first.frames.length}`,
    120_000,
  );
  assert.equal(await first.signal("child.7", 0, "tree"), 1);
  first.leave(1);
  const second = await stage.supervisor();
  const { sync } = await second.greet();
  assert.equal(new Set(sync.map((frame) => frame.fields[1])).size, children);
  for (let i = 0; i < children; i++) second.send("SIGNAL", [i, `child.${i}`, 9, "child"]);
  await eventually(
    () => second.frames.filter((frame) => frame.verb === "EXITED").length === children,
    "all are told",
    120_000,
  );
  assert.equal(second.frames.filter((frame) => frame.verb === "SIGNALLED" && frame.fields[1] === "1").length, children);
  assert.equal(second.frames.length, 2 * children);
});

test(`${held} held sockets survive a supervisor and are released`, { skip, timeout: 120_000 }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  const pid = await stage.running.pid();
  const before = readdirSync(`/proc/${pid}/fd`).length;
  first.order("listen", "web");
  await first.line("made");
  for (let i = 0; i < held; i++) first.send("HOLD", [`listener.${i}`], ["web"]);
  await eventually(() => first.frames.filter((frame) => frame.verb === "HELD").length === held, "all are held", 60_000);
  first.leave(1);
  const second = await stage.supervisor();
  const { sync } = await second.greet();
  assert.equal(sync.length, held);
  assert.ok(sync.every((frame) => frame.fds[0]?.[1] === sync[0]?.fds[0]?.[1]));
  for (let i = 0; i < held; i++) second.send("RELEASE", [`listener.${i}`]);
  await eventually(() => readdirSync(`/proc/${pid}/fd`).length === before, "all are closed");
});

test(`${churn} children one after the other leave no zombie, no descriptor and no growth`, {
  skip: skip || noPid1,
  timeout: 300_000,
}, async () => {
  const stage = await Stage.open(["run"], { pid1: true });
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const pid = await stage.running.pid();
  const round = async (count: number, from: number) => {
    for (let i = from; i < from + count; i++) supervisor.send("SPAWN", [`c${i}`, "a=/bin/true"]);
    await eventually(
      () => supervisor.frames.filter((frame) => frame.verb === "EXITED").length === count,
      "all have ended",
      120_000,
    );
    for (let i = from; i < from + count; i++) supervisor.send("FORGET", [`c${i}`]);
    assert.equal(supervisor.frames.length, 2 * count);
    supervisor.frames.length = 0;
  };
  await round(100, 0);
  const [rss, fds] = [rssOf(pid), readdirSync(`/proc/${pid}/fd`).length];
  for (let done = 0; done < churn; done += 500) await round(500, 1000 + done);
  assert.equal(readdirSync(`/proc/${pid}/fd`).length, fds);
  assert.ok(rssOf(pid) <= rss + 400, `${rss} KiB before, ${rssOf(pid)} KiB after`);
  assert.ok(sanitized || rssOf(pid) <= 1536, `${rssOf(pid)} KiB`);
});

test("a table that is full answers and goes on", {
  skip: skip || (children < 10000 && "only at full length: INIT_CHILDREN=10000"),
  timeout: 300_000,
}, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  for (let i = 0; i < 16_384; i++) supervisor.send("SPAWN", [`c${i}`, "a=/bin/true"]);
  await eventually(
    () => supervisor.frames.filter((frame) => frame.verb === "EXITED").length === 16_384,
    "all have ended",
    200_000,
  );
  supervisor.send("SPAWN", ["more", "a=/bin/true"]);
  assert.deepEqual((await supervisor.next("SPAWN-FAILED")).fields, ["more", "table", "23"]);
  supervisor.send("FORGET", ["c5000"]);
  await supervisor.spawn("more", ["/bin/true"]);
});

test("idle, the init of a supervisor never wakes up", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.send("READY");
  await supervisor.spawn("service", ["sleep", "1000"]);
  const pid = await stage.running.pid();
  const switches = () => /^voluntary_ctxt_switches:\s+(\d+)/m.exec(status(pid))?.[1];
  await eventually(() => /State:\tS/.test(status(pid)), "it sleeps");
  const before = switches();
  await new Promise((done) => setTimeout(done, 500));
  assert.equal(switches(), before);
});
