import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, test } from "node:test";
import {
  binary,
  childrenOf,
  eventually,
  folder,
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

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const monotonic = () => Number(process.hrtime.bigint() / 1_000_000n);

async function opened(options?: Parameters<typeof Stage.open>[1]): Promise<{ stage: Stage; first: Supervisor }> {
  const stage = await Stage.open(["run", "an argument"], options);
  const first = await stage.supervisor();
  await first.greet();
  return { stage, first };
}

/** A copy of the binary under another name, to see which one runs. */
function copy(name: string): string {
  const path = join(folder(), name);
  copyFileSync(binary, path);
  chmodSync(path, 0o755);
  return path;
}

async function replace(supervisor: Supervisor, path: string): Promise<void> {
  supervisor.send("REPLACE", [path]);
  const answer = await eventually(
    () => supervisor.frames.find((frame) => frame.verb === "REPLACED" || frame.fields[0] === "REPLACE"),
    "an answer to REPLACE",
  );
  supervisor.frames.splice(supervisor.frames.indexOf(answer), 1);
  assert.deepEqual([answer.verb, ...answer.fields], ["REPLACED", version]);
}

async function refusal(supervisor: Supervisor, path: string): Promise<string> {
  supervisor.send("REPLACE", [path]);
  return (await supervisor.next("ERROR", "REPLACE")).fields[1] ?? "";
}

/** Descriptors of a process: number, flags without the offset, and what they are. */
function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => {
      const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1"))?.[1];
      return `${fd} ${flags} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`;
    })
    .filter((line) => !/anon_inode/.test(line))
    .sort();
}

test("REPLACE goes on as another program: children, sockets, states, signals and channel stay", { skip }, async () => {
  const { stage, first } = await opened();
  const pid = await stage.running.pid();
  const kept = await first.spawn("kept", ["sleep", "1000"]);
  await first.spawn("ended", ["sh", "-c", "exit 9"]);
  await first.next("EXITED", "ended");
  await first.spawn("forgotten", ["sleep", "1000"]);
  first.send("FORGET", ["forgotten"]);
  first.order("listen", "web");
  const port = Number((await first.line("made"))[2]);
  first.send("HOLD", ["web"], ["web"]);
  await first.next("HELD");
  first.order("drop", "web");
  first.order("memfd", "text", "phase=Running");
  first.send("STATE", ["state"], ["text"]);
  first.send("READY");
  await stage.running.kill("SIGHUP");
  await first.next("SIGNAL", "1");
  await stage.running.kill("SIGUSR1");
  await first.next("SIGNAL", "2");
  first.send("ACK", [1]);
  first.send("GRACE", [4321]);
  const path = copy("another");
  await replace(first, path);
  const before = descriptors(pid);
  assert.equal(readlinkSync(`/proc/${pid}/exe`), path);
  assert.equal(readFileSync(`/proc/${pid}/comm`, "latin1"), "another\n");
  await replace(first, binary);
  assert.equal(readlinkSync(`/proc/${pid}/exe`), binary);
  assert.deepEqual(descriptors(pid), before);
  // every one of them is close-on-exec again
  for (const line of before.filter((each) => Number(each.split(" ")[0]) > 2)) {
    assert.equal(Number.parseInt(line.split(" ")[1] ?? "", 8) & 0o2000000, 0o2000000, line);
  }
  assert.equal(await refused(port), false);
  // signals go on where they were
  await stage.running.kill("SIGUSR2");
  assert.deepEqual((await first.next("SIGNAL")).fields.slice(0, 2), ["3", "12"]);
  assert.equal(await first.signal("kept", 0, "child"), 1);
  // a child of the program before
  process.kill(kept, "SIGKILL");
  assert.deepEqual((await first.next("EXITED", "kept")).fields.slice(1, 4), [String(kept), "signal", "9"]);
  const { welcome, sync } = await first.greet();
  assert.deepEqual(welcome.fields.slice(4), ["0", "1", "1"]);
  assert.deepEqual(
    sync.map((frame) => frame.fields.slice(0, 2)),
    [
      ["child", "kept"],
      ["child", "ended"],
      ["child", "forgotten"],
      ["held", "web"],
      ["state", "state"],
    ],
  );
  first.send("READY");
  await first.next("SIGNAL", "2");
  first.send("ACK", [3]);
  // no descriptor of the init's, and the limits that it was given
  const child = await first.spawn("plain", ["sleep", "1000"]);
  const limits = (process: string | number) =>
    /open files +\d+ +\d+/.exec(readFileSync(`/proc/${process}/limits`, "latin1"))?.[0];
  assert.deepEqual(readdirSync(`/proc/${child}/fd`).sort(), ["0", "1", "2"]);
  assert.equal(limits(child), limits("self"));
  assert.match(readFileSync(`/proc/${child}/status`, "latin1"), /SigBlk:\s0{16}/);
  first.send("EXIT", [8]);
  first.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 8, signal: null });
});

