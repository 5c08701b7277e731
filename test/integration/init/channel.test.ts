import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { eventually, isAlive, missingBinary, noPid1, processes, Stage, stateOf, sweep } from "./stage.js";

const skip = missingBinary;
afterEach(sweep);

test("HELLO is answered with WELCOME and SYNCED when the supervisor is the first", { skip }, async () => {
  const stage = await Stage.open(["run", "-c", "x.yaml", "--", "cmd", "a b"]);
  const supervisor = await stage.supervisor();
  assert.deepEqual(supervisor.args, [
    join(stage.home, "pingora-entry.cjs"),
    "run",
    "-c",
    "x.yaml",
    "--",
    "cmd",
    "a%20b",
  ]);
  const { welcome, sync } = await supervisor.greet();
  const [version, pid, isPid1, bootId, restarts] = welcome.fields;
  assert.deepEqual([version, Number(pid), isPid1, restarts], ["1", await stage.running.pid(), "0", "0"]);
  assert.match(bootId ?? "", /^[0-9a-f]{32}$/);
  assert.deepEqual(sync, []);
  supervisor.send("EXIT", [7]);
  supervisor.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 7, signal: null });
});

test("SPAWN runs a program and its exit is told once", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const pid = await supervisor.spawn("one", ["sh", "-c", "exit 3"]);
  const exited = await supervisor.next("EXITED", "one");
  assert.deepEqual(exited.fields.slice(0, 4), ["one", String(pid), "code", "3"]);
  assert.equal(exited.fields.length, 8);
  assert.equal(await supervisor.signal("one", 15, "child"), 0);
  assert.equal(supervisor.frames.filter((frame) => frame.verb === "EXITED").length, 0);
});

test("SPAWN-FAILED names the stage when something before the program fails", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const cases: [string[], string, string][] = [
    [["a=/nonexistent/program"], "exec", "2"],
    [["a=/etc/passwd"], "exec", "13"],
    [["cwd=/nonexistent", "a=true"], "cwd", "2"],
    [["rlimit=bogus:1:1", "a=true"], "rlimit", "22"],
    [["fd=3:0", "a=true"], "fd", "22"],
    [["umask=9", "a=true"], "umask", "22"],
    [["what=1", "a=true"], "field", "22"],
    [[], "a", "22"],
  ];
  for (const [index, [fields, stage_, errno]] of cases.entries()) {
    supervisor.send("SPAWN", [`case${index}`, ...fields]);
    const failed = await supervisor.next("SPAWN-FAILED", `case${index}`);
    assert.deepEqual(failed.fields, [`case${index}`, stage_, errno]);
  }
  await supervisor.spawn("taken", ["sleep", "100"]);
  supervisor.send("SPAWN", ["taken", "a=true"]);
  assert.deepEqual((await supervisor.next("SPAWN-FAILED")).fields, ["taken", "id", "17"]);
  // a failed start leaves no id behind
  supervisor.send("SPAWN", ["case0", "a=/bin/true"]);
  await supervisor.next("SPAWNED", "case0");
});

test("SPAWN-FAILED says fd when a number is beyond what the child may open", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  execFileSync("prlimit", ["--pid", `${await stage.running.pid()}`, "--nofile=64:64"]);
  supervisor.order("pipe", "p");
  for (const target of [64, 65, 1000]) {
    supervisor.send("SPAWN", [`at${target}`, `fd=${target}:0`, "a=true"], ["p.w"]);
    const failed = await supervisor.next("SPAWN-FAILED", `at${target}`);
    assert.deepEqual(failed.fields.slice(1), ["fd", "24"]);
  }
  await supervisor.spawn("below", ["sleep", "100"], ["fd=40:0"], ["p.w"]);
});

