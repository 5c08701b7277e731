import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import {
  binary,
  childrenOf,
  compile,
  eventually,
  innerPid,
  isAlive,
  missingBinary,
  noPid1,
  refused,
  run,
  Stage,
  type Supervisor,
  stateOf,
  sweep,
} from "./stage.js";

const skip = missingBinary;
afterEach(sweep);

/** The supervisor's pid as this process sees it: its parent is the init. */
async function killSupervisor(stage: Stage, supervisor: Supervisor, pid1 = false): Promise<void> {
  const pid = pid1
    ? childrenOf(await stage.running.pid()).find((child) => innerPid(child) === supervisor.pid)
    : supervisor.pid;
  process.kill(pid ?? 0, "SIGKILL");
}

test("a supervisor that is killed is started again and is told all that was known", { skip }, async () => {
  const stage = await Stage.open(["run", "x"]);
  const first = await stage.supervisor();
  await first.greet();
  const running = await first.spawn("running", ["sleep", "1000"]);
  const ended = await first.spawn("ended", ["sh", "-c", "kill -9 $$"]);
  await first.next("EXITED", "ended");
  await first.spawn("forgotten", ["true"]);
  await first.next("EXITED", "forgotten");
  first.send("FORGET", ["forgotten"]);
  first.order("listen", "web");
  const port = (await first.line("made"))[2];
  first.send("HOLD", ["listener.web"], ["web"]);
  await first.next("HELD", "listener.web");
  first.order("memfd", "old", "old");
  first.order("memfd", "new", "phase=Running");
  first.send("STATE", ["state"], ["old"]);
  first.send("STATE", ["state"], ["new"]);
  await first.spawn("last", ["sleep", "1000"]);
  await killSupervisor(stage, first);

  const second = await stage.supervisor();
  assert.deepEqual(second.args, first.args);
  const { welcome, sync } = await second.greet();
  assert.equal(welcome.fields[4], "1");
  const children = sync.filter((frame) => frame.fields[0] === "child").map((frame) => frame.fields.slice(1));
  assert.deepEqual(children[0], ["running", String(running), "running"]);
  assert.deepEqual(children[1]?.slice(0, 5), ["ended", String(ended), "exited", "signal", "9"]);
  assert.equal(children[1]?.length, 9);
  assert.deepEqual(children[2]?.slice(0, 1), ["last"]);
  assert.equal(children.length, 3);
  const held = sync.filter((frame) => frame.fields[0] !== "child");
  assert.deepEqual(
    held.map((frame) => [...frame.fields, frame.fds[0]?.[1]]),
    [
      ["held", "listener.web", `port:${port}`],
      ["state", "state", "text:phase=Running"],
    ],
  );
  assert.ok(isAlive(running));
  // what the new supervisor was given is its own to release
  second.send("RELEASE", ["listener.web"]);
  second.order("drop", held[0]?.fds[0]?.[0] ?? "");
  await eventually(() => refused(Number(port)), "the released socket refuses");
});

test("a held socket refuses nobody when supervisor and service are killed together", {
  skip: skip || noPid1,
}, async () => {
  const stage = await Stage.open(["run"], { pid1: true });
  const first = await stage.supervisor();
  await first.greet();
  first.order("listen", "web");
  const port = Number((await first.line("made"))[2]);
  first.send("HOLD", ["web"], ["web"]);
  await first.next("HELD");
  await first.spawn("service", ["sleep", "1000"], ["fd=3:0"], ["web"]);
  const init = await stage.running.pid();
  for (let round = 0; round < 3; round++) {
    for (const child of childrenOf(init)) process.kill(child, "SIGKILL");
    assert.equal(await refused(port), false);
    const next = await stage.supervisor();
    const { sync } = await next.greet();
    assert.ok(sync.some((frame) => frame.fields[0] === "held"));
    await next.spawn(`service${round}`, ["sleep", "1000"]);
  }
});