test("REPLACE is refused, and nothing has changed, when the file is no init that can take over", { skip }, async () => {
  const { stage, first } = await opened();
  const pid = await stage.running.pid();
  const home = folder();
  const write = (name: string, content: string | Buffer, mode = 0o755) => {
    writeFileSync(join(home, name), content, { mode });
    chmodSync(join(home, name), mode);
    return join(home, name);
  };
  const program = readFileSync(binary);
  const foreign = Buffer.from(program);
  foreign.writeUInt16LE(243, 18);
  symlinkSync("/dev/null", join(home, "device"));
  const cases: [string, RegExp][] = [
    ["relative", /absolute path/],
    [join(home, "missing"), /[Nn]o such file/],
    [home, /no file/],
    [join(home, "device"), /no file/],
    [write("script", "#!/bin/sh\nexit 0\n"), /no program of this machine/],
    [write("empty", ""), /no program of this machine/],
    [write("foreign", foreign), /built for another one/],
    [write("truncated", program.subarray(0, 4096)), /./],
    [write("setuid", program, 0o4755), /setuid/],
    ["/bin/true", /does not answer as an init/],
    ["/bin/cat", /does not answer as an init/],
  ];
  if (process.getuid?.() !== 0) cases.push([write("plain", program, 0o600), /not executable/]);
  else cases.push([write("plain", program, 0o644), /not executable/]);
  await first.spawn("bystander", ["sleep", "1000"]);
  const before = descriptors(pid);
  for (const [path, reason] of cases) assert.match(await refusal(first, path), reason, path);
  assert.equal(readlinkSync(`/proc/${pid}/exe`), join(stage.home, "pingora-entry"));
  await eventually(
    () => descriptors(pid).length <= before.length + 1,
    () => `as many descriptors as before: ${descriptors(pid).join("\n")}`,
  );
  assert.equal(await first.signal("bystander", 0, "child"), 1);
  await eventually(() => childrenOf(pid).length === 2, "no checker is left");
  await replace(first, copy("good"));
});

test("REPLACE by a program that says nothing is refused after 5 s, and orders are obeyed meanwhile", {
  skip,
}, async () => {
  const { stage, first } = await opened();
  const silent = join(folder(), "silent");
  execFileSync(process.env.CC ?? "cc", ["-x", "c", "-o", silent, "-"], {
    input: "#include <unistd.h>\nint main(void) { for (;;) pause(); }",
  });
  first.send("REPLACE", [silent]);
  await first.spawn("meanwhile", ["sh", "-c", "exit 2"]);
  await first.next("EXITED", "meanwhile");
  first.send("REPLACE", [binary]);
  assert.deepEqual((await first.next("ERROR")).fields, ["REPLACE", "one is under way"]);
  assert.deepEqual((await first.next("ERROR")).fields, ["REPLACE", "it did not answer in 5 s"]);
  await eventually(async () => childrenOf(await stage.running.pid()).length === 1, "it is killed");
  await replace(first, binary);
});

test("REPLACE is obeyed when its sender died right after it, and the dead line is started by the new program", {
  skip,
}, async () => {
  const { stage, first } = await opened();
  const pid = await stage.running.pid();
  await first.spawn("kept", ["sleep", "1000"]);
  first.order("listen", "web");
  const port = Number((await first.line("made"))[2]);
  first.send("HOLD", ["web"], ["web"]);
  await first.next("HELD");
  // its second death: the next start waits, and the new program has to remember that
  process.kill(first.pid, "SIGKILL");
  const second = await stage.supervisor();
  await second.greet();
  const path = copy("another");
  process.kill(pid, "SIGSTOP");
  await eventually(() => stateOf(pid) === "T", "the init is stopped");
  second.send("SPAWN", ["late", "a=/bin/sleep", "a=1000"]);
  second.send("REPLACE", [path]);
  second.leave(1);
  await eventually(() => !isAlive(second.pid), "it is dead");
  process.kill(pid, "SIGCONT");
  await eventually(() => readlinkSync(`/proc/${pid}/exe`) === path, "it is replaced");
  const third = await stage.supervisor();
  assert.deepEqual(third.args, first.args);
  const { welcome, sync } = await third.greet();
  assert.deepEqual(welcome.fields.slice(4), ["2", "1", "1"]);
  assert.deepEqual(
    sync.map((frame) => frame.fields.slice(0, 2)),
    [
      ["child", "kept"],
      ["child", "late"],
      ["held", "web"],
    ],
  );
  assert.equal(await refused(port), false);
  assert.equal(third.frames.filter((frame) => frame.verb === "REPLACED").length, 0);
});

