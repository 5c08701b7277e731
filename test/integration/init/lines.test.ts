import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { afterEach, test } from "node:test";
import {
  childrenOf,
  eventually,
  innerPid,
  isAlive,
  missingBinary,
  noPid1,
  refused,
  Stage,
  type Supervisor,
  stateOf,
  successor,
  sweep,
} from "./stage.js";

const skip = missingBinary;
afterEach(sweep);

const monotonic = () => Number(process.hrtime.bigint() / 1_000_000n);
const deaf = ["sh", "-c", "trap '' TERM; while :; do sleep 1013; done"];

async function opened(options?: Parameters<typeof Stage.open>[1]): Promise<{ stage: Stage; first: Supervisor }> {
  const stage = await Stage.open(["run"], options);
  const first = await stage.supervisor();
  await first.greet();
  return { stage, first };
}

/** As `opened`, with a second line that has said HELLO. */
async function two(): Promise<{ stage: Stage; first: Supervisor; number: string; second: Supervisor }> {
  const { stage, first } = await opened();
  const { number, supervisor } = await successor(stage, first, "second");
  await supervisor.greet();
  return { stage, first, number, second: supervisor };
}

async function finish(stage: Stage, last: Supervisor, code: number): Promise<void> {
  last.send("EXIT", [code]);
  last.leave(0);
  assert.deepEqual(await stage.running.ended, { code, signal: null });
}

test("SUCCESSOR starts a line of its own: WELCOME, children, names and exits are apart", { skip }, async () => {
  const { stage, first } = await opened();
  await first.spawn("web", ["sleep", "1000"]);
  first.order("listen", "web");
  first.send("HOLD", ["web"], ["web"]);
  await first.next("HELD");
  const { number, supervisor: second } = await successor(stage, first, "second");
  const { welcome, sync } = await second.greet();
  assert.deepEqual(welcome.fields.slice(4), ["0", "2", "0"]);
  assert.equal(number, "2");
  assert.deepEqual(
    sync.map((frame) => frame.fields),
    [["line", "1", String(first.pid)]],
  );
  second.send("SPAWN", ["web", "a=true"]);
  assert.deepEqual((await second.next("SPAWN-FAILED")).fields, ["web", "id", "17"]);
  // another line's children are none of its business
  assert.equal(await second.signal("web", 9, "child"), 0);
  second.send("FORGET", ["web"]);
  second.order("listen", "web");
  const port = (await second.line("made"))[2];
  second.send("HOLD", ["web"], ["web"]);
  await second.next("HELD");
  await second.spawn("2:web", ["sh", "-c", "exit 3"]);
  assert.deepEqual((await second.next("EXITED")).fields.slice(2, 4), ["code", "3"]);
  assert.equal(await first.signal("web", 0, "tree"), 1);
  assert.equal(first.frames.length, 0);
  second.send("RELEASE", ["web"]);
  second.order("drop", "web");
  await eventually(() => refused(Number(port)), "the second line's is released");
  const again = await first.greet();
  assert.deepEqual(again.welcome.fields.slice(5), ["1", "1"]);
  assert.deepEqual(
    again.sync.map((frame) => frame.fields.slice(0, 2)),
    [
      ["child", "web"],
      ["held", "web"],
      ["line", "2"],
    ],
  );
});

test("START-FAILED says why when the program cannot run, and leaves no line behind", { skip }, async () => {
  const { stage, first } = await opened();
  const pid = await stage.running.pid();
  const before = readdirSync(`/proc/${pid}/fd`).length;
  const cases: [string[], string[]][] = [
    [["a=/nonexistent/node"], ["exec", "2"]],
    [["a=/etc/passwd"], ["exec", "13"]],
    [["e=A=1"], ["a", "22"]],
    [
      ["a=true", "cwd=/"],
      ["field", "22"],
    ],
  ];
  for (let round = 0; round < 3; round++) {
    for (const [fields, expected] of cases) {
      first.send("SUCCESSOR", fields);
      assert.deepEqual((await first.next("START-FAILED")).fields, expected);
    }
  }
  await eventually(() => readdirSync(`/proc/${pid}/fd`).length === before, "as many descriptors as before");
  const { number } = await successor(stage, first, "works");
  assert.ok(Number(number) > 1);
  assert.equal(first.frames.length, 0);
});