test("an exit that nobody was told is kept, and told by SYNC only", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.order("pipe", "gate");
  const pid = await first.spawn("waits", ["sh", "-c", "read x; exit 11"], ["fd=0:0"], ["gate.r"]);
  await killSupervisor(stage, first); // closes the gate: the child ends while nobody listens, or soon after
  const second = await stage.supervisor();
  await eventually(() => stateOf(pid) === undefined, "the child is reaped");
  const { sync } = await second.greet();
  assert.deepEqual(sync[0]?.fields.slice(1, 6), ["waits", String(pid), "exited", "code", "11"]);
  await second.spawn("other", ["true"]);
  await second.next("EXITED", "other");
  assert.equal(second.frames.filter((frame) => frame.verb === "EXITED").length, 0);
});

test("orders that a supervisor sent before it died are obeyed", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  await first.spawn("a", ["sleep", "1000"]);
  process.kill(await stage.running.pid(), "SIGSTOP");
  await eventually(async () => stateOf(await stage.running.pid()) === "T", "the init is stopped");
  first.order("memfd", "text", "last words");
  first.send("STATE", ["state"], ["text"]);
  first.send("SPAWN", ["b", "a=/bin/sleep", "a=1000"]);
  first.leave(3);
  await eventually(() => !isAlive(first.pid), "it is dead");
  process.kill(await stage.running.pid(), "SIGCONT");
  const second = await stage.supervisor();
  const { sync } = await second.greet();
  assert.deepEqual(
    sync.map((frame) => frame.fields.slice(0, 2)),
    [
      ["child", "a"],
      ["child", "b"],
      ["state", "state"],
    ],
  );
});

test("a signal without ACK is delivered again to the next supervisor, also one that came while there was none", {
  skip,
}, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.send("READY");
  await stage.running.kill("SIGHUP");
  assert.deepEqual((await first.next("SIGNAL")).fields.slice(0, 2), ["1", "1"]);
  first.send("ACK", [1]);
  await stage.running.kill("SIGTERM");
  assert.deepEqual((await first.next("SIGNAL")).fields.slice(0, 2), ["2", "15"]);
  await killSupervisor(stage, first);
  await stage.running.kill("SIGUSR1");
  const second = await stage.supervisor();
  await second.greet();
  second.send("READY");
  assert.deepEqual((await second.next("SIGNAL")).fields.slice(0, 2), ["2", "15"]);
  assert.deepEqual((await second.next("SIGNAL")).fields.slice(0, 2), ["3", "10"]);
  second.send("ACK", [3]);
  second.send("EXIT", [0]);
  second.leave(0);
  assert.equal((await stage.running.ended).code, 0);
});

test("a supervisor that does not acknowledge TERM within 2 s is killed and started again", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.send("READY");
  await stage.running.kill("SIGTERM");
  await first.next("SIGNAL");
  const told = performance.now();
  const second = await stage.supervisor();
  assert.ok(performance.now() - told > 1900);
  await second.greet();
  second.send("READY");
  await second.next("SIGNAL");
  second.send("ACK", [1]);
  second.send("EXIT", [0]);
  second.leave(0);
  assert.equal((await stage.running.ended).code, 0);
});

test("a supervisor that is stopped for 5 s is killed and started again, one that goes on is not", {
  skip,
}, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.send("READY");
  const pid = await first.spawn("service", ["sleep", "1000"]);
  process.kill(first.pid, "SIGSTOP");
  await eventually(() => stateOf(first.pid) === "T", "it is stopped");
  process.kill(first.pid, "SIGCONT");
  await eventually(() => stateOf(first.pid) !== "T", "it goes on");
  await first.spawn("other", ["true"]);
  await first.next("EXITED", "other");
  process.kill(first.pid, "SIGSTOP");
  const from = performance.now();
  const second = await stage.supervisor();
  assert.ok(performance.now() - from > 4_900);
  assert.ok(!isAlive(first.pid) && isAlive(pid));
  assert.match(stage.running.err(), /the supervisor has been stopped for 5 s: SIGKILL/);
  assert.equal((await second.greet()).welcome.fields[4], "1");
});