test("SPAWN applies every field", {
  skip: skip || (process.getuid?.() !== 0 && "needs root to change user"),
}, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.order("pipe", "out");
  const script = [
    "P=/proc/$$; grep 'open files' $P/limits; umask; cat $P/oom_score_adj; nice; id -u; id -g; id -G; pwd;",
    "readlink $P/fd/0; cat $P/status | grep -E 'SigBlk|SigIgn|NoNewPrivs'; env | sort; echo $$; printf '%s,' \"$@\"",
  ].join(" ");
  await supervisor.spawn(
    "all",
    ["sh", "-c", script, "sh", "\xff\x01 bytes", ""],
    [
      "fd=1:0",
      "rlimit=nofile:77:99",
      "nice=5",
      "oom=321",
      "umask=027",
      "gid=12345",
      "groups=12345,12346",
      "uid=12344",
      "cwd=/usr",
      "pidenv=LISTEN_PID",
      "e=A=1",
      "e=PINGORA_ENTRY_ID=other",
      "e=PINGORA_ENTRY_CHANNEL=9",
    ],
    ["out.w"],
  );
  supervisor.order("drop", "out.w");
  await supervisor.next("EXITED", "all");
  const text = await supervisor.read("out.r");
  const lines = text.split("\n");
  assert.match(lines[0] ?? "", /77 +99/);
  assert.deepEqual(lines.slice(1, 8), ["0027", "321", "5", "12344", "12345", "12345 12346", "/usr"]);
  assert.match(text, /^\/dev\/null$/m);
  assert.match(text, /^SigBlk:\s0{16}$/m);
  assert.match(text, /^A=1$/m);
  assert.match(text, /^PINGORA_ENTRY_ID=all$/m);
  assert.doesNotMatch(text, /CHANNEL|ID=other/);
  const listenPid = /^LISTEN_PID=(\d+)$/m.exec(text)?.[1];
  assert.ok(listenPid !== undefined && text.includes(`\n${listenPid}\n`), text);
  assert.ok(text.endsWith("\xff\x01 bytes,,"), text);
});

test("SPAWN passes descriptors at their numbers and no other", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  for (const name of ["a", "b", "out"]) supervisor.order("pipe", name);
  supervisor.order("listen", "web");
  const [, , port] = await supervisor.line("made");
  // the numbers that the init itself uses for them, crosswise: a source may have the number of another's target
  const fds = ["fd=4:0", "fd=3:1", "fd=9:2", "fd=1:3", "fd=20:2"];
  await supervisor.spawn(
    "fds",
    ["sh", "-c", "ls /proc/$$/fd; echo A >&4; echo B >&3; readlink /proc/$$/fd/9 /proc/$$/fd/20"],
    fds,
    ["a.w", "b.w", "web", "out.w"],
  );
  for (const name of ["a.w", "b.w", "out.w"]) supervisor.order("drop", name);
  await supervisor.next("EXITED", "fds");
  const out = await supervisor.read("out.r");
  assert.match(out, /^0\n1\n2\n20\n3\n4\n9\nsocket:\[(\d+)\]\nsocket:\[\1\]\n$/);
  assert.equal(await supervisor.read("a.r"), "A\n");
  assert.equal(await supervisor.read("b.r"), "B\n");
  assert.ok(Number(port) > 0);
});

test("SPAWN passes what is held by name beside what comes on the frame, at numbers that cross", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  for (const name of ["a", "b", "out"]) supervisor.order("pipe", name);
  supervisor.send("HOLD", ["pipe:a"], ["a.w"]);
  // not waited for: orders are obeyed in order
  await supervisor.spawn(
    "held",
    ["sh", "-c", "ls /proc/$$/fd; echo A >&4; echo B >&3; echo A >/proc/$$/fd/20"],
    ["held=4:pipe:a", "fd=3:0", "fd=1:1", "held=20:pipe:a"],
    ["b.w", "out.w"],
  );
  for (const name of ["a.w", "b.w", "out.w"]) supervisor.order("drop", name);
  await supervisor.next("EXITED", "held");
  assert.equal(await supervisor.read("out.r"), "0\n1\n2\n20\n3\n4\n");
  assert.equal(await supervisor.read("b.r"), "B\n");
  supervisor.send("RELEASE", ["pipe:a"]);
  assert.equal(await supervisor.read("a.r"), "A\nA\n");
});

