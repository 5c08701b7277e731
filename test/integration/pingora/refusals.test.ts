import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../../src/adapters/clock/clock.js";
import { type Received, receiveFromPingora } from "../../../src/adapters/handover-pingora/receive.js";
import { type Sent, sendToPingora } from "../../../src/adapters/handover-pingora/send.js";
import { watchPingoraSuccessor } from "../../../src/adapters/handover-pingora/successor.js";
import { native } from "../../../src/adapters/native/addon.js";
import { openDescriptors } from "../eventually.js";
import { Folder, imitation } from "./stage.js";

const never = new AbortController().signal;
const clock = systemClock;

function listening(path: string): number {
  const addon = native();
  const fd = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
  addon.bindUnix(fd, path);
  addon.listen(fd, 8);
  return fd;
}

interface Trial {
  readonly retries?: number;
  readonly directory?: string;
  readonly tries?: string[];
}

function send(path: string, sockets: readonly { key: string; fd: number }[], trial: Trial = {}): Promise<Sent> {
  const { retries = 2, directory = "1:1", tries = [] } = trial;
  const retrying = (reason: string) => void tries.push(reason);
  const times = { intervalMs: 20, helloWaitMs: 200 };
  return sendToPingora(path, sockets, { clock, signal: never, retries, directory, retrying, ...times });
}

function receive(path: string, trial: Trial = {}): Promise<Received> {
  const { retries = 5, directory = "1:1", tries = [] } = trial;
  const turnedAway = (reason: string) => void tries.push(reason);
  const times = { intervalMs: 500, silenceMs: 300 };
  return receiveFromPingora(path, { clock, signal: never, retries, directory, turnedAway, ...times });
}

test("sendToPingora counts its tries when nobody listens, at a path that is not there, or stale, or no socket", async () => {
  using folder = new Folder();
  const stale = folder.at("stale");
  native().close(listening(stale));
  writeFileSync(folder.at("file"), "");
  const before = openDescriptors();
  for (const [path, code] of [
    [folder.at("nowhere"), "ENOENT"],
    [stale, "ECONNREFUSED"],
    [folder.at("file"), "ECONNREFUSED"],
  ] as const) {
    const tries: string[] = [];
    const sent = await send(path, [], { tries });
    assert.ok(sent.kind === "nobody" && sent.tries === 3, path);
    assert.match(sent.reason, new RegExp(code));
    assert.equal(tries.length, 2);
  }
  assert.equal(openDescriptors(), before);
});

const successors: Readonly<Record<string, { readonly received?: RegExp; readonly proved?: RegExp }>> = {
  take: {},
  close: {},
  idle: { proved: /has the sockets and does not accept on "a"/ },
  die: { proved: /has ended/ },
  unread: { received: /went away before it took the sockets/ },
  deaf: { received: /did not take the sockets/ },
};

for (const [mode, expected] of Object.entries(successors)) {
  test(`watchPingoraSuccessor sees what became of the sockets when the successor is one of "${mode}"`, async () => {
    using folder = new Folder();
    await using successor = imitation("new", folder.at("up"), mode);
    await successor.said("waiting");
    const fd = listening(folder.at("a"));
    const facts = new Float64Array(2);
    native().inspectSockets(Int32Array.of(fd), facts);
    const sent = await send(folder.at("up"), [{ key: "a", fd }]);
    assert.ok(sent.kind === "sent" && !sent.ours, JSON.stringify(sent));
    assert.equal(sent.peer.pid, successor.pid);
    const { connection } = sent;
    const sockets = [{ key: "a", inode: facts[0] ?? 0 }];
    const watched = watchPingoraSuccessor({ connection, pid: successor.pid, ours: false, sockets, clock });
    const received = await watched.received(clock.now() + 1_000, never);
    assert.match(received ?? "", expected.received ?? /^$/);
    if (expected.received === undefined) {
      assert.match((await watched.proved(clock.now() + 500, never)) ?? "", expected.proved ?? /^$/);
    }
    watched.close();
    native().close(fd);
  });
}