test("REPLACE keeps lines, their primary and their BACKSTOP", { skip }, async () => {
  const { stage, first } = await opened();
  const { supervisor: second } = await successor(stage, first, "second");
  await second.greet();
  second.send("OWN");
  await second.spawn("2:web", ["sleep", "1000"]);
  second.send("BACKSTOP", [monotonic() + 60_000, 77]);
  first.send("BACKSTOP", [monotonic() + 1500, 9]);
  await replace(second, copy("another"));
  assert.deepEqual((await second.next("ENDED")).fields, ["1", "code", "9"]);
  process.kill(second.pid, "SIGKILL");
  const again = await stage.supervisor();
  assert.deepEqual(again.args, ["second"]);
  const { welcome, sync } = await again.greet();
  assert.deepEqual(welcome.fields.slice(4), ["1", "2", "1"]);
  assert.deepEqual(
    sync.map((frame) => frame.fields.slice(0, 2)),
    [["child", "2:web"]],
  );
  await replace(again, binary);
  again.send("BACKSTOP", [monotonic() + 50, 77]);
  assert.deepEqual(await stage.running.ended, { code: 77, signal: null });
});

test("REPLACE keeps a child and a successor that do not run their programs yet", { skip }, async () => {
  const { stage, first } = await opened();
  const slow = copy("slow");
  first.order("lease", "lease", slow);
  first.send("SPAWN", ["slow", `a=${slow}`, "a=--version"]);
  first.send("SPAWN", ["fails", `a=${slow}`, "a=--nonsense"]);
  first.send("SUCCESSOR", [`a=${slow}`, "a=--version"]);
  const pid = await stage.running.pid();
  await eventually(() => childrenOf(pid).length === 4, "the supervisor, and three that start");
  await replace(first, copy("another"));
  assert.deepEqual(
    first.frames.filter(({ verb }) => verb !== "REAPED"),
    [],
  );
  first.order("drop", "lease");
  await first.next("SPAWNED", "slow");
  assert.deepEqual((await first.next("EXITED", "slow")).fields.slice(2, 4), ["code", "0"]);
  await first.next("SPAWNED", "fails");
  assert.deepEqual((await first.next("EXITED", "fails")).fields.slice(2, 4), ["code", "64"]);
  assert.deepEqual((await first.next("STARTED")).fields[0], "2");
  assert.deepEqual((await first.next("ENDED")).fields, ["2", "code", "0"]);
});

test("REPLACE goes on where it was with a supervisor that does not read", { skip }, async () => {
  const { stage, first } = await opened();
  const { supervisor: second } = await successor(stage, first, "second");
  await second.greet();
  const count = 1500;
  for (let i = 0; i < count; i++) first.send("SPAWN", [`n${i}`, "a=/bin/true"]);
  await eventually(() => first.frames.length >= 2 * count, "all is told", 60_000);
  first.frames.length = 0;
  // what it is told fills its socket, and the rest waits: of the greeting, then of the answers
  first.order("deaf");
  first.send("HELLO", [1]);
  for (let i = 0; i < 100; i++) first.send("SIGNAL", [i, "nobody", 0, "child"]);
  first.send("SPAWN", ["last", "a=/bin/sleep", "a=1000"]);
  const pid = await stage.running.pid();
  await second.signal("nobody", 0, "child");
  for (const name of ["one", "two", "three"]) {
    await replace(second, copy(name));
    assert.equal(readFileSync(`/proc/${pid}/comm`, "latin1"), `${name}\n`);
  }
  first.order("hear");
  await first.next("SPAWNED", "last", 30_000);
  const synced = first.frames.filter((frame) => frame.verb === "SYNC" && frame.fields[0] === "child");
  assert.equal(synced.length, count);
  assert.equal(new Set(synced.map((frame) => frame.fields[1])).size, count);
  const tickets = first.frames.filter((frame) => frame.verb === "SIGNALLED").map((frame) => Number(frame.fields[0]));
  assert.deepEqual(
    tickets,
    Array.from({ length: 100 }, (_, index) => index),
  );
});

