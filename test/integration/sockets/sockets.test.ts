import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { native } from "../../../src/adapters/native/addon.js";
import { createSockets } from "../../../src/adapters/sockets/sockets.js";
import { EntryError } from "../../../src/core/entry-error.js";
import type { ListenerAddress, ListenerSpec } from "../../../src/core/plan.js";
import type { BoundListener, Log } from "../../../src/runtime/ports.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-sockets-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const warnings: string[] = [];
const log: Log = {
  debug() {},
  info() {},
  warn: (message) => warnings.push(message),
  error() {},
  child: () => log,
  flush() {},
};
const sockets = createSockets({ retry: { attempts: 2, intervalMs: 20 }, log });
const never = new AbortController().signal;

function specOf(address: ListenerAddress, more: Partial<ListenerSpec> = {}): ListenerSpec {
  return {
    name: "web",
    address,
    key: "k",
    backlog: 65535,
    reusePort: false,
    passAs: "systemd",
    envName: "WEB_FD",
    ...more,
  };
}
const tcp = (host: string, port = 0, ipv6Only = false): ListenerAddress => ({ kind: "tcp", host, port, ipv6Only });
const udp = (host: string, port = 0): ListenerAddress => ({ kind: "udp", host, port, ipv6Only: false });
let paths = 0;
const unix = (type: "stream" | "seqpacket" | "dgram" = "stream", mode = 0o600, path = join(directory, `s${++paths}`)) =>
  ({ kind: "unix", path, mode, type }) as const;

async function bind(
  address: ListenerAddress,
  more: Partial<ListenerSpec> = {},
  from = sockets,
): Promise<BoundListener> {
  const bound = await from.bind(specOf(address, more), never);
  cleanups.push(() => {
    try {
      sockets.close(bound);
    } catch {}
  });
  return bound;
}