test("SPAWN-FAILED says held when nothing of that name is held, the name is none, or a number is given twice", {
  skip,
}, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.order("pipe", "p");
  supervisor.order("memfd", "text", "x");
  supervisor.send("HOLD", ["gone"], ["p.r"]);
  supervisor.send("RELEASE", ["gone"]);
  supervisor.send("HOLD", ["there"], ["p.r"]);
  supervisor.send("STATE", ["state"], ["text"]);
  const cases: [string[], number][] = [
    [["held=3:gone"], 2],
    [["held=3:state"], 2],
    [["held=3:there", "held=4:gone"], 2],
    [["held=3:"], 22],
    [["held=x:there"], 22],
    [["held=65536:there"], 22],
    [[`held=3:${"n".repeat(256)}`], 22],
    [["held=3:there", "held=3:there"], 22],
    [["fd=3:0", "held=3:there"], 22],
  ];
  for (const [index, [fields, errno]] of cases.entries()) {
    supervisor.send("SPAWN", [`bad${index}`, ...fields, "a=true"], ["p.w"]);
    const failed = await supervisor.next("SPAWN-FAILED", `bad${index}`);
    assert.deepEqual(failed.fields.slice(1), ["held", `${errno}`], fields.join(" "));
  }
  await supervisor.spawn("good", ["sleep", "100"], ["held=3:there"]);
});

test("SPAWN passes thousands of held descriptors to a program with the limit that the init was given", {
  skip,
}, async () => {
  const count = 2000;
  const stage = await Stage.open(["run"], { under: ["prlimit", "--nofile=2048:8192"] });
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.order("listen", "web");
  await supervisor.line("made");
  supervisor.order("pipe", "out");
  const fields: string[] = ["fd=1:0"];
  for (let i = 0; i < count; i++) {
    supervisor.send("HOLD", [`listener:${i}`], ["web"]);
    fields.push(`held=${i + 3}:listener:${i}`);
  }
  await eventually(
    () => supervisor.frames.filter((frame) => frame.verb === "HELD").length === count,
    "all are held",
    60_000,
  );
  const script =
    "exec 2>/dev/null; ls /proc/$$/fd | wc -l; readlink /proc/$$/fd/* | sort -u | grep -c socket; ulimit -Sn; ulimit -Hn";
  const argv = [`e=PATH=${process.env.PATH}`, "a=sh", "a=-c", `a=${script}`];
  supervisor.big("big", "SPAWN", ["many", ...fields, ...argv], ["out.w"]);
  await supervisor.next("SPAWNED", "many");
  supervisor.order("drop", "out.w");
  await supervisor.next("EXITED", "many");
  assert.equal(await supervisor.read("out.r"), `${count + 3}\n1\n2048\n8192\n`);
});

test("a descriptor that was passed is closed in the init when the frame is done", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const pid = await stage.running.pid();
  const open = () => readdirSync(`/proc/${pid}/fd`).length;
  const before = open();
  for (let i = 0; i < 20; i++) {
    supervisor.order("pipe", `p${i}`);
    supervisor.send("SPAWN", [`bad${i}`, "fd=3:0", "cwd=/nonexistent", "a=true"], [`p${i}.w`]);
    await supervisor.next("SPAWN-FAILED", `bad${i}`);
    supervisor.send("NONSENSE", ["x"], [`p${i}.r`, `p${i}.w`]);
    await supervisor.next("ERROR", "NONSENSE");
  }
  await supervisor.spawn("good", ["sleep", "100"], ["fd=3:0"], ["p0.r"]);
  await eventually(() => open() === before, `as many descriptors as before: ${before}, not ${open()}`);
});