test("a supervisor that closes the channel and stays is killed", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.order("shut");
  await stage.supervisor();
  assert.ok(!isAlive(first.pid));
});

test("the init stops everything when there is no supervisor for a waiting TERM", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  first.send("GRACE", [300]);
  const polite = await first.spawn("polite", ["sleep", "1000"]);
  const deaf = await first.spawn("deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 1012; done"]);
  // each dies at once until the back-off is longer than the two seconds
  let supervisor = first;
  for (let deaths = 0; deaths < 6; deaths++) {
    await killSupervisor(stage, supervisor);
    supervisor = await stage.supervisor();
  }
  await killSupervisor(stage, supervisor);
  await eventually(() => !isAlive(supervisor.pid), "it is dead");
  await stage.running.kill("SIGTERM");
  // the signal starts one at once; that dies, too
  await killSupervisor(stage, await stage.supervisor());
  assert.deepEqual(await stage.running.ended, { code: 143, signal: null });
  assert.ok(!isAlive(polite) && !isAlive(deaf));
  assert.match(stage.running.err(), /there is no supervisor: stopping \d+ processes/);
});

test("ten deaths within a minute are the last resort", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  const pid = await first.spawn("service", ["sleep", "1000"]);
  const starts: number[] = [];
  let supervisor = first;
  for (let deaths = 0; deaths < 9; deaths++) {
    starts.push(performance.now());
    await killSupervisor(stage, supervisor);
    supervisor = await stage.supervisor(20_000);
    assert.ok(isAlive(pid));
  }
  const delays = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  assert.ok((delays[0] ?? 0) < 100, `the first at once: ${delays}`);
  for (const [index, least] of [100, 200, 400, 800, 1600].entries())
    assert.ok((delays[index + 1] ?? 0) >= least, `${delays}`);
  await killSupervisor(stage, supervisor);
  assert.deepEqual(await stage.running.ended, { code: 70, signal: null });
  assert.ok(!isAlive(pid));
});

test("a supervisor that gives up before its first HELLO gives the init its exit code", { skip }, async () => {
  const stage = await Stage.open();
  (await stage.supervisor()).leave(78);
  assert.deepEqual(await stage.running.ended, { code: 78, signal: null });
  assert.equal(stage.waiting, 0);
});

test("a supervisor that ends with 0 before its first HELLO has not succeeded", { skip }, async () => {
  const stage = await Stage.open();
  (await stage.supervisor()).leave(0);
  assert.deepEqual(await stage.running.ended, { code: 70, signal: null });
});

test("a supervisor that was READY is started again at once, however often it dies", { skip }, async () => {
  const stage = await Stage.open();
  let supervisor = await stage.supervisor();
  await supervisor.greet();
  const pid = await supervisor.spawn("service", ["sleep", "1000"]);
  const delays: number[] = [];
  // more than would be the last resort
  for (let deaths = 0; deaths < 12; deaths++) {
    supervisor.send("READY");
    supervisor.send("NONSENSE");
    await supervisor.next("ERROR");
    const from = performance.now();
    await killSupervisor(stage, supervisor);
    supervisor = await stage.supervisor(20_000);
    delays.push(performance.now() - from);
    await supervisor.greet();
  }
  delays.sort((a, b) => a - b);
  assert.ok((delays[6] ?? 1e9) < 100, `${delays}`);
  assert.ok(isAlive(pid));
});