async function connects(options: NetConnectOpts): Promise<boolean> {
  const socket = connect(options);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A process that does `script` (python) and has printed a line. */
async function python(script: string): Promise<ChildProcess> {
  const child = spawn("python3", ["-c", `${script}\nprint("up", flush=True)\nimport time\ntime.sleep(60)`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGKILL")) await once(child, "exit");
  });
  if (child.stdout) await once(child.stdout, "data");
  return child;
}

const hasIpv6 = await connectsToItself();
async function connectsToItself(): Promise<boolean> {
  const server = createServer();
  server.listen(0, "::1");
  const [event] = await Promise.race([
    once(server, "listening").then(() => [true]),
    once(server, "error").then(() => [false]),
  ]);
  server.close();
  return event === true;
}
const needsIpv6 = { skip: hasIpv6 ? false : "this machine has no IPv6" };

for (const [host, families] of [
  ["127.0.0.1", [4]],
  ["0.0.0.0", [4]],
  ["localhost", []],
  ["*", hasIpv6 ? [4, 6] : [4]],
  ...(hasIpv6
    ? ([
        ["::", [4, 6]],
        ["[::]", [4, 6]],
        ["[::1]", [6]],
      ] as const)
    : []),
] as const) {
  test(`bind listens on ${host} when asked for it, close-on-exec and blocking`, async () => {
    const bound = await bind(tcp(host));
    assert.ok(bound.port !== undefined && bound.port > 0);
    assert.deepEqual(native().getFlags(bound.fd), { cloexec: true, nonblock: false });
    const options = { port: bound.port };
    if (host === "localhost") assert.ok(await connects({ ...options, host: bound.host ?? "" }));
    else {
      assert.equal(await connects({ ...options, host: "127.0.0.1" }), (families as readonly number[]).includes(4));
      if (hasIpv6)
        assert.equal(await connects({ ...options, host: "::1" }), (families as readonly number[]).includes(6));
    }
  });
}

test("bind refuses IPv4 when ipv6Only is set", needsIpv6, async () => {
  const bound = await bind(tcp("::", 0, true));
  assert.equal(await connects({ port: bound.port ?? 0, host: "::1" }), true);
  assert.equal(await connects({ port: bound.port ?? 0, host: "127.0.0.1" }), false);
});

test("bind shares an address when both say reusePort, and not when only one does", async () => {
  const first = await bind(tcp("127.0.0.1"), { reusePort: true });
  await bind(tcp("127.0.0.1", first.port ?? 0), { reusePort: true });
  await assert.rejects(
    bind(tcp("127.0.0.1", first.port ?? 0)),
    /in use by pingora-entry itself, it must be free \(EADDRINUSE, tried 2 times\)/,
  );
});

test("bind refuses a UDP address in use when a second one asks for it", async () => {
  const first = await bind(udp("127.0.0.1"));
  await assert.rejects(bind(udp("127.0.0.1", first.port ?? 0)), /\(udp\): in use by pingora-entry itself/);
});

for (const type of ["stream", "seqpacket", "dgram"] as const) {
  test(`bind makes a unix ${type} socket with its mode whatever the umask is`, async () => {
    for (const [mode, umask] of [
      [0o660, 0o077],
      [0o600, 0],
      [0o777, 0o022],
    ] as const) {
      const before = process.umask(umask);
      const address = unix(type, mode);
      const bound = await bind(address).finally(() => process.umask(before));
      assert.equal(statSync(address.path).mode & 0o7777, mode);
      assert.equal(bound.path, address.path);
      assert.deepEqual(native().getLocalAddress(bound.fd), { family: "unix", path: address.path });
    }
  });

  test(`bind replaces the path of a unix ${type} socket when its process is dead, and refuses it while it lives`, async () => {
    const address = unix(type);
    const kind = { stream: "STREAM", seqpacket: "SEQPACKET", dgram: "DGRAM" }[type];
    const script = `import socket\ns=socket.socket(socket.AF_UNIX, socket.SOCK_${kind})\ns.bind(${JSON.stringify(address.path)})`;
    const owner = await python(type === "dgram" ? script : `${script}\ns.listen(5)`);
    await assert.rejects(
      bind(address),
      new RegExp(`in use by process ${owner.pid} \\(python3?[0-9.]*\\), it must be free`),
    );
    owner.kill("SIGKILL");
    await once(owner, "exit");
    await bind(address);
    assert.equal(readdirSync(directory).filter((name) => name.startsWith(".")).length, 0);
  });
}

test("bind refuses a unix path when another has bound it and does not listen yet, or has another type", async () => {
  const waiting = unix();
  const addon = native();
  const fd = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
  cleanups.push(() => addon.close(fd));
  addon.bindUnix(fd, waiting.path);
  await assert.rejects(bind(waiting), /in use by pingora-entry itself/);
  const other = unix("dgram");
  await bind(other);
  await assert.rejects(bind({ ...other, type: "stream" }), /in use by pingora-entry itself/);
});

test("bind refuses a unix path when something there is no socket, and leaves it alone", async () => {
  const file = unix();
  writeFileSync(file.path, "precious");
  await assert.rejects(bind(file), /there is a file, which is not replaced/);
  const link = unix();
  symlinkSync(file.path, link.path);
  await assert.rejects(bind(link), /there is a symbolic link/);
  const folder = unix();
  mkdirSync(folder.path);
  await assert.rejects(bind(folder), /there is a directory/);
  assert.equal(statSync(file.path).size, 8);
});

test("bind says what is wrong when a unix path is too long or its directory unusable", async () => {
  const long = unix("stream", 0o600, join(directory, "x".repeat(107 - directory.length - 1)));
  await bind(long);
  await assert.rejects(
    bind({ ...long, path: `${long.path}x` }),
    /the path has 108 bytes, a unix socket's has at most 107/,
  );
  await assert.rejects(bind(unix("stream", 0o600, join(directory, "none/s"))), /its directory does not exist/);
});

test("bind says what is wrong when the address cannot be had", async () => {
  await assert.rejects(bind(tcp("192.0.2.1")), /192\.0\.2\.1:0: no interface of this machine has this address/);
  await assert.rejects(
    bind(tcp("no-such-host.invalid")),
    (error) => error instanceof EntryError && /find an address/.test(error.message),
  );
  if (hasIpv6) await assert.rejects(bind(tcp("fe80::1%nope0")), /no network interface of this name/);
});

test("bind names the process that holds a TCP port when it stays in use", async () => {
  const script =
    "import socket\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen()\nprint(s.getsockname()[1], flush=True)";
  const child = spawn("python3", ["-c", `${script}\nimport time\ntime.sleep(60)`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => child.kill("SIGKILL"));
  const [line] = await once(child.stdout, "data");
  warnings.length = 0;
  await assert.rejects(
    bind(tcp("127.0.0.1", Number(line))),
    new RegExp(
      `cannot bind listener "web" to 127\\.0\\.0\\.1:${Number(line)}: in use by process ${child.pid} \\(python3?[0-9.]*\\), it must be free \\(EADDRINUSE, tried 2 times\\)`,
    ),
  );
  assert.equal(warnings.length, 1);
});

test("bind succeeds when the address gets free between two tries", async () => {
  const holder = await bind(tcp("127.0.0.1"));
  const patient = createSockets({ retry: { attempts: 1000, intervalMs: 5 }, log });
  const waiting = patient.bind(specOf(tcp("127.0.0.1", holder.port ?? 0)), never);
  sockets.close(holder);
  const bound = await waiting;
  assert.equal(bound.port, holder.port);
  sockets.close(bound);
});

test("bind rejects at once when it is aborted while it waits", async () => {
  const holder = await bind(tcp("127.0.0.1"));
  const stop = new AbortController();
  const patient = createSockets({ retry: { attempts: 30, intervalMs: 600_000 }, log });
  const waiting = patient.bind(specOf(tcp("127.0.0.1", holder.port ?? 0)), stop.signal);
  setImmediate(() => stop.abort());
  await assert.rejects(waiting, /in use by pingora-entry itself, it must be free \(EADDRINUSE\)$/);
});

test("bind of many addresses in use names who has each, and warns of nothing else", async () => {
  const held = await Promise.all(Array.from({ length: 50 }, () => bind(tcp("127.0.0.1"))));
  const strange: Error[] = [];
  const hear = (warning: Error) => void strange.push(warning);
  process.on("warning", hear);
  cleanups.push(() => process.off("warning", hear));
  const stop = new AbortController();
  const patient = createSockets({ retry: { attempts: 30, intervalMs: 600_000 }, log });
  const waiting = held.map(({ port = 0 }) => patient.bind(specOf(tcp("127.0.0.1", port)), stop.signal));
  setImmediate(() => stop.abort());
  for (const result of await Promise.allSettled(waiting))
    assert.match(result.status === "rejected" ? String(result.reason) : "bound", /in use by pingora-entry itself/);
  assert.deepEqual(strange, []);
});

test("close leaves path and duplicates alone when another still holds the socket", async () => {
  const address = unix();
  const bound = await bind(address);
  const copy = native().dup(bound.fd);
  cleanups.push(() => native().close(copy));
  sockets.close(bound);
  assert.equal(await connects({ path: address.path }), true);
});

test("adopt takes a socket over when it is what the spec says, with the address as the kernel tells it", async () => {
  for (const address of [
    tcp("127.0.0.1"),
    udp("127.0.0.1"),
    unix(),
    unix("seqpacket"),
    unix("dgram"),
    tcp("localhost"),
    tcp("*"),
  ]) {
    const spec = specOf(address);
    const bound = await bind(address);
    const copy = native().dup(bound.fd);
    cleanups.push(() => native().close(copy));
    for (const nonblock of [true, false]) {
      native().setCloexec(copy, false);
      native().setNonblock(copy, nonblock);
      assert.deepEqual(sockets.adopt(spec, copy), { ...bound, fd: copy });
      const wanting = sockets.adopt({ ...spec, reusePort: true }, copy);
      assert.notEqual(wanting.reusePort, true, "an open socket keeps what it has");
      assert.deepEqual(native().getFlags(copy), { cloexec: true, nonblock }, "a service that runs relies on it");
    }
  }
});

test("adopt refuses when the socket is another one than the spec says", async () => {
  const addon = native();
  const bound = await bind(tcp("127.0.0.1"));
  const refuses = (address: ListenerAddress, fd: number, text: RegExp) =>
    assert.throws(
      () => sockets.adopt(specOf(address), fd),
      (error) => error instanceof EntryError && text.test(error.message),
    );
  refuses(
    tcp("127.0.0.1", (bound.port ?? 0) - 1),
    bound.fd,
    /it is a stream socket at 127\.0\.0\.1:\d+, a stream socket at 127\.0\.0\.1:\d+ is needed/,
  );
  refuses(tcp("127.0.0.2"), bound.fd, /a stream socket at 127\.0\.0\.2:0 is needed/);
  refuses(udp("127.0.0.1"), bound.fd, /it is a stream socket.*a datagram socket/);
  refuses(unix(), bound.fd, /a stream socket at .*\/s\d+ is needed/);
  const idle = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
  cleanups.push(() => addon.close(idle));
  addon.bindInet(idle, "127.0.0.1", 0, 0);
  refuses(tcp("127.0.0.1"), idle, /it does not listen at 127/);
  const [read, write] = addon.pipe();
  cleanups.push(
    () => addon.close(read),
    () => addon.close(write),
  );
  refuses(tcp("127.0.0.1"), read, /is no socket/);
  refuses(tcp("127.0.0.1"), 999_999, /is not open/);
});

test("bind leaves no descriptor open when it fails", async () => {
  const file = unix();
  writeFileSync(file.path, "x");
  chmodSync(file.path, 0o600);
  const holder = await bind(tcp("127.0.0.1"));
  const count = () => readdirSync("/proc/self/fd").length;
  await assert.rejects(bind(file));
  const before = count();
  for (let round = 0; round < 20; round++) {
    await assert.rejects(bind(file));
    await assert.rejects(bind(tcp("192.0.2.1")));
    await assert.rejects(
      bind(tcp("127.0.0.1", holder.port ?? 0), {}, createSockets({ retry: { attempts: 1, intervalMs: 0 }, log })),
    );
  }
  assert.equal(count(), before);
});

test("bind names the holder of the very address, not of the same port elsewhere", needsIpv6, async () => {
  const script = (family: string, host: string, port: number) =>
    python(
      `import socket\ns=socket.socket(socket.${family})\n${family === "AF_INET6" ? "s.setsockopt(41, 26, 1)\n" : ""}s.bind(("${host}",${port}))\ns.listen()`,
    );
  const probe = await bind(tcp("127.0.0.9"));
  const port = probe.port ?? 0;
  const elsewhere = await script("AF_INET", "127.0.0.8", port);
  const other = await script("AF_INET6", "::", port);
  const there = await script("AF_INET", "127.0.0.7", port);
  const held = (child: ChildProcess) => new RegExp(`in use by process ${child.pid} `);
  await assert.rejects(bind(tcp("127.0.0.7", port)), held(there));
  await assert.rejects(bind(tcp("127.0.0.8", port)), held(elsewhere));
  await assert.rejects(bind(tcp("::1", port)), held(other));
  await assert.rejects(bind(tcp("127.0.0.9", port)), /in use by pingora-entry itself/);
  await assert.rejects(bind(tcp("::", port, true)), held(other));
});

for (const type of ["stream", "seqpacket", "dgram"] as const) {
  test(`remove takes the path of a ${type} socket away only while it is that socket's own`, async () => {
    const address = unix(type);
    const bound = await bind(address);
    sockets.remove(bound);
    assert.equal(existsSync(address.path), false);
    const later = await bind(address);
    sockets.remove(bound);
    assert.equal(existsSync(address.path), true, "another's");
    sockets.remove(later);
    assert.equal(existsSync(address.path), true, "who owns it cannot be told");
    sockets.close(bound);
    sockets.remove(later);
    assert.equal(existsSync(address.path), false);
  });
}

test("bindPrivate makes a socket of the same family and type at an address of its own", async () => {
  const { getOption, getLocalAddress, constants: c } = native();
  const kinds = [
    [tcp("127.0.0.1"), "127.0.0.1"],
    [tcp("0.0.0.0"), "127.0.0.1"],
    [tcp("::"), "::ffff:127.0.0.1"],
    [tcp("::", 0, true), "::1"],
    [tcp("::1"), "::1"],
    [udp("127.0.0.1"), "127.0.0.1"],
    [unix("stream"), undefined],
    [unix("seqpacket"), undefined],
    [unix("dgram"), undefined],
  ] as const;
  for (const [address, host] of kinds) {
    const listener = await bind(address, { passAs: "nginx", reusePort: address.kind !== "unix" });
    const own = sockets.bindPrivate(listener);
    const other = sockets.bindPrivate(listener);
    try {
      assert.equal(own.standsFor, listener);
      assert.equal(own.spec.passAs, "adopt", "nginx finds what it is given by its address");
      assert.equal(own.host, host);
      for (const option of [c.SO_TYPE, c.SO_DOMAIN, c.SO_ACCEPTCONN])
        assert.equal(getOption(own.fd, c.SOL_SOCKET, option), getOption(listener.fd, c.SOL_SOCKET, option));
      assert.notDeepEqual(getLocalAddress(own.fd), getLocalAddress(listener.fd));
      assert.notDeepEqual(getLocalAddress(own.fd), getLocalAddress(other.fd));
    } finally {
      for (const each of [own, other]) {
        sockets.remove(each);
        sockets.close(each);
      }
    }
    if (own.path !== undefined) assert.equal(existsSync(own.path), false);
    if (listener.path !== undefined) assert.equal(existsSync(listener.path), true);
  }
});

test("bindPrivate replaces what a killed one has left, and says why no directory will do", async () => {
  const listener = await bind(unix());
  const first = sockets.bindPrivate(listener);
  sockets.close(first);
  const second = sockets.bindPrivate(listener);
  assert.equal(second.path, first.path);
  sockets.remove(second);
  sockets.close(second);
  const nowhere = createSockets({ retry: { attempts: 1, intervalMs: 0 }, log, privateDirectories: ["/nowhere"] });
  assert.throws(() => nowhere.bindPrivate(listener), {
    reason: "os",
    message: /^cannot open a private socket in place of .*: no directory takes it \(\/nowhere: .*ENOENT/,
  });
});