test("watchPingoraSuccessor says so at once when the successor dies in its probation", async () => {
  using folder = new Folder();
  await using successor = imitation("new", folder.at("up"), "take");
  await successor.said("waiting");
  const fd = listening(folder.at("a"));
  const sent = await send(folder.at("up"), [{ key: "a", fd }]);
  assert.ok(sent.kind === "sent");
  const watched = watchPingoraSuccessor({
    connection: sent.connection,
    pid: sent.peer.pid,
    ours: false,
    sockets: [],
    clock,
  });
  assert.equal(await watched.received(clock.now() + 1_000, never), undefined);
  const proved = watched.proved(clock.now() + 60_000, never);
  successor.child.kill("SIGKILL");
  assert.match((await proved) ?? "", /has ended/);
  watched.close();
  native().close(fd);
});

test("sendToPingora sends nothing to one that says something else", async () => {
  using folder = new Folder();
  await using chatter = imitation("new", folder.at("up"), "chatter");
  await chatter.said("waiting");
  const sent = await send(folder.at("up"), []);
  assert.match(sent.kind === "refused" ? sent.reason : sent.kind, /neither a pingora nor one of ours/);
});

test("receiveFromPingora gets what sendToPingora sent to one of another directory, and each knows of the other", async () => {
  using folder = new Folder();
  const fd = listening(folder.at("a"));
  const receiving = receive(folder.at("up"), { directory: "2:2" });
  const sent = await send(folder.at("up"), [{ key: folder.at("a"), fd }]);
  assert.ok(sent.kind === "sent" && sent.ours);
  const received = await receiving;
  assert.ok(received.kind === "sockets", JSON.stringify(received));
  const [socket] = received.sockets;
  assert.equal(socket?.key, folder.at("a"));
  assert.equal(socket?.address, folder.at("a"));
  assert.equal(existsSync(folder.at("up")), false);
  for (const each of [fd, sent.connection, received.connection, socket?.fd ?? -1]) native().close(each);
});

test("sendToPingora leaves one of ours with the same directory to our own protocol", async () => {
  using folder = new Folder();
  const receiving = receive(folder.at("up"));
  const sent = await send(folder.at("up"), [], { directory: "1:1" });
  assert.ok(sent.kind === "ours");
  // the owner's session begins, as it does for every connection
  native().sendmsg(sent.connection, Buffer.from([0, 0, 0, 2, 123, 125]), []);
  const received = await receiving;
  assert.ok(received.kind === "ours");
  for (const each of [sent.connection, received.connection]) native().close(each);
});

const predecessors: Readonly<Record<string, RegExp>> = {
  silent: /said nothing/,
  garbage: /not UTF-8/,
  short: /2 names came with 1 sockets/,
  file: /no listening socket/,
};

for (const [mode, reason] of Object.entries(predecessors)) {
  test(`receiveFromPingora turns away one of "${mode}", keeps nothing of it, and takes the next`, async () => {
    using folder = new Folder();
    const before = openDescriptors();
    const tries: string[] = [];
    const path = folder.at("up");
    const receiving = receive(path, { tries });
    {
      await using broken = imitation("old", path, mode, folder.at("a"), folder.at("b"));
      await broken.said("serving");
      broken.child.kill("SIGQUIT");
      await broken.said(mode === "silent" ? "connected" : "sent");
    }
    await using old = imitation("old", path, "send", folder.at("c"));
    await old.said("serving");
    old.child.kill("SIGQUIT");
    const received = await receiving;
    assert.match(tries.join(), mode === "silent" ? /said nothing|sent nothing/ : reason);
    assert.ok(received.kind === "sockets" && received.sockets.length === 1, JSON.stringify(received));
    for (const each of [received.connection, received.sockets[0]?.fd ?? -1]) native().close(each);
    // those of the two child processes
    assert.ok(openDescriptors() <= before + 4, readdirSync("/proc/self/fd").join());
  });
}

test("receiveFromPingora says who came when nobody handed over, and replaces a stale socket but no file", async () => {
  using folder = new Folder();
  native().close(listening(folder.at("up")));
  const receiving = receive(folder.at("up"), { retries: 0 });
  const passerBy = connect(folder.at("up"), () => passerBy.destroy());
  const received = await receiving;
  assert.match(received.kind === "nobody" ? received.reason : "", /within 0.5 s; the last who came: .*sent nothing/);
  assert.equal(existsSync(folder.at("up")), false);
  writeFileSync(folder.at("file"), "");
  await assert.rejects(receive(folder.at("file"), { retries: 0 }), { code: "EADDRINUSE" });
});
