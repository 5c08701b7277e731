import assert from "node:assert/strict";
import { fstatSync } from "node:fs";
import { afterEach, test } from "node:test";
import { native } from "./addon.js";

const addon = native();
const { AF_INET, AF_UNIX, SOCK_STREAM } = addon.constants;
const opened: number[] = [];
afterEach(() => {
  for (const fd of opened.splice(0)) addon.close(fd);
});

const open = (domain: number): number => {
  const fd = addon.socket(domain, SOCK_STREAM);
  opened.push(fd);
  return fd;
};
const ports = (...wanted: number[]): Uint8Array => {
  const set = new Uint8Array(8_192);
  for (const port of wanted) set[port >> 3] = (set[port >> 3] ?? 0) | (1 << (port & 7));
  return set;
};

test("diagnoseTcp finds nothing at ports that are not asked for, and a listener is no connection", () => {
  const fd = open(AF_INET);
  addon.bindInet(fd, "127.0.0.1", 0, 0);
  addon.listen(fd, 8);
  const local = addon.getLocalAddress(fd);
  const port = local.family === "inet" ? local.port : 0;
  for (const [only, set] of [
    [port, ports(port)],
    [0, ports(port)],
    [0, ports()],
    [port, ports()],
  ] as const)
    assert.deepEqual(addon.diagnoseTcp(4, only, set, new Uint8Array(480)), { count: 0, interrupted: false });
});

test("diagnoseUnix counts what does not fit, writes what fits, and never beyond", () => {
  const fd = open(AF_UNIX);
  const name = `\0pingora-entry-diagnose-${process.pid}`;
  addon.bindUnix(fd, name);
  addon.listen(fd, 16);
  const clients = Array.from({ length: 5 }, () => {
    const client = open(AF_UNIX);
    addon.connectUnix(client, name);
    return fstatSync(client).ino;
  });
  const whole = new Uint8Array(120 * 10_000);
  const { count } = addon.diagnoseUnix(whole);
  assert.ok(count >= 5);
  const view = new DataView(whole.buffer);
  const peers = Array.from({ length: count }, (_, i) => i * 120)
    .filter((at) => Buffer.from(whole.subarray(at + 12, at + 12 + (whole[at + 8] ?? 0))).toString() === name)
    .map((at) => ({ inode: view.getUint32(at, true), peer: view.getUint32(at + 4, true) }));
  assert.deepEqual(peers.map(({ peer }) => peer).sort(), clients.sort());
  assert.ok(peers.every(({ inode }) => inode === 0));
  for (const size of [0, 119, 120, 250]) {
    const small = new Uint8Array(size + 64).fill(0xaa);
    assert.ok(addon.diagnoseUnix(small.subarray(0, size)).count >= 5);
    const written = Math.floor(size / 120) * 120;
    assert.ok(small.subarray(written).every((byte) => byte === 0xaa));
  }
});

test("heldSockets lists the sockets of a process, and says when there is none or it may not be seen", () => {
  const fd = open(AF_UNIX);
  const out = new Uint32Array(4_096);
  const count = addon.heldSockets(process.pid, new Uint8Array(out.buffer));
  assert.ok(out.subarray(0, count).includes(fstatSync(fd).ino));
  const small = new Uint8Array(16).fill(0xaa);
  assert.equal(addon.heldSockets(process.pid, small.subarray(0, 3)), count);
  assert.ok(small.every((byte) => byte === 0xaa));
  assert.throws(() => addon.heldSockets(2 ** 30, small), { code: "ENOENT" });
});

test("diagnoses refuse arguments that make no sense", () => {
  const out = new Uint8Array(48);
  assert.throws(() => addon.diagnoseTcp(5 as never, 0, new Uint8Array(1), out), RangeError);
  assert.throws(() => addon.diagnoseTcp(3 as never, 0, ports(), out), RangeError);
  assert.throws(() => addon.diagnoseTcp(4, 65_536, ports(), out), RangeError);
  assert.throws(() => addon.diagnoseTcp(4, 0, "x" as never, out), TypeError);
  assert.throws(() => addon.diagnoseUnix(undefined as never), TypeError);
  assert.throws(() => addon.heldSockets(0, out), RangeError);
  assert.throws(() => addon.heldSockets(-1, out), RangeError);
});