test("four lines live and a fifth is refused until one is over", { skip }, async () => {
  const { stage, first } = await opened();
  const lines: Awaited<ReturnType<typeof successor>>[] = [];
  for (const name of ["b", "c", "d"]) lines.push(await successor(stage, first, name));
  for (const line of lines) await line.supervisor.greet();
  first.send("SUCCESSOR", ["a=true"]);
  assert.deepEqual((await first.next("START-FAILED")).fields, ["table", "23"]);
  lines[1]?.supervisor.send("EXIT", [9]);
  lines[1]?.supervisor.leave(0);
  assert.deepEqual((await first.next("ENDED")).fields, ["3", "code", "9"]);
  const { number, supervisor } = await successor(stage, first, "e");
  assert.equal(number, "5");
  const { sync } = await supervisor.greet();
  assert.deepEqual(
    sync.map((frame) => frame.fields[1]),
    ["1", "2", "4"],
  );
  // nine more, one after the other: nothing is used up
  for (let round = 0; round < 9; round++) {
    const over: string = String(Number(number) + round);
    first.send("ABANDON", [over]);
    assert.deepEqual((await first.next("ENDED")).fields, [over, "signal", "9"]);
    await successor(stage, first, `round${round}`);
  }
});

test("a candidate that dies is not started again: its line is over, and the primary is told", { skip }, async () => {
  const { stage, first, number, second } = await two();
  const pids = [
    await second.spawn("2:polite", ["sleep", "1000"]),
    await second.spawn("2:deaf", deaf),
    await second.spawn("2:away", ["sh", "-c", "setsid sleep 1014 & exec sleep 1015"]),
  ];
  const away = await eventually(() => childrenOf(pids[2] ?? 0)[0], "it has run away");
  const service = await first.spawn("web", ["sleep", "1000"]);
  second.order("listen", "held");
  const port = Number((await second.line("made"))[2]);
  second.send("HOLD", ["held"], ["held"]);
  await second.next("HELD");
  process.kill(second.pid, "SIGKILL");
  assert.deepEqual((await first.next("ENDED")).fields, [number, "signal", "9"]);
  for (const pid of [...pids, away]) assert.ok(!isAlive(pid), `${pid} is alive`);
  assert.ok(isAlive(service));
  assert.equal(await refused(port), true);
  assert.equal(stage.waiting, 0);
  await finish(stage, first, 4);
});

test("a candidate that gives up before its HELLO ends its line with its code", { skip }, async () => {
  const { stage, first } = await opened();
  const { number, supervisor } = await successor(stage, first, "second");
  supervisor.leave(78);
  assert.deepEqual((await first.next("ENDED")).fields, [number, "code", "78"]);
  await finish(stage, first, 0);
});

test("ABANDON ends a line whatever it does, never the primary or the sender's own", { skip }, async () => {
  const { stage, first, number, second } = await two();
  const service = await second.spawn("2:deaf", deaf);
  second.send("ABANDON", ["1"]);
  assert.deepEqual((await second.next("ERROR")).fields, ["ABANDON", "the primary cannot be abandoned"]);
  second.send("ABANDON", ["2"]);
  assert.deepEqual((await second.next("ERROR")).fields, ["ABANDON", "a line cannot abandon itself"]);
  first.send("ABANDON", ["77"]);
  process.kill(second.pid, "SIGSTOP");
  const began = performance.now();
  first.send("ABANDON", [number]);
  assert.deepEqual((await first.next("ENDED")).fields, [number, "signal", "9"]);
  assert.ok(performance.now() - began > 450, "the service had its time");
  assert.ok(!isAlive(service) && !isAlive(second.pid));
  assert.deepEqual(
    first.frames.filter((frame) => frame.verb !== "REAPED"),
    [],
  );
  await finish(stage, first, 0);
});

test("ABANDON of the primary by the line that was it before takes back at once, also against an OWN that comes late", {
  skip,
}, async () => {
  const { stage, first, number, second } = await two();
  await second.spawn("2:web", ["sleep", "1000"]);
  second.send("OWN");
  await second.signal("nobody", 0, "child");
  first.send("ABANDON", [number]);
  second.send("OWN");
  assert.deepEqual((await first.next("ENDED")).fields, [number, "signal", "9"]);
  process.kill(first.pid, "SIGKILL");
  const again = await stage.supervisor();
  assert.deepEqual((await again.greet()).welcome.fields.slice(4), ["1", "1", "1"]);
  await finish(stage, again, 0);
});

test("OWN makes the sender's line the primary: it is restarted, the former one too, and its code counts", {
  skip,
}, async () => {
  const { stage, first, second } = await two();
  second.send("OWN");
  const kept = await second.spawn("2:web", ["sleep", "1000"]);
  process.kill(second.pid, "SIGKILL");
  const secondAgain = await stage.supervisor();
  assert.deepEqual(secondAgain.args, ["second"]);
  const { welcome, sync } = await secondAgain.greet();
  assert.deepEqual(welcome.fields.slice(4), ["1", "2", "1"]);
  assert.deepEqual(
    sync.map((frame) => frame.fields.slice(0, 2)),
    [
      ["child", "2:web"],
      ["line", "1"],
    ],
  );
  process.kill(first.pid, "SIGKILL");
  const firstAgain = await stage.supervisor();
  assert.deepEqual((await firstAgain.greet()).welcome.fields.slice(4), ["1", "1", "0"]);
  firstAgain.send("EXIT", [0]);
  firstAgain.leave(0);
  assert.deepEqual((await secondAgain.next("ENDED")).fields, ["1", "code", "0"]);
  assert.ok(isAlive(kept));
  await finish(stage, secondAgain, 6);
});