test("SIGNAL reaches the child, its group or its tree", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  // in the group; in the session with a group of its own; daemonised away; of another child
  const script = "sleep 1001 & set -m; sleep 1002 & set +m; setsid sleep 1003 & wait";
  const pid = await supervisor.spawn("tree", ["bash", "-c", script]);
  await supervisor.spawn("other", ["sleep", "1004"]);
  await eventually(async () => (await supervisor.signal("tree", 0, "tree")) === 4, "four processes");
  // forked is not yet in a group or session of its own
  await eventually(async () => (await supervisor.signal("tree", 0, "group")) === 2, "two of them in the group");
  assert.equal(await supervisor.signal("tree", 0, "child"), 1);
  assert.equal(await supervisor.signal("other", 0, "tree"), 1);
  assert.equal(await supervisor.signal("tree", 9, "child"), 1);
  assert.deepEqual((await supervisor.next("EXITED", "tree")).fields.slice(1, 4), [String(pid), "signal", "9"]);
  assert.equal(await supervisor.signal("tree", 15, "child"), 0);
  // the child is gone, its tree is not
  assert.equal(await supervisor.signal("tree", 0, "tree"), 3);
  assert.equal(await supervisor.signal("tree", 15, "tree"), 3);
  await eventually(async () => (await supervisor.signal("tree", 0, "tree")) === 0, "the tree is gone");
  assert.equal(await supervisor.signal("other", 0, "tree"), 1);
  supervisor.send("FORGET", ["tree"]);
  assert.equal(await supervisor.signal("tree", 15, "tree"), 0);
  assert.equal(await supervisor.signal("nobody", 15, "tree"), 0);
});

test("SIGNAL tree leaves another init's child of the same id alone", { skip }, async () => {
  const stages = [await Stage.open(), await Stage.open()];
  const supervisors = [];
  for (const stage of stages) {
    const supervisor = await stage.supervisor();
    await supervisor.greet();
    await supervisor.spawn("web.1", ["sh", "-c", "setsid sleep 1005 & exec sleep 1006"]);
    supervisors.push(supervisor);
  }
  const [one, two] = supervisors;
  assert.ok(one && two);
  for (const supervisor of supervisors) {
    await eventually(async () => (await supervisor.signal("web.1", 0, "tree")) === 2, "two processes each");
  }
  assert.equal(await one.signal("web.1", 9, "tree"), 2);
  await one.next("EXITED");
  assert.equal(await two.signal("web.1", 0, "tree"), 2);
});

test("FORGET of a living child drops it when it exits, without a word", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const pid = await supervisor.spawn("short", ["sleep", "1000"]);
  supervisor.send("FORGET", ["short"]);
  // orders are obeyed in their order: this one's answer comes after it
  await supervisor.signal("short", 0, "child");
  process.kill(pid, "SIGKILL");
  await eventually(() => stateOf(pid) === undefined, "it is reaped");
  await supervisor.spawn("short", ["sleep", "1000"]);
  assert.deepEqual(
    supervisor.frames.map((frame) => frame.verb),
    [],
  );
});

test("signals wait for READY, come in order with their sender, and are dropped by ACK only", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const) {
    await stage.running.kill(signal);
    await eventually(
      () => /ShdPnd:\t0{16}/.test(readFileSync(`/proc/${stage.running.process.pid}/status`, "latin1")),
      "it is taken",
    );
  }
  assert.equal(supervisor.frames.length, 0);
  supervisor.send("READY");
  await supervisor.next("SIGNAL", "4");
  const others = ["1", "2", "3"].map((sequence) => supervisor.frames.find((frame) => frame.fields[0] === sequence));
  assert.deepEqual(new Set(others.map((frame) => frame?.fields[1])).size, 3);
  assert.deepEqual(others[0]?.fields.slice(2), [String(process.pid), String(process.getuid?.())]);
  supervisor.frames.length = 0;
  supervisor.send("ACK", [2]);
  supervisor.send("HELLO", [1]);
  await supervisor.next("SYNCED");
  supervisor.send("READY");
  await supervisor.next("SIGNAL", "4");
  assert.deepEqual(
    supervisor.frames.filter((frame) => frame.verb === "SIGNAL").map((frame) => frame.fields[0]),
    ["3"],
  );
});