test("an init that cannot start its first supervisor says so, tries again, and ends with 71", { skip }, async () => {
  const stage = await Stage.open();
  await (await stage.supervisor()).greet();
  // its end of the channel is the last that it opens; there is no room for the other
  const fds = `/proc/${await stage.running.pid()}/fd`;
  const channel = readdirSync(fds).find((fd) => Number(fd) > 2 && readlinkSync(join(fds, fd)).startsWith("socket:"));
  const limit = `ulimit -n ${Number(channel) + 1} && exec "$0" run`;
  const running = run(["-c", limit, join(stage.home, "pingora-entry")], { program: "/bin/sh" });
  assert.deepEqual(await running.ended, { code: 71, signal: null });
  const said = running.err().match(/cannot start the supervisor: .*; (again in 0.5 s|giving up)/g) ?? [];
  assert.equal(said.length, 10, running.err());
});

test("a supervisor that is killed before its first HELLO is started again", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await killSupervisor(stage, first);
  const second = await stage.supervisor();
  await second.greet();
});

test("a child outlives its supervisor and not an init that is killed", { skip }, async () => {
  const stage = await Stage.open();
  const first = await stage.supervisor();
  await first.greet();
  const pid = await first.spawn("service", ["sleep", "1000"]);
  await killSupervisor(stage, first);
  await stage.supervisor();
  assert.ok(isAlive(pid));
  await stage.running.kill("SIGKILL");
  await eventually(() => !isAlive(pid), "it is gone with the init");
});

test("no child is lost or told twice when supervisors are killed at any moment", { skip: skip || noPid1 }, async () => {
  const stage = await Stage.open(["run"], { pid1: true });
  let supervisor = await stage.supervisor();
  await supervisor.greet();
  const init = await stage.running.pid();
  // each is killed after its HELLO, in a moment of its own; ten within a minute would be the last resort
  for (let round = 0; round < 8; round++) {
    supervisor.send("SPAWN", [`r${round}`, "a=/bin/sleep", "a=1000"]);
    await new Promise((done) => setTimeout(done, round % 3));
    await killSupervisor(stage, supervisor, true);
    supervisor = await stage.supervisor(20_000);
    const { sync } = await supervisor.greet();
    const ids = sync.map((frame) => frame.fields[1]);
    assert.equal(new Set(ids).size, ids.length);
  }
  assert.ok(childrenOf(init).length <= 9);
});

test("a spawner stops its children when its program dies, also one that did not read", { skip }, async () => {
  const program = compile(
    "spawner-user",
    `#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
static void put(int fd, const char *frame, size_t length) { if (send(fd, frame, length, MSG_DONTWAIT) < 0) { } }
int main(int argc, char **argv) {
  int ends[2];
  (void)argc;
  socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
  if (fork() == 0) {
    if (ends[1] != 3) dup2(ends[1], 3);
    if (ends[0] != 3) close(ends[0]);
    execl(argv[1], argv[1], "--spawner", (char *)0);
    _exit(1);
  }
  close(ends[1]);
  put(ends[0], "HELLO\\0001", 8);
  put(ends[0], "GRACE\\000300", 10);
  char frame[] = "SPAWN\\0one\\0a=/bin/sh\\0a=-c\\0a=trap '' TERM; echo up; while :; do sleep 1032; done";
  put(ends[0], frame, sizeof frame);
  /* never reads: fill its socket with refusals */
  for (int i = 0; i < 20000; i++) { put(ends[0], "NONSENSE", 9); if (i % 1000 == 0) usleep(1000); }
  printf("filled\\n"); fflush(stdout);
  pause();
}`,
  );
  const running = run([binary], { program });
  await eventually(
    () => running.out().includes("up") && running.out().includes("filled"),
    () => `both are up: ${running.err()}`,
  );
  const spawner = childrenOf(await running.pid())[0] ?? 0;
  const child = childrenOf(spawner)[0] ?? 0;
  process.kill(spawner, "SIGINT");
  process.kill(spawner, "SIGTERM");
  assert.ok(isAlive(child));
  await running.kill("SIGKILL");
  await eventually(() => !isAlive(spawner) && !isAlive(child), "both are gone");
  await running.ended;
  assert.match(running.err(), /the program that started this spawner is gone: stopping \d+ processes/);
});