test("an OWN that was sent before its sender died is obeyed", { skip }, async () => {
  const { stage, second } = await two();
  process.kill(await stage.running.pid(), "SIGSTOP");
  await eventually(async () => stateOf(await stage.running.pid()) === "T", "the init is stopped");
  second.send("OWN");
  second.leave(1);
  await eventually(() => !isAlive(second.pid), "it is dead");
  process.kill(await stage.running.pid(), "SIGCONT");
  const again = await stage.supervisor();
  assert.deepEqual((await again.greet()).welcome.fields.slice(4), ["1", "2", "1"]);
});

test("a line takes back what it owned", { skip }, async () => {
  const { stage, first, number, second } = await two();
  second.send("OWN");
  await second.signal("nobody", 0, "child");
  first.send("OWN");
  first.send("ABANDON", [number]);
  assert.deepEqual((await first.next("ENDED")).fields, [number, "signal", "9"]);
  await finish(stage, first, 3);
});

test("TERM and INT go to every line, other signals to the primary, each acknowledges for itself", {
  skip,
}, async () => {
  const { stage, first, second } = await two();
  for (const supervisor of [first, second]) supervisor.send("READY");
  // what is answered was read after READY
  for (const supervisor of [first, second]) await supervisor.signal("nobody", 0, "child");
  await stage.running.kill("SIGHUP");
  assert.deepEqual((await first.next("SIGNAL")).fields.slice(0, 2), ["1", "1"]);
  first.send("ACK", [1]);
  await stage.running.kill("SIGTERM");
  assert.deepEqual((await first.next("SIGNAL")).fields.slice(0, 2), ["2", "15"]);
  assert.deepEqual((await second.next("SIGNAL")).fields.slice(0, 2), ["1", "15"]);
  first.send("ACK", [2]);
  second.send("ACK", [1]);
  second.send("OWN");
  await second.signal("nobody", 0, "child");
  await stage.running.kill("SIGUSR1");
  assert.deepEqual((await second.next("SIGNAL")).fields.slice(0, 2), ["2", "10"]);
  await stage.running.kill("SIGINT");
  assert.deepEqual((await first.next("SIGNAL")).fields.slice(0, 2), ["3", "2"]);
  assert.deepEqual((await second.next("SIGNAL")).fields.slice(0, 2), ["3", "2"]);
  first.send("ACK", [3]);
  second.send("ACK", [3]);
  first.send("EXIT", [0]);
  first.leave(0);
  await second.next("ENDED", "1");
  await finish(stage, second, 0);
});

test("a line that does not acknowledge TERM is killed: the candidate is over, the other goes on", {
  skip,
}, async () => {
  const { stage, first, number, second } = await two();
  for (const supervisor of [first, second]) supervisor.send("READY");
  for (const supervisor of [first, second]) await supervisor.signal("nobody", 0, "child");
  await stage.running.kill("SIGTERM");
  await first.next("SIGNAL");
  first.send("ACK", [1]);
  assert.deepEqual((await first.next("ENDED")).fields, [number, "signal", "9"]);
  await finish(stage, first, 0);
});

test("EXIT of the primary asks the others to end, kills them after GRACE, and its code is the init's", {
  skip,
}, async () => {
  const { stage, first, second } = await two();
  second.send("READY");
  second.send("GRACE", [600]);
  const service = await second.spawn("2:web", ["sleep", "1000"]);
  first.send("EXIT", [42]);
  first.leave(0);
  const [, signal, sender] = (await second.next("SIGNAL")).fields;
  assert.deepEqual([signal, Number(sender)], ["15", await stage.running.pid()]);
  second.send("ACK", [1]);
  const began = performance.now();
  assert.ok(isAlive(service));
  assert.deepEqual(await stage.running.ended, { code: 42, signal: null });
  assert.ok(performance.now() - began > 500, "it had its grace");
  assert.ok(!isAlive(service));
  assert.match(stage.running.err(), /line 2 has not ended with the primary: SIGKILL/);
});

test("a line that takes over when the primary has ended is left alone", { skip }, async () => {
  const { stage, first, second } = await two();
  second.send("READY");
  second.send("GRACE", [300]);
  first.send("EXIT", [42]);
  first.leave(0);
  await second.next("SIGNAL");
  second.send("ACK", [1]);
  second.send("OWN");
  // the grace that it no longer has
  await second.spawn("2:short", ["sleep", "0.6"]);
  await second.next("EXITED");
  await finish(stage, second, 5);
});