test("all 29 catchable signals are told, and real-time ones", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.send("READY");
  const pid = await stage.running.pid();
  const numbers = Array.from({ length: 64 }, (_, index) => index + 1).filter(
    (number) => ![9, 17, 19, 32, 33].includes(number),
  );
  // TERM, INT and QUIT want an ACK within two seconds
  for (const number of numbers) {
    process.kill(pid, number);
    const [sequence, told] = (await supervisor.next("SIGNAL")).fields;
    assert.equal(told, String(number));
    supervisor.send("ACK", [sequence ?? ""]);
  }
});

test("equal signals are merged when more than 64 wait, others are not", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const pid = await stage.running.pid();
  const caught = async () => readFileSync(`/proc/${pid}/status`, "latin1").match(/ShdPnd:\t0{16}/) !== null;
  for (let i = 0; i < 100; i++) {
    process.kill(pid, i % 2 ? "SIGUSR1" : "SIGUSR2");
    await eventually(caught, "it is taken");
  }
  process.kill(pid, "SIGHUP");
  await eventually(caught, "it is taken");
  supervisor.send("READY");
  const told: string[] = [];
  for (let i = 0; i < 64; i++) {
    const [sequence, number] = (await supervisor.next("SIGNAL")).fields;
    told.push(number ?? "");
    supervisor.send("ACK", [sequence ?? ""]);
  }
  assert.equal(told.at(-1), "1");
  await supervisor.spawn("after", ["true"]);
  assert.equal(supervisor.frames.filter((frame) => frame.verb === "SIGNAL").length, 0);
});

test("a frame that is too long for a datagram travels in a sealed memfd", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.order("pipe", "out");
  const long = Array.from({ length: 2000 }, (_, index) => `e=NAME${index}=${"x".repeat(50)}`);
  supervisor.big(
    "big",
    "SPAWN",
    ["long", "fd=1:0", ...long, "a=/bin/sh", "a=-c", "a=echo $NAME1999$0", `a=${"y".repeat(70000)}`],
    ["out.w"],
  );
  await supervisor.next("SPAWNED", "long");
  supervisor.order("drop", "out.w");
  assert.equal(await supervisor.read("out.r"), `${"x".repeat(50)}${"y".repeat(70000)}\n`);
  supervisor.big("soft", "SPAWN", ["soft", "a=/bin/true"]);
  assert.match((await supervisor.next("ERROR")).fields[1] ?? "", /not sealed/);
});

test("an order whose descriptors were lost is refused by its name, and has no effect", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  for (const name of ["p", "q"]) supervisor.order("pipe", name);
  const pid = await stage.running.pid();
  const open = () => readdirSync(`/proc/${pid}/fd`).map(Number);
  const before = open().length;
  const free = Array.from({ length: 100 }, (_, number) => number).filter((number) => !open().includes(number));
  /** so that this many more can be opened */
  const limit = (more: number) => {
    const nofile = free[more] ?? 0;
    execFileSync("prlimit", ["--pid", `${pid}`, `--nofile=${nofile}:`]);
    return `it may open no more files: its limit nofile is ${nofile}; raise the container's hard limit`;
  };
  const long = Array.from({ length: 2000 }, (_, index) => `e=NAME${index}=${"x".repeat(50)}`);
  const refused = async (verb: string, text: string) =>
    assert.deepEqual((await supervisor.next("ERROR")).fields, [verb, text]);
  const notSpawned = async (id: string) =>
    assert.deepEqual((await supervisor.next("SPAWN-FAILED")).fields, [id, "fd", "24"]);

  const none = limit(0);
  supervisor.send("HOLD", ["a"], ["p.r"]);
  await refused("HOLD", none);
  supervisor.send("STATE", ["a"], ["p.r"]);
  await refused("STATE", none);
  supervisor.send("STANDBY", [], ["p.r"]);
  await refused("STANDBY", none);
  supervisor.send("SPAWN", ["few", "fd=1:0", "a=true"], ["p.w"]);
  await notSpawned("few");
  supervisor.big("big", "SPAWN", ["unread", ...long, "a=true"]);
  await refused("*", none);

  const one = limit(1);
  supervisor.send("HOLD", ["a"], ["p.r", "p.w"]);
  await refused("HOLD", one);
  supervisor.send("SPAWN", ["one", "fd=1:0", "fd=2:1", "a=true"], ["p.w", "q.w"]);
  await notSpawned("one");
  supervisor.big("big", "SPAWN", ["read", "fd=1:0", ...long, "a=true"], ["p.w"]);
  await notSpawned("read");

  assert.equal(open().length, before);
  limit(20);
  for (const id of ["few", "unread", "one", "read"]) await supervisor.spawn(id, ["sleep", "100"], ["fd=1:0"], ["p.w"]);
  supervisor.raw(
    "HOLD\0a\0",
    Array.from({ length: 80 }, () => "p.r"),
  );
  assert.equal((await supervisor.next("ERROR")).fields[0], "HOLD");
  supervisor.send("HOLD", ["a"], ["p.r"]);
  await supervisor.next("HELD", "a");
});

