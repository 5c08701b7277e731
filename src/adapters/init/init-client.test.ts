import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { EntryError } from "../../core/entry-error.js";
import type { Init, InitEvent, SpawnSpec } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { Channel, type ReceivedFrame, readAll } from "./channel.js";
import { connectInit, openChannel } from "./connect.js";
import { encodeFrame } from "./frame.js";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function eventually(condition: () => boolean, timeoutMs = 5000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition(); ) {
    assert.ok(Date.now() < end, `not within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The other end: records what arrives, and says what the test tells it to. */
class FakeInit {
  readonly seen: ReceivedFrame[] = [];
  readonly channel: Channel;
  gone = false;
  readonly #greeting: (say: FakeInit["say"]) => void;

  constructor(fd: number, greeting: (say: FakeInit["say"]) => void) {
    this.#greeting = greeting;
    this.channel = new Channel(fd, {
      receive: (frame) => this.#receive(frame),
      misunderstood: () => {},
      lost: () => {
        this.gone = true;
      },
    });
  }

  say = (verb: string, fields: readonly string[] = [], fds: readonly number[] = [], text?: string): void => {
    const bytes = encodeFrame(verb, fields);
    this.channel.send(text === undefined ? { verb, bytes, fds } : { verb, bytes, fds, text });
  };

  lines(): string[] {
    return this.seen.map((frame) => [frame.verb, ...frame.fields].join(" "));
  }

  #receive(frame: ReceivedFrame): void {
    this.seen.push(frame);
    if (frame.verb === "HELLO") this.#greeting(this.say);
  }
}

const plain = (say: FakeInit["say"]) => {
  say("WELCOME", ["1", "42", "1", "boot", "0", "1", "1"]);
  say("SYNCED");
};

function pair(greeting = plain): { ours: number; fake: FakeInit } {
  const addon = native();
  const [ours, theirs] = addon.socketpair(addon.constants.SOCK_SEQPACKET);
  const fake = new FakeInit(theirs, greeting);
  closing.push(() => fake.channel.close());
  return { ours, fake };
}

async function connected(greeting = plain): Promise<{ init: Init; fake: FakeInit; events: InitEvent[] }> {
  const { ours, fake } = pair(greeting);
  const init = await openChannel(ours);
  const events: InitEvent[] = [];
  return { init, fake, events };
}

const spec: SpawnSpec = { argv: ["true"], env: ["A=1"], pidEnv: [], limits: [], newSession: true, tty: false, fds: [] };

test("openChannel returns what an earlier supervisor left when the init syncs", async () => {
  const addon = native();
  const [read, write] = addon.pipe();
  closing.push(
    () => closeSync(write),
    () => closeSync(read),
  );
  const { init, events } = await connected((say) => {
    say("WELCOME", ["1", "42", "1", "boot", "3", "2", "0"]);
    say("SYNC", ["child", "web", "50", "running"]);
    say("SYNC", ["child", "db", "51", "exited", "code", "7", "1", "2", "3", "4"]);
    say("SYNC", ["held", "http"], [read]);
    say("SYNC", ["state", "phase"], [], "Running é");
    say("SYNC", ["line", "1", "49"]);
    say("EXITED", ["web", "50", "code", "0", "1", "2", "3", "5"]);
    say("SYNCED");
  });
  assert.deepEqual([init.pid, init.isPid1, init.recovered.restarts], [42, true, 3]);
  assert.deepEqual([init.line, init.primary, init.recovered.lines], [2, false, [{ line: 1, pid: 49 }]]);
  assert.deepEqual(
    init.recovered.children.map((child) => [child.id, child.pid, child.exit?.status]),
    [
      ["web", 50, undefined],
      ["db", 51, { code: 7 }],
    ],
  );
  assert.deepEqual([...init.recovered.state], [["phase", "Running é"]]);
  const held = init.recovered.held.get("http") ?? -1;
  assert.equal(fstatSync(held).ino, fstatSync(read).ino);
  assert.equal(addon.getFlags(held).cloexec, true);
  closeSync(held);
  init.listen((event) => events.push(event));
  assert.deepEqual(
    events.map((event) => event.kind),
    ["exited"],
  );
});

test("listen receives every event in order and acknowledges signals after they were handed over", async () => {
  const { init, fake, events } = await connected();
  fake.say("SIGNAL", ["1", "15", "100", "0"]);
  fake.say("EXITED", ["web", "5", "code", "0", "0", "0", "0", "1"]);
  fake.say("SIGNAL", ["2", "2", "0", "0"]);
  const answered = init.signal("none", "0", "tree");
  fake.say("SIGNALLED", ["1", "0"]);
  assert.equal(await answered, 0);
  assert.equal(
    fake.lines().some((line) => line.startsWith("ACK")),
    false,
  );
  init.listen((event) => {
    // nothing may be acknowledged before its receiver has returned
    assert.equal(fake.lines().includes(`ACK ${events.length + 1}`), false);
    events.push(event);
  });
  assert.deepEqual(
    events.map((event) => (event.kind === "signal" ? event.signal : event.kind)),
    ["SIGTERM", "exited", "SIGINT"],
  );
  await eventually(() => fake.lines().includes("READY"));
  assert.deepEqual(fake.lines().slice(-3), ["ACK 1", "ACK 2", "READY"]);
});

test("spawn sends everything of the spec and resolves with the pid when the init answers", async () => {
  const { init, fake } = await connected();
  const fd = openSync("/dev/null", "r");
  closing.push(() => closeSync(fd));
  const spawned = init.spawn("web.1", {
    argv: ["/bin/x", "--né"],
    env: ["A=1", "B=\udcff"],
    pidEnv: ["LISTEN_PID"],
    cwd: "/srv",
    identity: { uid: 1, gid: 2, groups: [2, 3] },
    umask: 0o27,
    nice: 5,
    oomScoreAdj: -10,
    limits: [{ resource: "nofile", soft: 100, hard: -1 }],
    newSession: false,
    tty: true,
    fds: [
      { target: 3, fd },
      { target: 4, fd },
    ],
  });
  await eventually(() => fake.seen.length === 2);
  const frame = fake.seen[1];
  assert.deepEqual(frame?.fields, [
    "web.1",
    "session=0",
    "tty=1",
    "fd=3:0",
    "fd=4:0",
    "rlimit=nofile:100:-1",
    "nice=5",
    "oom=-10",
    "umask=27",
    "gid=2",
    "groups=2,3",
    "uid=1",
    "cwd=/srv",
    "pidenv=LISTEN_PID",
    "e=A=1",
    "e=B=\udcff",
    "a=/bin/x",
    "a=--né",
  ]);
  assert.equal(frame?.fds.length, 1);
  for (const copy of frame?.fds ?? []) closeSync(copy);
  fake.say("SPAWNED", ["web.1", "77"]);
  assert.deepEqual(await spawned, { ok: true, pid: 77 });
});

test("spawn resolves with stage and errno when the init or the spec fails", async () => {
  const { init, fake } = await connected();
  const failed = init.spawn("a", spec);
  fake.say("SPAWN-FAILED", ["a", "exec", "2"]);
  assert.deepEqual(await failed, { ok: false, stage: "exec", errno: "ENOENT" });
  assert.deepEqual(await init.spawn("b", { ...spec, argv: ["a\0b"] }), { ok: false, stage: "exec", errno: "EINVAL" });
  assert.deepEqual(await init.spawn("c", { ...spec, env: [`X=${"x".repeat(9e6)}`] }), {
    ok: false,
    stage: "exec",
    errno: "E2BIG",
  });
});

test("spawn names what the init holds, and sends it to an init of an older release, which knows no names", async () => {
  const { init, fake } = await connected();
  const fd = openSync("/dev/null", "r");
  closing.push(() => closeSync(fd));
  const many = Array.from({ length: 1000 }, (_, index) => ({ target: 5 + index, fd: 1000 + index, held: `l${index}` }));
  const own = { target: 4, fd };
  const fdFields = () => fake.seen.at(-1)?.fields.filter((field) => /^(fd|held)=/.test(field));
  const named = init.spawn("new", { ...spec, fds: [own, ...many] });
  await eventually(() => fake.seen.length === 2);
  assert.deepEqual(fdFields(), ["fd=4:0", ...many.map(({ target, held }) => `held=${target}:${held}`)]);
  assert.equal(fake.seen[1]?.fds.length, 1);
  fake.say("SPAWNED", ["new", "77"]);
  assert.deepEqual(await named, { ok: true, pid: 77 });
  const sent = init.spawn("old", { ...spec, fds: [{ target: 3, fd, held: "http" }, own] });
  await eventually(() => fake.seen.length === 3);
  assert.deepEqual(fdFields(), ["held=3:http", "fd=4:0"]);
  fake.say("SPAWN-FAILED", ["old", "field", "22"]);
  await eventually(() => fake.seen.length === 4);
  assert.deepEqual(fdFields(), ["fd=3:0", "fd=4:0"]);
  fake.say("SPAWNED", ["old", "78"]);
  assert.deepEqual(await sent, { ok: true, pid: 78 });
  const tooMany = init.spawn("many", { ...spec, fds: many });
  await eventually(() => fake.seen.length === 5);
  fake.say("SPAWN-FAILED", ["many", "field", "22"]);
  assert.deepEqual(await tooMany, { ok: false, stage: "held", errno: "ENOTSUP" });
  // nothing is held: whatever field that was, it is not this one
  const other = init.spawn("other", { ...spec, fds: [own] });
  fake.say("SPAWN-FAILED", ["other", "field", "22"]);
  assert.deepEqual(await other, { ok: false, stage: "field", errno: "EINVAL" });
  for (const frame of fake.seen) for (const copy of frame.fds) closeSync(copy);
});

test("spawn travels in a memfd when its environment is large", async () => {
  const { init, fake } = await connected();
  const fd = openSync("/dev/null", "r");
  closing.push(() => closeSync(fd));
  const env = Array.from({ length: 2000 }, (_, index) => `V${index}=${"é".repeat(500)}`);
  const spawned = init.spawn("big", { ...spec, env, fds: [{ target: 5, fd }] });
  await eventually(() => fake.seen.length === 2);
  assert.deepEqual(fake.seen[1]?.fields.filter((field) => field.startsWith("e=")).length, 2000);
  assert.equal(fstatSync(fake.seen[1]?.fds[0] ?? -1).rdev, fstatSync(fd).rdev);
  for (const copy of fake.seen[1]?.fds ?? []) closeSync(copy);
  fake.say("SPAWNED", ["big", "78"]);
  assert.deepEqual(await spawned, { ok: true, pid: 78 });
});

test("hold passes a duplicate and resolves when it is held", async () => {
  const { init, fake } = await connected();
  const fd = openSync("/dev/zero", "r");
  const held = init.hold("http", fd);
  await eventually(() => fake.seen.length === 2);
  assert.equal(fstatSync(fake.seen[1]?.fds[0] ?? -1).rdev, fstatSync(fd).rdev);
  closeSync(fd);
  for (const copy of fake.seen[1]?.fds ?? []) closeSync(copy);
  fake.say("HELD", ["http"]);
  await held;
});

test("save, grace, backstop, forget, release and exit say what PROTOCOL.md asks for", async () => {
  const { init, fake } = await connected();
  init.save("phase", "Running é");
  init.grace(1234.6);
  init.backstop(99.5, 143);
  init.backstop(undefined, 0);
  init.forget("web");
  init.release("http");
  init.exit(3);
  await eventually(() => fake.seen.length === 8);
  assert.deepEqual(fake.lines().slice(1), [
    "STATE phase",
    "GRACE 1235",
    "BACKSTOP 100 143",
    "BACKSTOP - 0",
    "FORGET web",
    "RELEASE http",
    "EXIT 3",
  ]);
  const [memory] = fake.seen[1]?.fds ?? [];
  assert.ok(memory !== undefined);
  assert.equal(readAll(memory, fstatSync(memory).size).toString(), "Running é");
  assert.equal(native().isSealed(memory), true);
  closeSync(memory);
});

test("save needs no free descriptor, and what there is no memory for blocks nothing behind it", async () => {
  const { init, fake } = await connected();
  const text = (frame: ReceivedFrame | undefined) => {
    const [memory = -1] = frame?.fds ?? [];
    return readAll(memory, fstatSync(memory).size).toString();
  };
  const warnings: string[] = [];
  const warned = (warning: Error) => void warnings.push(warning.message);
  process.on("warning", warned);
  // started while there are descriptors to talk to it
  const shell = spawn("sh", { stdio: ["pipe", "pipe", "inherit"] });
  closing.push(() => shell.stdin.end());
  const limit = async (soft: string) => {
    shell.stdin.write(`prlimit --pid ${process.pid} --nofile=${soft}: && echo done\n`);
    await once(shell.stdout, "data");
  };
  const given = /Max open files\s+(\S+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "";
  const taken: number[] = [];
  await limit("100");
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {}
  try {
    init.save("phase", "with the spare descriptor");
    native().close(taken.pop() ?? -1);
    await eventually(() => fake.seen.length === 2);
    assert.equal(text(fake.seen[1]), "with the spare descriptor");
  } finally {
    for (const fd of taken) native().close(fd);
    await limit(given);
  }
  await limit("4");
  try {
    init.save("phase", "old");
    init.save("phase", "new");
    assert.deepEqual(
      await init.spawn("large", { ...spec, env: [`X=${"x".repeat(100_000)}`], fds: [{ target: 0, fd: 0 }] }),
      {
        ok: false,
        stage: "fd",
        errno: "EMFILE",
      },
    );
    init.backstop(99, 143);
    const signalled = init.signal("web", "SIGTERM", "child");
    await eventually(() => fake.seen.length === 4);
    assert.deepEqual(fake.lines().slice(2), ["BACKSTOP 99 143", "SIGNAL 1 web 15 child"]);
    fake.say("SIGNALLED", ["1", "1"]);
    assert.equal(await signalled, 1);
  } finally {
    await limit(given);
  }
  await eventually(() => fake.seen.length === 5);
  assert.equal(text(fake.seen[4]), "new");
  assert.equal(warnings.length, 1, warnings.join("\n"));
  process.off("warning", warned);
});

test("successor asks for one line at a time and resolves with what the init says of each", async () => {
  const { init, fake } = await connected();
  const first = init.successor({ argv: ["node", "é"], env: ["A=1"] });
  const second = init.successor({ argv: ["nope"], env: [] });
  await eventually(() => fake.seen.length === 2);
  assert.deepEqual(fake.lines().slice(1), ["SUCCESSOR e=A=1 a=node a=é"]);
  fake.say("STARTED", ["2", "77"]);
  assert.deepEqual(await first, { ok: true, line: 2, pid: 77 });
  await eventually(() => fake.lines().includes("SUCCESSOR a=nope"));
  fake.say("START-FAILED", ["exec", "2"]);
  assert.deepEqual(await second, { ok: false, stage: "exec", errno: "ENOENT" });
  assert.deepEqual(await init.successor({ argv: ["a\0b"], env: [] }), { ok: false, stage: "exec", errno: "EINVAL" });
});

test("own makes this line the primary, and the end of another line is an event", async () => {
  const { init, fake, events } = await connected((say) => {
    say("WELCOME", ["1", "42", "1", "boot", "0", "2", "0"]);
    say("SYNCED");
  });
  init.listen((event) => events.push(event));
  assert.deepEqual([init.line, init.primary], [2, false]);
  init.own();
  init.abandon(1);
  assert.equal(init.primary, true);
  await eventually(() => fake.lines().includes("ABANDON 1"));
  assert.deepEqual(fake.lines().slice(1), ["READY", "OWN", "ABANDON 1"]);
  fake.say("ENDED", ["1", "signal", "9"]);
  fake.say("ENDED", ["3", "code", "7"]);
  await eventually(() => events.length === 2);
  assert.deepEqual(events, [
    { kind: "ended", line: 1, status: { signal: "SIGKILL" } },
    { kind: "ended", line: 3, status: { code: 7 } },
  ]);
});

test("replace resolves with the new version, or with the reason when nothing has changed", async () => {
  const { init, fake } = await connected();
  const refused = init.replace("/nope");
  await eventually(() => fake.lines().includes("REPLACE /nope"));
  fake.say("ERROR", ["REPLACE", "no such file"]);
  assert.deepEqual(await refused, { ok: false, reason: "no such file" });
  const replaced = init.replace("/new");
  await eventually(() => fake.lines().includes("REPLACE /new"));
  fake.say("REPLACED", ["0.2.0"]);
  assert.deepEqual(await replaced, { ok: true, version: "0.2.0" });
});

test("standby passes the descriptor of the lock", async () => {
  const { init, fake } = await connected();
  const fd = openSync("/dev/zero", "r");
  closing.push(() => closeSync(fd));
  init.standby(fd);
  await eventually(() => fake.lines().includes("STANDBY"));
  const [passed = -1] = fake.seen[1]?.fds ?? [];
  assert.equal(fstatSync(passed).rdev, fstatSync(fd).rdev);
  closeSync(passed);
});

test("signal rejects when no signal has the name", async () => {
  const { init } = await connected();
  await assert.rejects(init.signal("web", "SIGNOPE", "child"), EntryError);
});

test("a lost channel rejects what waits, gives closed once, and refuses what comes later", async () => {
  const { init, fake, events } = await connected();
  init.listen((event) => events.push(event));
  const waiting = [
    init.spawn("a", spec),
    init.signal("a", "SIGTERM", "group"),
    init.hold("x", 0),
    init.successor({ argv: ["a"], env: [] }),
  ];
  await eventually(() => fake.seen.length === 6);
  for (const fd of fake.seen.flatMap((frame) => frame.fds)) closeSync(fd);
  fake.say("EXITED", ["z", "5", "code", "0", "0", "0", "0", "1"]);
  fake.channel.close();
  for (const promise of waiting) await assert.rejects(promise, /its end of the channel is closed/);
  assert.deepEqual(
    events.map((event) => event.kind),
    ["exited", "closed"],
  );
  await assert.rejects(init.spawn("b", spec), EntryError);
  init.save("x", "y");
  init.exit(0);
});

test("events written by an init that ended without reading are still received", async () => {
  const { init, fake, events } = await connected();
  init.listen((event) => events.push(event));
  await eventually(() => fake.lines().includes("READY"));
  fake.say("EXITED", ["z", "5", "code", "0", "0", "0", "0", "1"]);
  init.forget("unread");
  fake.channel.close();
  await eventually(() => events.length === 2);
  assert.deepEqual(
    events.map((event) => event.kind),
    ["exited", "closed"],
  );
});

test("openChannel rejects when the init speaks another version, closes, or loses descriptors", async () => {
  await assert.rejects(
    connected((say) => say("WELCOME", ["2", "1", "1", "b", "0", "1", "1"])),
    /speaks version 2.*version 1 is needed/,
  );
  const { ours, fake } = pair(() => fake.channel.close());
  await assert.rejects(openChannel(ours), /closed the channel/);
  await assert.rejects(
    connected((say) => {
      plain((verb, fields) => (verb === "SYNCED" ? say("SYNC", ["held", "http"]) : say(verb, fields)));
      say("SYNCED");
    }),
    /cannot take over from the init, SYNC: 0 descriptors/,
  );
});

test("garbage is answered with ERROR, and an ERROR with nothing", async () => {
  const { init, fake } = await connected();
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on("warning", warned);
  closing.push(() => process.off("warning", warned));
  fake.say("NONSENSE", ["1"]);
  fake.say("ERROR", ["SAVE"]);
  fake.say("SPAWNED", ["x"]);
  await eventually(() => fake.seen.length === 3 && warnings.length === 3);
  assert.deepEqual(fake.lines().slice(1), ["ERROR NONSENSE an unknown verb", "ERROR SPAWNED field 2 is missing"]);
  const answer = init.spawn("x", spec);
  fake.say("ERROR", ["SPAWN", "bad"]);
  await assert.rejects(answer, /the init refused SPAWN: bad/);
});

test("what the init refuses is told to who waits for it, and else as an event", async () => {
  const { init, fake } = await connected();
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on("warning", warned);
  closing.push(() => process.off("warning", warned));
  const events: InitEvent[] = [];
  init.listen((event) => events.push(event));
  const held = init.hold("http", 0);
  fake.say("ERROR", ["HOLD", "it may open no more files"]);
  await assert.rejects(held, (error: Error) => {
    assert.ok(error instanceof EntryError);
    assert.match(error.message, /^the init.* cannot hold "http": it may open no more files$/);
    return true;
  });
  fake.say("ERROR", ["STATE", "lost"]);
  fake.say("ERROR", ["STATE", "lost"]);
  fake.say("ERROR", ["*", "lost"]);
  await eventually(() => events.length === 3);
  // an init of an older release does not say what it has refused
  const unnamed = init.hold("https", 0);
  fake.say("ERROR", ["?", "descriptors were lost"]);
  await assert.rejects(unnamed, /cannot hold "https": descriptors were lost/);
  assert.deepEqual(events, [
    { kind: "refused", verb: "HOLD", reason: "it may open no more files" },
    { kind: "refused", verb: "STATE", reason: "lost" },
    { kind: "refused", verb: "*", reason: "lost" },
    { kind: "refused", verb: "?", reason: "descriptors were lost" },
  ]);
  assert.deepEqual(warnings, []);
});

test("of what travels in a memfd one is asked at a time, for the init cannot name what it has lost", async () => {
  const { init, fake } = await connected();
  const env = [`X=${"x".repeat(100_000)}`];
  const first = init.spawn("first", { ...spec, env });
  const second = init.spawn("second", { ...spec, env });
  const third = init.successor({ argv: ["node"], env });
  const lost = { ok: false, stage: "fd", errno: "EMFILE" };
  const ids = () => fake.seen.slice(1).map(({ verb, fields }) => (verb === "SPAWN" ? fields[0] : verb));
  await eventually(() => fake.seen.length === 2);
  fake.say("ERROR", ["*", "lost"]);
  assert.deepEqual(await first, lost);
  await eventually(() => fake.seen.length === 3);
  fake.say("SPAWNED", ["second", "77"]);
  assert.deepEqual(await second, { ok: true, pid: 77 });
  await eventually(() => fake.seen.length === 4);
  fake.say("ERROR", ["*", "lost"]);
  assert.deepEqual(await third, lost);
  assert.deepEqual(ids(), ["first", "second", "SUCCESSOR"]);
});

test("a large SPAWN that waits for its turn is not sent any more when its process was to be ended, or forgotten", async () => {
  const { init, fake } = await connected();
  const env = [`X=${"x".repeat(100_000)}`];
  const first = init.spawn("first", { ...spec, env });
  const [killed, forgotten] = ["killed", "forgotten"].map((id) => init.spawn(id, { ...spec, env }));
  await assert.rejects(init.spawn("killed", spec), /two processes with the id killed/);
  assert.equal(await init.signal("killed", "SIGKILL", "tree"), 1);
  init.forget("forgotten");
  await eventually(() => fake.seen.length === 2);
  // an init of an older release, which does not say what it has lost
  fake.say("ERROR", ["?", "descriptors were lost"]);
  assert.deepEqual(await first, { ok: false, stage: "fd", errno: "EMFILE" });
  const cancelled = { ok: false, stage: "fork", errno: "ECANCELED" };
  assert.deepEqual([await killed, await forgotten], [cancelled, cancelled]);
  init.save("phase", "Running");
  await eventually(() => fake.seen.length === 3);
  assert.equal(fake.seen[2]?.verb, "STATE");
});

test("connectInit rejects when the variable is missing or names no channel", async () => {
  await assert.rejects(connectInit({}), /PINGORA_ENTRY_CHANNEL is not set/);
  for (const value of ["0", "99999", "x", ""]) {
    const env = { PINGORA_ENTRY_CHANNEL: value };
    await assert.rejects(connectInit(env), EntryError);
    assert.deepEqual(env, {});
  }
});

test("connectInit makes the channel close-on-exec and removes the variable", async () => {
  const { ours } = pair();
  native().setCloexec(ours, false);
  const env = { PINGORA_ENTRY_CHANNEL: String(ours), OTHER: "1" };
  await connectInit(env);
  assert.deepEqual(env, { OTHER: "1" });
  assert.equal(native().getFlags(ours).cloexec, true);
});

/** descriptors of this process that are memfds or pipes, by what they point to */
function descriptors(): number {
  return Number(readFileSync("/proc/self/status", "utf8").match(/FDSize:\s+(\d+)/)?.[1]);
}

test("a request is sent after thousands of notes, as when all that is held is released", async () => {
  const { init, fake } = await connected();
  const releases = Array.from({ length: 5000 }, (_, index) => `RELEASE listener:${index}`);
  for (const line of releases) init.release(line.slice("RELEASE ".length));
  const signalled = init.signal("web", "SIGTERM", "child");
  await eventually(() => fake.seen.length === 5002);
  assert.deepEqual(fake.lines().slice(1), [...releases, "SIGNAL 1 web 15 child"]);
  fake.say("SIGNALLED", ["1", "1"]);
  assert.equal(await signalled, 1);
});

test("what an init does not read is queued in order, bounded, and newest notes replace older ones", async () => {
  const addon = native();
  const [ours, theirs] = addon.socketpair(addon.constants.SOCK_SEQPACKET);
  const say = (verb: string, fields: string[]) => addon.sendmsg(theirs, encodeFrame(verb, fields), []);
  say("WELCOME", ["1", "1", "1", "b", "0", "1", "1"]);
  say("SYNCED", []);
  const init = await openChannel(ours);
  const before = descriptors();
  const refused: unknown[] = [];
  const env = [`X=${"x".repeat(40_000)}`];
  for (let index = 0; index < 1200; index++) {
    init.spawn(`s${index}`, { ...spec, env, fds: [{ target: 0, fd: 0 }] }).catch((error) => refused.push(error));
    for (let round = 0; round < 3; round++) init.save("state", `${index} ${round}`);
  }
  await eventually(() => refused.length > 0);
  assert.match(String(refused[0]), /cannot send SPAWN to the init: it has not read its channel/);
  assert.ok(descriptors() - before < 2048);
  // the init wakes up
  const seen: string[] = [];
  const fake = new Channel(theirs, {
    receive: (frame) => {
      if (frame.verb === "SPAWN") seen.push(frame.fields[0] ?? "");
      if (frame.verb === "STATE") {
        const [memory = -1] = frame.fds;
        seen.push(readAll(memory, fstatSync(memory).size).toString());
      }
      for (const fd of frame.fds) closeSync(fd);
    },
    misunderstood: (error) => assert.fail(error),
    lost: () => {},
  });
  closing.push(() => fake.close());
  await eventually(() => seen.at(-1) === "1199 2");
  const spawns = seen.filter((line) => line.startsWith("s"));
  assert.deepEqual(
    spawns,
    Array.from({ length: spawns.length }, (_, index) => `s${index}`),
  );
  assert.equal(spawns.length + refused.length, 1200);
  // the first few went out at once; of those that waited behind a spawn only the newest is left
  for (const [at, line] of seen.entries()) {
    if (line.startsWith("s") && at > 100) assert.match(seen[at - 1] ?? "", / 2$/);
  }
});