test("the primary that gives up for good takes the others along with its code", { skip }, async () => {
  const { stage, first, second } = await two();
  second.send("READY");
  await second.signal("nobody", 0, "child");
  const service = await first.spawn("web", ["sleep", "1000"]);
  let supervisor = first;
  for (let deaths = 0; deaths < 10; deaths++) {
    process.kill(supervisor.pid, "SIGKILL");
    if (deaths < 9) supervisor = await stage.supervisor(20_000);
  }
  assert.deepEqual((await second.next("SIGNAL", undefined, 20_000)).fields[1], "15");
  assert.ok(!isAlive(service));
  second.send("ACK", [1]);
  second.send("EXIT", [0]);
  second.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 70, signal: null });
});

test("BACKSTOP of a line that is not the primary ends that line only", { skip }, async () => {
  const { stage, first, number, second } = await two();
  const service = await first.spawn("web", deaf);
  const doomed = await second.spawn("2:web", deaf);
  second.send("BACKSTOP", [monotonic() + 100, 143]);
  assert.deepEqual((await first.next("ENDED")).fields, [number, "code", "143"]);
  assert.ok(!isAlive(doomed) && !isAlive(second.pid) && isAlive(service) && isAlive(first.pid));
  await finish(stage, first, 0);
});

test("BACKSTOP of the primary ends all lines with its code", { skip }, async () => {
  const { stage, first, second } = await two();
  const pids = [await first.spawn("web", deaf), await second.spawn("2:web", deaf), first.pid, second.pid];
  second.send("BACKSTOP", [monotonic() + 60_000, 1]);
  first.send("BACKSTOP", [monotonic() + 100, 143]);
  assert.deepEqual(await stage.running.ended, { code: 143, signal: null });
  for (const pid of pids) assert.ok(!isAlive(pid), `${pid} is alive`);
});

test("EXIT of one line leaves no process of it and none of another's is touched", { skip }, async () => {
  const { stage, first, second } = await two();
  second.send("OWN");
  const theirs = await second.spawn("2:web", ["sh", "-c", "setsid sleep 1016 & exec sleep 1017"]);
  await eventually(async () => (await second.signal("2:web", 0, "tree")) === 2, "two processes");
  const ours = await first.spawn("web", ["sh", "-c", "setsid sh -c \"trap '' TERM; sleep 1018\" & exec sleep 1019"]);
  await eventually(async () => (await first.signal("web", 0, "tree")) === 3, "three processes");
  // one runs away for good: its child is forgotten
  const gone = await first.spawn("gone", ["sh", "-c", "setsid sleep 1020 & exit 0"]);
  await first.next("EXITED", "gone");
  first.send("FORGET", ["gone"]);
  first.send("EXIT", [0]);
  first.leave(0);
  await second.next("ENDED", "1");
  assert.ok(!isAlive(ours) && stateOf(gone) === undefined);
  assert.equal(await second.signal("2:web", 0, "tree"), 2);
  const left = childrenOf(await stage.running.pid());
  assert.deepEqual(new Set(left), new Set([second.pid, theirs]));
  await finish(stage, second, 0);
});

test("supervisors of both lines that are killed at any moment lose no child", { skip: skip || noPid1 }, async () => {
  const { stage, first } = await opened({ pid1: true });
  const { supervisor: second } = await successor(stage, first, "second");
  await second.greet();
  second.send("OWN");
  await second.signal("nobody", 0, "child");
  const init = await stage.running.pid();
  const lines = [
    { prefix: "", supervisor: first, spawned: 0 },
    { prefix: "2:", supervisor: second, spawned: 0 },
  ];
  // ten deaths within a minute would be the last resort
  for (let round = 0; round < 12; round++) {
    const line = lines[round % 2];
    assert.ok(line);
    line.supervisor.send("SPAWN", [`${line.prefix}r${line.spawned}`, "a=/bin/sleep", "a=1000"]);
    line.spawned++;
    await new Promise((done) => setTimeout(done, round % 3));
    const outer = childrenOf(init).find((child) => innerPid(child) === line.supervisor.pid);
    process.kill(outer ?? 0, "SIGKILL");
    line.supervisor = await stage.supervisor(20_000);
    const { welcome, sync } = await line.supervisor.greet();
    assert.deepEqual(welcome.fields[5], line.prefix === "" ? "1" : "2");
    const ids = sync.filter((frame) => frame.fields[0] === "child").map((frame) => frame.fields[1] ?? "");
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.equal(id.startsWith("2:"), line.prefix === "2:");
  }
  assert.ok(childrenOf(init).length <= 14);
});
