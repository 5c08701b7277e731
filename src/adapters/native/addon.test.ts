import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, test } from "node:test";
import { Worker } from "node:worker_threads";
import { type Addon, native } from "./addon.js";
import { disconnected, readable, type Watch, watch, writable } from "./watch.js";

const addon = native();
const c = addon.constants;
const opened: number[] = [];
const watches: Watch[] = [];
afterEach(() => {
  for (const each of watches.splice(0)) each.close();
  for (const fd of opened.splice(0)) {
    try {
      addon.close(fd);
    } catch {}
  }
});

function pair(type = c.SOCK_SEQPACKET): [number, number] {
  const fds = addon.socketpair(type);
  opened.push(...fds);
  return fds;
}

function watched(fd: number, events: number, ready: (events: number) => void): Watch {
  const made = watch(fd, events, ready);
  watches.push(made);
  return made;
}

async function eventually(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !condition(); ) {
    assert.ok(Date.now() < end, String(condition));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const addonPath = resolve("dist/bin/addon.node");
const openCount = () => readdirSync("/proc/self/fd").length;

test("sendmsg passes descriptors that arrive close-on-exec when recvmsg takes them", () => {
  const [a, b] = pair();
  const [read, write] = addon.pipe();
  opened.push(read, write);
  assert.equal(addon.sendmsg(a, Buffer.from("hello"), [read, write]), 5);
  const buffer = Buffer.alloc(16);
  const message = addon.recvmsg(b, buffer);
  assert.equal(buffer.toString("utf8", 0, message?.length), "hello");
  assert.equal(message?.truncated, false);
  assert.equal(message?.controlTruncated, false);
  const [readCopy = -1, writeCopy = -1] = message?.fds ?? [];
  opened.push(readCopy, writeCopy);
  assert.deepEqual([fstatSync(readCopy).ino, fstatSync(writeCopy).ino], [fstatSync(read).ino, fstatSync(write).ino]);
  assert.equal(addon.getFlags(readCopy).cloexec, true);
});

test("recvmsg takes 253 descriptors at once, and sendmsg refuses more", () => {
  const [a, b] = pair();
  const before = openCount();
  addon.sendmsg(a, Buffer.from("x"), new Array(253).fill(a));
  const message = addon.recvmsg(b, Buffer.alloc(1));
  assert.equal(message?.fds.length, 253);
  for (const fd of message?.fds ?? []) addon.close(fd);
  assert.equal(openCount(), before);
  assert.throws(() => addon.sendmsg(a, Buffer.from("x"), new Array(254).fill(a)), RangeError);
});

test("recvmsg says so when the datagram or its descriptors did not fit", () => {
  const [a, b] = pair();
  addon.sendmsg(a, Buffer.from("too long"), [a]);
  const message = addon.recvmsg(b, Buffer.alloc(3));
  assert.deepEqual([message?.length, message?.truncated, message?.fds.length], [3, true, 1]);
  for (const fd of message?.fds ?? []) addon.close(fd);
});

test("recvmsg returns undefined when nothing is there, length 0 at the end, and throws what the kernel says", () => {
  const [a, b] = pair();
  assert.equal(addon.recvmsg(a, Buffer.alloc(1)), undefined);
  addon.close(b);
  assert.equal(addon.recvmsg(a, Buffer.alloc(1))?.length, 0);
  assert.throws(() => addon.sendmsg(a, Buffer.from("x"), []), { code: "EPIPE", syscall: "sendmsg", errno: -32 });
  assert.throws(() => addon.sendmsg(a, Buffer.from("x"), [999_999]), { code: "EBADF" });
  assert.throws(() => addon.recvmsg(999_999, Buffer.alloc(1)), { code: "EBADF" });
});

test("sendmsg returns undefined when the other end does not read", () => {
  const [a] = pair();
  let sent = 0;
  while (addon.sendmsg(a, Buffer.alloc(1000), []) !== undefined) sent++;
  assert.ok(sent > 10 && sent < 10_000, String(sent));
});

test("recvmsg tells who sent a datagram when SO_PASSCRED is set", () => {
  const name = `\0pingora-entry-test-${process.pid}-${Math.random()}`;
  const receiver = addon.socket(c.AF_UNIX, c.SOCK_DGRAM);
  const sender = addon.socket(c.AF_UNIX, c.SOCK_DGRAM);
  opened.push(receiver, sender);
  addon.setOption(receiver, c.SOL_SOCKET, c.SO_PASSCRED, 1);
  addon.bindUnix(receiver, name);
  assert.deepEqual(addon.getLocalAddress(receiver), { family: "unix", path: name });
  addon.connectUnix(sender, name);
  addon.sendmsg(sender, Buffer.from("READY=1"), []);
  const message = addon.recvmsg(receiver, Buffer.alloc(64));
  assert.deepEqual(message?.credentials, { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  assert.deepEqual(message?.from, { family: "none" });
});

test("getPeerCredentials tells the other end's process", () => {
  assert.equal(addon.getPeerCredentials(pair()[0]).pid, process.pid);
});

test("sealedMemory cannot be changed by anybody and reads from its start", () => {
  const fd = addon.sealedMemory("state", Buffer.from("text"));
  opened.push(fd);
  assert.equal(addon.isSealed(fd), true);
  assert.equal(addon.getFlags(fd).cloexec, true);
  const buffer = Buffer.alloc(8);
  assert.equal(readSync(fd, buffer, 0, 8, 0), 4);
  assert.throws(() => writeSync(fd, "x"), { code: "EPERM" });
  const [read] = addon.pipe();
  opened.push(read);
  assert.equal(addon.isSealed(read), false);
});

test("setCloexec and setNonblock change one flag and leave the other", () => {
  const [read, write] = addon.pipe();
  opened.push(read, write);
  assert.deepEqual(addon.getFlags(read), { cloexec: true, nonblock: false });
  addon.setNonblock(read, true);
  addon.setCloexec(read, false);
  assert.deepEqual(addon.getFlags(read), { cloexec: false, nonblock: true });
  const copy = addon.dup(read);
  opened.push(copy);
  assert.deepEqual(addon.getFlags(copy), { cloexec: true, nonblock: true });
});

test("watch reports readiness level-triggered, pauses, goes on, and ends", async () => {
  const [a, b] = pair();
  let calls = 0;
  const each = watched(a, readable, () => {
    calls++;
    if (calls === 3) each.want(0);
  });
  addon.sendmsg(b, Buffer.from("x"), []);
  await eventually(() => calls === 3);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(calls, 3);
  const seen: number[] = [];
  each.want(readable | writable | disconnected);
  await eventually(() => calls > 3);
  each.close();
  each.close();
  each.want(readable);
  const after = calls;
  const again = watched(a, writable, (events) => {
    seen.push(events);
    again.close();
  });
  await eventually(() => seen.length === 1);
  assert.deepEqual([calls, seen], [after, [writable]]);
});

test("watch refuses what is watched already or cannot be watched", () => {
  const [a] = pair();
  watched(a, readable, () => {});
  assert.throws(() => watch(a, readable, () => {}), { code: "EEXIST" });
  assert.throws(() => watch(999_999, readable, () => {}), { code: "EBADF" });
  const memory = addon.sealedMemory("x", Buffer.alloc(1));
  opened.push(memory);
  assert.throws(() => watch(memory, readable, () => {}), { code: "EPERM" });
});

test("watch tells an error on the descriptor as readiness when the other end closed without reading", async () => {
  const [a, b] = pair();
  addon.sendmsg(a, Buffer.from("unread"), []);
  const codes: unknown[] = [];
  const each = watched(a, readable, () => {
    try {
      codes.push(addon.recvmsg(a, Buffer.alloc(8))?.length);
      each.close();
    } catch (error) {
      codes.push((error as NodeJS.ErrnoException).code);
      each.want(readable);
    }
  });
  addon.close(b);
  await eventually(() => codes.length === 2);
  assert.deepEqual(codes, ["ECONNRESET", 0]);
});

test("watch runs promises and ticks between two calls, as every callback of Node does", async () => {
  const [a, b] = pair();
  const order: string[] = [];
  const each = watched(a, readable, () => {
    order.push("call");
    process.nextTick(() => order.push("tick"));
    Promise.resolve().then(() => order.push("promise"));
    if (order.length > 3) each.close();
  });
  addon.sendmsg(b, Buffer.from("x"), []);
  await eventually(() => order.length === 6);
  assert.deepEqual(order, ["call", "tick", "promise", "call", "tick", "promise"]);
});

test("an exception in a watch callback is an uncaught exception, and the loop goes on", async () => {
  // in a worker: the test runner has its own idea of uncaught exceptions
  const script = `
    const { parentPort, workerData } = require("node:worker_threads");
    const addon = require(workerData);
    const [a, b] = addon.socketpair(addon.constants.SOCK_SEQPACKET);
    let calls = 0;
    const id = addon.openWatch(a, () => {
      if (++calls === 3) addon.closeWatch(id);
      throw new Error("call " + calls);
    });
    addon.startWatch(id, 1);
    addon.sendmsg(b, Buffer.from("x"), []);
    process.on("uncaughtException", (error) => parentPort.postMessage(error.message));
  `;
  const worker = new Worker(script, { eval: true, workerData: addonPath });
  const messages: string[] = [];
  worker.on("message", (message) => messages.push(message));
  const [code] = await once(worker, "exit");
  assert.deepEqual([code, messages], [0, ["call 1", "call 2", "call 3"]]);
});

test("a thousand watches opened and closed within callbacks leave nothing behind", async () => {
  const before = openCount();
  for (let round = 0; round < 1000; round++) {
    const [a, b] = addon.socketpair(c.SOCK_SEQPACKET);
    await new Promise<void>((resolve) => {
      const each = watch(a, readable, () => {
        each.close();
        addon.close(a);
        resolve();
      });
      addon.close(b);
    });
  }
  assert.equal(openCount(), before);
});

test("a worker with open watches ends cleanly, by itself and when it is terminated", async () => {
  const script = `
    const { parentPort, workerData } = require("node:worker_threads");
    const addon = require(workerData.path);
    const fds = [];
    for (let i = 0; i < 20; i++) {
      const [a, b] = addon.socketpair(addon.constants.SOCK_SEQPACKET);
      fds.push(a, b);
      const id = addon.openWatch(a, () => parentPort.postMessage(addon.recvmsg(a, Buffer.alloc(8)).length));
      addon.startWatch(id, 1);
      if (workerData.leave) addon.keepWatch(id, false);
      addon.sendmsg(b, Buffer.from("xy"), []);
    }
    process.on("exit", () => fds.forEach((fd) => addon.close(fd)));
    if (!workerData.leave) setInterval(() => {}, 1000);
    else setTimeout(() => {}, 50);
  `;
  for (const leave of [true, false, true, false]) {
    const worker = new Worker(script, { eval: true, workerData: { path: addonPath, leave } });
    let messages = 0;
    const ended = new Promise<number>((resolve, reject) => {
      worker.on("exit", resolve);
      worker.on("error", reject);
    });
    worker.on("message", () => messages++);
    await eventually(() => messages > 0);
    if (!leave) await worker.terminate();
    assert.equal(await ended, leave ? 0 : 1);
  }
});

test("flock keeps others out until every copy of the open file is closed", () => {
  const path = join(mkdtempSync(join(tmpdir(), "addon-test-")), "lock");
  const [first, second] = [openSync(path, "a"), openSync(path, "a")];
  const copy = addon.dup(first);
  assert.equal(addon.flock(first, c.LOCK_EX | c.LOCK_NB), true);
  assert.equal(addon.flock(copy, c.LOCK_EX | c.LOCK_NB), true);
  assert.equal(addon.flock(second, c.LOCK_EX | c.LOCK_NB), false);
  closeSync(first);
  assert.equal(addon.flock(second, c.LOCK_SH | c.LOCK_NB), false);
  closeSync(copy);
  assert.equal(addon.flock(second, c.LOCK_EX | c.LOCK_NB), true);
  addon.flock(second, c.LOCK_UN);
  closeSync(second);
  assert.throws(() => addon.flock(999_999, c.LOCK_EX), { code: "EBADF", syscall: "flock" });
  rmSync(dirname(path), { recursive: true });
});

test("accept takes one connection after the other, and inspectSockets tells sockets apart", () => {
  const name = `\0pingora-entry-test-${process.pid}-${Math.random()}`;
  const [listener, client] = [addon.socket(c.AF_UNIX, c.SOCK_STREAM), addon.socket(c.AF_UNIX, c.SOCK_STREAM)];
  opened.push(listener, client);
  addon.bindUnix(listener, name);
  addon.listen(listener, 4);
  assert.equal(addon.accept(listener), undefined);
  addon.connectUnix(client, name);
  const connection = addon.accept(listener) ?? -1;
  opened.push(connection);
  assert.deepEqual(addon.getFlags(connection), { cloexec: true, nonblock: true });
  const facts = new Float64Array(6);
  addon.inspectSockets(Int32Array.of(listener, client, connection), facts);
  const inodes = [listener, client, connection].map((fd) => fstatSync(fd).ino);
  assert.deepEqual([...facts], [inodes[0], 1, inodes[1], 0, inodes[2], 0]);
  assert.throws(() => addon.inspectSockets(Int32Array.of(0, 1, 2, 3), facts), RangeError);
  assert.throws(() => addon.inspectSockets(Int32Array.of(999_999), facts), { code: "EBADF" });
  assert.throws(() => addon.accept(client), { code: "EINVAL" });
});

test("makeRoomForFiles tells the limit, and opens nothing", () => {
  const before = openCount();
  const limit = addon.makeRoomForFiles(0);
  assert.ok(limit >= 256);
  assert.equal(addon.makeRoomForFiles(200), limit);
  assert.ok(addon.makeRoomForFiles(2 ** 31 - 1) >= limit);
  assert.equal(openCount(), before);
});

test("no argument whatever crashes a function, and none is taken for what it is not", () => {
  const { constants: _, close: __, setCloexec: ___, ...harmless } = addon;
  const odd = [
    undefined,
    null,
    true,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 31,
    2 ** 53,
    -(2 ** 31),
    1e300,
    "",
    "x".repeat(300),
    "a\0b",
    Symbol("s"),
    10n,
    {},
    [],
    () => {},
    new Uint8Array(0),
    new Uint16Array(4),
    new ArrayBuffer(4),
    new DataView(new ArrayBuffer(4)),
    new Array(300).fill(0),
    [{}],
    ["0"],
    Object.create(null),
    new Proxy([], {}),
    Buffer.alloc(4),
    999_999,
    0,
    1,
    2,
  ];
  let thrown = 0;
  let state = 12345;
  const pick = () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return odd[state % odd.length];
  };
  const own: number[] = [];
  for (const [name, call] of Object.entries(harmless)) {
    for (let round = 0; round < 400; round++) {
      const values = Array.from({ length: round % 6 }, pick);
      // leave the test's own standard streams and the runner's descriptors alone
      if (
        ["setNonblock", "flock", "sendmsg", "recvmsg", "setMode", "connectUnix", "openWatch"].includes(name) &&
        Number.isInteger(values[0])
      ) {
        values[0] = 999_999;
      }
      try {
        const result = Reflect.apply(call, undefined, values);
        if (["socket", "dup", "sealedMemory"].includes(name)) own.push(result);
        if (name === "pipe" || name === "socketpair") own.push(...result);
      } catch (error) {
        assert.ok(error instanceof Error, name);
        assert.ok("code" in error, `${name}: ${error.stack}`);
        thrown++;
      }
    }
  }
  for (const fd of own) closeSync(fd);
  assert.ok(thrown > 2000, String(thrown));
  const typed: [keyof Addon, unknown[]][] = [
    ["dup", ["1"]],
    ["close", [{}]],
    ["sendmsg", [0, "text", []]],
    ["sendmsg", [0, Buffer.alloc(1), 7]],
    ["bindUnix", [0, 7]],
    ["socketpair", []],
    ["openWatch", [0, "f"]],
    ["inspectSockets", [[0], new Float64Array(2)]],
    ["flock", ["0", 1]],
  ];
  for (const [name, values] of typed)
    assert.throws(() => Reflect.apply(addon[name] as () => unknown, undefined, values), TypeError, name);
});

test("unread is 0 when the other end has read everything, or has dropped it", () => {
  const addon = native();
  const [a, b] = addon.socketpair(addon.constants.SOCK_STREAM);
  assert.equal(addon.unread(a), 0);
  addon.sendmsg(a, new Uint8Array(5), [b]);
  assert.ok(addon.unread(a) >= 5);
  const [fd = -1] = addon.recvmsg(b, new Uint8Array(5))?.fds ?? [];
  assert.equal(addon.unread(a), 0);
  addon.close(fd);
  addon.sendmsg(a, new Uint8Array(5), []);
  addon.close(b);
  assert.equal(addon.unread(a), 0);
  assert.throws(() => addon.peekmsg(a, new Uint8Array(1)), { code: "ECONNRESET" });
  addon.close(a);
  assert.throws(() => addon.unread(a), { code: "EBADF" });
});