test("REPLACE loses nothing when it is repeated 100 times among spawns, exits, signals and orphans", {
  skip: skip || noPid1,
}, async () => {
  const { stage, first } = await opened({ pid1: true });
  const init = await stage.running.pid();
  const paths = [copy("one"), copy("two")];
  first.send("READY");
  await replace(first, paths[0] ?? "");
  const before = descriptors(init).length;
  let spawned = 0;
  let signals = 0;
  const total = 100;
  for (let round = 0; round < total; round++) {
    first.send("REPLACE", [paths[round % 2] ?? ""]);
    // some before the check, some while it runs, some after
    for (let i = 0; i < 3; i++) {
      first.send("SPAWN", [`c${spawned++}`, "a=/bin/sh", "a=-c", `a=setsid true & exit ${round % 7}`]);
      process.kill(init, i === 1 ? "SIGHUP" : "SIGUSR1");
      signals++;
      // each is told before the next is sent: the kernel merges equal ones that are pending
      const told = await first.next("SIGNAL");
      assert.equal(told.fields[0], String(signals));
      first.send("ACK", [signals]);
    }
    await first.next("REPLACED");
  }
  await eventually(
    () => first.frames.filter((frame) => frame.verb === "EXITED").length === spawned,
    () => `${spawned} exits, not ${first.frames.filter((frame) => frame.verb === "EXITED").length}`,
  );
  const count = (verb: string) => first.frames.filter((frame) => frame.verb === verb).map((frame) => frame.fields[0]);
  assert.deepEqual(new Set(count("SPAWNED")).size, spawned);
  assert.deepEqual(new Set(count("EXITED")).size, spawned);
  assert.equal(count("SPAWNED").length + count("EXITED").length, 2 * spawned);
  for (const frame of first.frames.filter(({ verb }) => verb === "EXITED")) assert.equal(frame.fields[2], "code");
  assert.equal(await stage.running.pid(), init);
  assert.equal(innerPid(init), 1);
  await eventually(
    () => descriptors(init).length === before,
    () => `${before} descriptors, now ${descriptors(init).join("\n")}`,
  );
  await eventually(() => childrenOf(init).length === 1, "no zombie is left");
  first.send("EXIT", [3]);
  first.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 3, signal: null });
});

/** A build of changed sources. */
function bent(name: string, defines: readonly string[], change?: (file: string, text: string) => string): string {
  const home = folder();
  const sources = resolve("src/native/init");
  for (const file of readdirSync(sources).filter((each) => /\.[ch]$/.test(each))) {
    const text = readFileSync(join(sources, file), "utf8");
    writeFileSync(join(home, file), change?.(file, text) ?? text);
  }
  const files = readdirSync(home).filter((file) => file.endsWith(".c"));
  execFileSync(
    process.env.CC ?? "cc",
    ["-std=c11", "-O1", "-Wl,-e,pingora_entry_start", ...defines.map((each) => `-D${each}`), "-o", name, ...files],
    { cwd: home },
  );
  return join(home, name);
}

test("REPLACE crosses versions: what is unknown is ignored, what is missing keeps its default, there and back", {
  skip,
}, async () => {
  const { stage, first } = await opened();
  await first.spawn("kept", ["sleep", "1000"]);
  // it knows a record and keys that we do not, and neither writes nor reads some that we do
  const newer = bent("newer", ['PINGORA_ENTRY_VERSION="9.9.9"'], (file, text) => {
    if (file !== "snapshot.c" && file !== "children.c") return text;
    return text
      .replace(
        'state_begin_record(state, "CHILD");',
        'state_begin_record(state, "FUTURE");\n    state_end_record(state);\n    state_begin_record(state, "CHILD");\n    STATE_AMOUNT(state, "colour", line);',
      )
      .replace(/STATE_AMOUNT\(state, "(rss|user)".*\n/g, "");
  });
  first.send("REPLACE", [newer]);
  assert.deepEqual((await first.next("REPLACED")).fields, ["9.9.9"]);
  await first.spawn("during", ["sleep", "1000"]);
  await replace(first, binary);
  assert.equal(await first.signal("kept", 9, "child"), 1);
  assert.deepEqual((await first.next("EXITED", "kept")).fields.slice(2, 4), ["signal", "9"]);
  assert.equal(await first.signal("during", 0, "child"), 1);
  const other = bent("other", ['PINGORA_ENTRY_VERSION="10.0.0"', "STATE_VERSION=2", "STATE_LEAST_VERSION=2"]);
  assert.match(await refusal(first, other), /cannot read version 1 of the state \(its version\), it reads 2 to 2/);
  assert.equal(await first.signal("during", 0, "child"), 1);
  assert.match(stage.running.err(), /this program is not replaced by ".*other": it cannot read version 1/);
});

test("REPLACE goes on when the kernel refuses the program that has passed the check", { skip }, async () => {
  const { stage, first } = await opened();
  const pid = await stage.running.pid();
  await first.spawn("kept", ["sleep", "1000"]);
  // it answers, and takes the right to execute it away
  const treacherous = bent("treacherous", [], (file, text) =>
    file !== "replace.c"
      ? text
      : text.replace("int replace_answer(void)\n{", 'int replace_answer(void)\n{\n    chmod("/proc/self/exe", 0);'),
  );
  const before = descriptors(pid);
  assert.match(await refusal(first, treacherous), /not executable|denied/);
  await eventually(() => {
    const now = descriptors(pid);
    return before.every((line) => now.includes(line));
  }, "what was close-on-exec is so again");
  assert.equal(await first.signal("kept", 0, "child"), 1);
  await replace(first, binary);
});