test("what cannot be understood is answered with ERROR and harms nothing", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  supervisor.send("SPAWN", ["early", "a=true"]);
  assert.deepEqual((await supervisor.next("ERROR")).fields, ["SPAWN", "HELLO comes first"]);
  supervisor.send("HELLO", [2]);
  assert.deepEqual((await supervisor.next("ERROR")).fields, ["HELLO", "this init speaks version 1"]);
  await supervisor.greet();
  await supervisor.spawn("bystander", ["sleep", "1000"]);
  supervisor.order("pipe", "p");
  const fds = Array.from({ length: 80 }, () => "p.r");
  const hostile: [() => void, string][] = [
    [() => supervisor.raw("", ["p.r"]), "?"],
    [() => supervisor.raw("SPAWN"), "?"],
    [() => supervisor.raw("spawn\0x\0"), "?"],
    [() => supervisor.raw("\0\0\0"), "?"],
    [() => supervisor.raw("x".repeat(70000)), "?"],
    [() => supervisor.raw("*\0"), "?"],
    [() => supervisor.raw("*\0", ["p.r"]), "?"],
    [() => supervisor.raw("NO-SUCH-VERB\0a\0"), "NO-SUCH-VERB"],
    [() => supervisor.send("SPAWN"), "SPAWN"],
    [() => supervisor.send("SIGNAL", ["1", "bystander", "65", "child"]), "SIGNAL"],
    [() => supervisor.send("SIGNAL", ["1", "bystander", "15", "world"]), "SIGNAL"],
    [() => supervisor.send("SIGNAL", ["1", "bystander", "15"]), "SIGNAL"],
    [() => supervisor.send("SIGNAL", ["one", "bystander", "15", "tree"]), "SIGNAL"],
    [() => supervisor.send("SIGNAL", ["99999999999999999999", "bystander", "15", "tree"]), "SIGNAL"],
    [() => supervisor.send("FORGET"), "FORGET"],
    [() => supervisor.send("HOLD", ["name"]), "HOLD"],
    [() => supervisor.send("HOLD", ["name"], ["p.r", "p.w"]), "HOLD"],
    [() => supervisor.send("HOLD", [""], ["p.r"]), "HOLD"],
    [() => supervisor.send("HOLD", ["x".repeat(256)], ["p.r"]), "HOLD"],
    [() => supervisor.send("RELEASE"), "RELEASE"],
    [() => supervisor.send("STATE", ["name"], ["p.r"]), "STATE"],
    [() => supervisor.send("ACK", ["-1"]), "ACK"],
    [() => supervisor.send("GRACE", ["1e3"]), "GRACE"],
    [() => supervisor.send("BACKSTOP", ["soon", "1"]), "BACKSTOP"],
    [() => supervisor.send("BACKSTOP", ["1", "256"]), "BACKSTOP"],
    [() => supervisor.send("EXIT", [""]), "EXIT"],
    [() => supervisor.send("EXIT", [" 1"]), "EXIT"],
    [() => supervisor.raw("HOLD\0many\0", fds), "HOLD"],
  ];
  for (const [index, [send, verb]] of hostile.entries()) {
    send();
    assert.equal((await supervisor.next("ERROR")).fields[0], verb, `hostile frame ${index}`);
  }
  for (const id of ["", "x".repeat(128)]) {
    supervisor.send("SPAWN", [id, "a=true"]);
    assert.deepEqual((await supervisor.next("SPAWN-FAILED")).fields.slice(1), ["id", "22"]);
  }
  supervisor.send("ERROR", ["X", "never answered"]);
  assert.equal(await supervisor.signal("bystander", 0, "child"), 1);
  assert.equal(supervisor.frames.length, 0);
});

test("EXIT ends what is left, also what ignores TERM and ran away, and exits with the code", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const pids = [
    await supervisor.spawn("deaf", ["sh", "-c", "trap '' TERM; echo; while :; do sleep 1007; done"]),
    await supervisor.spawn("away", ["sh", "-c", "setsid sleep 1008 & setsid sleep 1009 & sleep 1010"]),
  ];
  await eventually(async () => (await supervisor.signal("away", 0, "tree")) === 4, "four processes");
  const all = processes().filter(
    (process) =>
      pids.includes(process.pid) || pids.includes(process.session) || /^sleep 100[789]/.test(process.command),
  );
  supervisor.send("EXIT", [5]);
  supervisor.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 5, signal: null });
  for (const { pid, command } of all) assert.ok(!isAlive(pid), `${pid} ${command} is alive`);
});

test("EXIT kills a supervisor that stays", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  const began = performance.now();
  supervisor.send("EXIT", [0]);
  assert.deepEqual(await stage.running.ended, { code: 0, signal: null });
  const took = performance.now() - began;
  assert.ok(took > 1900 && took < 4000, `${took} ms`);
});

test("BACKSTOP kills everything at its instant, unless it is taken back", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  await supervisor.spawn("deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 1011; done"]);
  const now = () => Number(process.hrtime.bigint() / 1_000_000n);
  supervisor.send("BACKSTOP", [now() + 100, 9]);
  supervisor.send("BACKSTOP", ["-", 0]);
  await supervisor.spawn("between", ["sleep", "0.3"]);
  await supervisor.next("EXITED", "between");
  supervisor.send("BACKSTOP", [now() + 100, 143]);
  assert.deepEqual(await stage.running.ended, { code: 143, signal: null });
});

test("a supervisor that does not read costs no memory and loses nothing", { skip }, async () => {
  const stage = await Stage.open();
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.order("deaf");
  const count = 2000;
  for (let i = 0; i < count; i++) supervisor.send("SPAWN", [`n${i}`, "a=/bin/true"]);
  supervisor.order("hear");
  await eventually(() => supervisor.frames.length >= 2 * count, "all is told", 60_000);
  const exits = supervisor.frames.filter((frame) => frame.verb === "EXITED").map((frame) => frame.fields[0]);
  assert.equal(new Set(exits).size, count);
  assert.equal(exits.length, count);
});

test("as PID 1 nothing is different", { skip: skip || noPid1 }, async () => {
  const stage = await Stage.open(["run"], { pid1: true });
  const supervisor = await stage.supervisor();
  const { welcome } = await supervisor.greet();
  assert.deepEqual(welcome.fields.slice(1, 3), ["1", "1"]);
  await supervisor.spawn("one", ["sh", "-c", "setsid sleep 1000 & sleep 0.01; exit 4"]);
  assert.deepEqual((await supervisor.next("EXITED")).fields.slice(2, 4), ["code", "4"]);
  assert.equal(await supervisor.signal("one", 15, "tree"), 1);
  await supervisor.next("REAPED", "1");
  supervisor.send("READY");
  await stage.running.kill("SIGTERM");
  const signal = await supervisor.next("SIGNAL");
  assert.deepEqual(signal.fields.slice(0, 2), ["1", "15"]);
  supervisor.send("ACK", [1]);
  supervisor.send("EXIT", [0]);
  supervisor.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 0, signal: null });
});
