import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type NetConnectOpts, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, test } from "node:test";
import { createConnections } from "../../../src/adapters/connections/connections.js";
import { native } from "../../../src/adapters/native/addon.js";
import { OwnConnections } from "../../../src/adapters/probes/own-connections.js";
import { createProber } from "../../../src/adapters/probes/prober.js";
import { createSockets } from "../../../src/adapters/sockets/sockets.js";
import type { ListenerAddress } from "../../../src/core/plan.js";
import type { BoundListener } from "../../../src/runtime/ports.js";
import { silentLog } from "../../fakes/fake-server.js";
import { eventually } from "../eventually.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-connections-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const sockets = createSockets({ retry: { attempts: 1, intervalMs: 0 }, log: silentLog });
const tcp = (host: string, port = 0): ListenerAddress => ({ kind: "tcp", host, port, ipv6Only: false });
const unix = (name: string): ListenerAddress => ({
  kind: "unix",
  path: join(directory, name),
  mode: 0o600,
  type: "stream",
});

async function bind(
  addresses: Readonly<Record<string, ListenerAddress>>,
  reusePort = false,
): Promise<Map<string, BoundListener>> {
  const bound = new Map<string, BoundListener>();
  for (const [name, address] of Object.entries(addresses)) {
    const spec = { name, address, key: name, backlog: 511, reusePort, passAs: "systemd", envName: "" } as const;
    const listener = await sockets.bind(spec, new AbortController().signal);
    bound.set(name, listener);
    cleanups.push(() => sockets.close(listener));
  }
  return bound;
}

/** A process that accepts on these listeners, and how many it has accepted. */
function acceptor(
  listeners: Iterable<BoundListener>,
  mode = "",
  pausedFd = "",
): { pid: number; accepted: () => number } {
  const fds = [...listeners].map(({ fd }) => fd);
  const child: ChildProcess = spawn(
    process.execPath,
    [resolve("test/fixtures/acceptor.mjs"), String(fds.length), mode, pausedFd],
    { stdio: ["pipe", "pipe", "inherit", ...fds] },
  );
  let text = "";
  child.stdout?.on("data", (chunk) => {
    text += chunk;
  });
  cleanups.push(async () => {
    child.stdin?.end();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  return { pid: child.pid ?? 0, accepted: () => text.split("\n").length - 1 };
}

async function open(options: NetConnectOpts, times = 1): Promise<Socket[]> {
  const opened: Socket[] = [];
  for (let i = 0; i < times; i++) {
    const socket = connect(options);
    socket.on("error", () => {});
    cleanups.push(() => socket.destroy());
    opened.push(socket);
    await once(socket, "connect");
  }
  return opened;
}

const at = (listener: BoundListener | undefined, host = "127.0.0.1"): NetConnectOpts =>
  listener?.path === undefined ? { host, port: listener?.port ?? 0 } : { path: listener.path };

for (const netlink of [true, false]) {
  const how = netlink ? "by socket diagnosis" : "from /proc/net where that is forbidden";

  test(`count tells the connections of each listener and instance ${how}`, async () => {
    const listeners = await bind({ four: tcp("127.0.0.1"), dual: tcp("::"), path: unix(`path ${netlink}`) });
    const first = acceptor(listeners.values());
    const second = acceptor(listeners.values(), "nested");
    await open(at(listeners.get("four")), 6);
    await open(at(listeners.get("dual")), 3);
    await open(at(listeners.get("dual"), "::1"), 2);
    await open(at(listeners.get("path")), 4);
    await eventually(() => first.accepted() + second.accepted() === 15);
    const connections = createConnections({ netlink });
    const count = () =>
      connections.count(listeners, [
        { instance: "web/0", pid: first.pid },
        { instance: "api/0", pid: second.pid },
      ]);
    let counted = await count();
    // text tables are read piece by piece: when they change meanwhile an entry may come twice, which is why this is never called exact
    if (!netlink)
      await eventually(async () => {
        counted = await count();
        return counted.counts.reduce((total, { connections: each }) => total + each, 0) === 15;
      });
    const { counts, queued, exact } = counted;
    const sum = (key: "listener" | "instance" | "service", name: string): number =>
      counts.filter((count) => count[key] === name).reduce((total, { connections }) => total + connections, 0);
    assert.deepEqual(
      [sum("listener", "four"), sum("listener", "dual"), sum("listener", "path")],
      [6, 5, 4],
      JSON.stringify(counts),
    );
    assert.deepEqual([sum("instance", "web/0"), sum("service", "api")], [first.accepted(), second.accepted()]);
    assert.equal(queued.size, 0);
    assert.equal(exact, netlink);
  });

  test(`count tells apart what nobody has accepted ${how}`, async () => {
    const listeners = await bind({ quiet: tcp("0.0.0.0"), path: unix(`queue ${netlink}`), busy: tcp("127.0.0.1") });
    const web = acceptor([listeners.get("busy")].flatMap((each) => each ?? []));
    await open(at(listeners.get("quiet")), 3);
    await open(at(listeners.get("path")), 2);
    await open(at(listeners.get("busy")));
    await eventually(() => web.accepted() === 1);
    const { counts, queued } = await createConnections({ netlink }).count(listeners, [
      { instance: "web/0", pid: web.pid },
    ]);
    assert.deepEqual(counts, [{ listener: "busy", service: "web", instance: "web/0", connections: 1 }]);
    assert.deepEqual(
      [...queued],
      [
        ["quiet", 3],
        ["path", 2],
      ],
    );
  });

  test(`count leaves out other processes' connections and those of our probes ${how}`, async () => {
    const listeners = await bind({ web: tcp("127.0.0.1"), path: unix(`own ${netlink}`) });
    const old = acceptor(listeners.values());
    const own = new OwnConnections();
    const connections = createConnections({ netlink, own });
    const total = async (pid: number): Promise<number> => {
      const { counts } = await connections.count(listeners, [{ instance: "web/0", pid }]);
      return counts.reduce((sum, each) => sum + each.connections, 0);
    };
    await open(at(listeners.get("web")), 2);
    await eventually(() => old.accepted() === 2);
    assert.equal(await total(acceptor([]).pid), 0);
    assert.equal(await total(old.pid), 2);
    const exits = { expect() {}, cancel() {} };
    const init = {} as never;
    const prober = createProber({ version: "0", init, exits, own });
    const action = {
      kind: "httpGet",
      scheme: "http",
      host: "127.0.0.1",
      port: listeners.get("web")?.port ?? 0,
      path: "/",
      headers: [],
    } as const;
    const asked = prober.ask(action, { id: "p", env: [] }, 500, new AbortController().signal);
    await eventually(() => old.accepted() === 3);
    assert.equal(await total(old.pid), 2);
    assert.equal((await asked).ok, false);
    if (!netlink) return;
    const [socket] = await open(at(listeners.get("path")));
    await eventually(async () => (await total(old.pid)) === 3);
    socket?.destroy();
    await eventually(async () => (await total(old.pid)) === 2);
    const probe = connect(listeners.get("path")?.path ?? "");
    own.watch(probe);
    cleanups.push(() => probe.destroy());
    await eventually(() => old.accepted() === 5);
    assert.equal(await total(old.pid), 2);
  });
}

test("count leaves out the connection of a probe of ours that has not been told yet that it is connected", async () => {
  const listeners = await bind({ four: tcp("127.0.0.1"), dual: tcp("::"), path: unix("dialling") });
  const web = acceptor(listeners.values());
  const own = new OwnConnections();
  const connections = createConnections({ own });
  await open(at(listeners.get("path")));
  await eventually(() => web.accepted() === 1);
  for (const name of ["four", "dual", "path"]) {
    const probe = connect(at(listeners.get(name)));
    own.watch(probe);
    cleanups.push(() => probe.destroy());
  }
  // they are connected in the next tick; then nothing is told to this process, while the other one accepts
  const { counts } = await new Promise<Awaited<ReturnType<typeof connections.count>>>((done) =>
    process.nextTick(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
      done(connections.count(listeners, [{ instance: "web/0", pid: web.pid }]));
    }),
  );
  assert.deepEqual(counts, [{ listener: "path", service: "web", instance: "web/0", connections: 1 }]);
});

/** Stands for an init: starts a process for each environment, which opens so many connections and keeps them. */
async function clientsUnderAnInit(to: NetConnectOpts, environments: readonly NodeJS.ProcessEnv[]): Promise<number> {
  const client = `
    const to = JSON.parse(process.argv[1]);
    for (let i = 0; i < 2; i++) require("node:net").connect(to).on("error", () => {});
    setInterval(() => {}, 1000);`;
  const init = `
    const [client, to, ...environments] = process.argv.slice(1);
    for (const env of environments)
      require("node:child_process").spawn(process.execPath, ["-e", client, to], { env: JSON.parse(env), stdio: "inherit" });
    process.stdin.resume().on("end", () => process.kill(0, "SIGKILL"));`;
  const args = ["-e", init, client, JSON.stringify(to), ...environments.map((env) => JSON.stringify(env))];
  const child = spawn(process.execPath, args, { detached: true, stdio: ["pipe", "inherit", "inherit"] });
  cleanups.push(async () => {
    child.stdin?.end();
    if (child.signalCode === null) await once(child, "exit");
  });
  return child.pid ?? 0;
}

for (const netlink of [true, false])
  for (const kind of netlink ? ["tcp", "tcp6", "dual", "unix"] : ["tcp", "tcp6", "dual"])
    test(`count leaves out what other supervisors and probes have open, ${kind}${netlink ? "" : " from /proc/net"}`, async () => {
      const host = kind === "tcp" ? "127.0.0.1" : kind === "tcp6" ? "::1" : "::";
      const listeners = await bind({ web: kind === "unix" ? unix("probed") : tcp(host) });
      const web = acceptor(listeners.values());
      const to = at(listeners.get("web"), kind === "tcp6" ? "::1" : "127.0.0.1");
      const init = await clientsUnderAnInit(to, [
        { PINGORA_ENTRY_CHANNEL: "3" },
        { PINGORA_ENTRY_ID: "2:web/0#1!readiness12" },
        { PINGORA_ENTRY_ID: "proxy/0#1" },
      ]);
      await eventually(() => web.accepted() === 6);
      const connections = createConnections({ netlink, init });
      const count = async () =>
        (await connections.count(listeners, [{ instance: "web/0", pid: web.pid }])).counts[0]?.connections ?? 0;
      await eventually(async () => (await count()) === 2);
      await open(to);
      await eventually(async () => (await count()) === 3);
    });

test("count leaves out, and tells, what its client had closed before it was first seen", async () => {
  for (const address of [tcp("127.0.0.1"), unix("deserted")]) {
    const listeners = await bind({ web: address });
    // it never reads, so it never sees the end
    const web = acceptor(listeners.values(), "deaf");
    const to = at(listeners.get("web"));
    const init = await clientsUnderAnInit(to, [{ PINGORA_ENTRY_CHANNEL: "3" }]);
    const opened = await open(to, 3);
    await eventually(() => web.accepted() === 5);
    for (const socket of opened.slice(1)) socket.destroy();
    const connections = createConnections({ init });
    const look = async () => {
      const { counts, deserted } = await connections.count(listeners, [{ instance: "web/0", pid: web.pid }]);
      return [counts, deserted].map((each) => each.reduce((sum, { connections: open }) => sum + open, 0));
    };
    assert.deepEqual(await look(), [1, 2]);
    opened[0]?.destroy();
    assert.deepEqual(await look(), [1, 2], "one that was seen before remains a client's");
  }
});

test("count forgets what was closed and finds what is new when it is asked again", async () => {
  const listeners = await bind({ web: tcp("127.0.0.1") });
  const web = acceptor(listeners.values());
  const connections = createConnections();
  const number = async (): Promise<number> => {
    const { counts } = await connections.count(listeners, [{ instance: "web/0", pid: web.pid }]);
    return counts[0]?.connections ?? 0;
  };
  const opened = await open(at(listeners.get("web")), 3);
  await eventually(async () => (await number()) === 3);
  opened[0]?.destroy();
  await eventually(async () => (await number()) === 2);
  await open(at(listeners.get("web")), 2);
  await eventually(async () => (await number()) === 4);
});

test("count tells what a process passed on to another one before it ended", async () => {
  const listeners = await bind({ web: tcp("127.0.0.1") });
  const fd = listeners.get("web")?.fd ?? -1;
  const port = listeners.get("web")?.port ?? 0;
  const server = async (): Promise<ChildProcess> => {
    const command = `LISTEN_PID=$$ LISTEN_FDS=1 exec "${process.execPath}" examples/node-web/server.mjs`;
    const child = spawn("sh", ["-c", command], { stdio: ["ignore", "ignore", "pipe", fd] });
    cleanups.push(() => child.kill("SIGKILL"));
    await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
      return (await answer.text()).includes(String(child.pid));
    });
    return child;
  };
  const old = await server();
  const [kept, other] = await open(at(listeners.get("web")), 2);
  let heard = "";
  for (const socket of [kept, other]) {
    socket?.setEncoding("latin1").on("data", (text) => {
      heard += text;
    });
    socket?.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  await eventually(() => heard.split("hello").length === 3);
  const connections = createConnections();
  const ask = () => connections.count(listeners, [{ instance: "web/0", pid: old.pid ?? 0 }]);
  assert.equal((await ask()).counts[0]?.connections, 2);
  const young = await server();
  old.kill();
  await once(old, "exit");
  const { counts, moved } = await ask();
  assert.deepEqual([counts, moved], [[], [{ listener: "web", service: "web", instance: "web/0", connections: 2 }]]);
  assert.deepEqual((await ask()).moved, []);
  const { counts: youngs } = await connections.count(listeners, [{ instance: "web/1", pid: young.pid ?? 0 }]);
  assert.equal(youngs[0]?.connections, 2);
});

for (const netlink of [true, false])
  test(`count tells the listeners of services that share an address apart${netlink ? "" : " from /proc/net"}`, async () => {
    const one = await bind({ a: tcp("127.0.0.1") }, true);
    const port = one.get("a")?.port ?? 0;
    const other = await bind({ b: tcp("127.0.0.1", port) }, true);
    const [first, second] = [acceptor(one.values()), acceptor(other.values())];
    await open({ host: "127.0.0.1", port }, 24);
    await eventually(() => first.accepted() + second.accepted() === 24);
    const connections = createConnections({ netlink });
    const { counts } = await connections.count(new Map([...one, ...other]), [
      { instance: "a/0", pid: first.pid, listeners: ["a"] },
      { instance: "b/0", pid: second.pid, listeners: ["b"] },
    ]);
    const found = counts.map(({ listener, instance, connections: open }) => [listener, instance, open]).sort();
    assert.deepEqual(found, [
      ["a", "a/0", first.accepted()],
      ["b", "b/0", second.accepted()],
    ]);
  });

test("count says that it is not exact when another user's process may not be looked at", async (t) => {
  if (process.geteuid?.() !== 0) return t.skip("needs root, to become somebody else");
  const listeners = await bind({ web: tcp("127.0.0.1"), path: unix("hidden") });
  const web = acceptor(listeners.values());
  await open(at(listeners.get("web")), 2);
  await open(at(listeners.get("path")));
  await eventually(() => web.accepted() === 3);
  process.seteuid?.(65_534);
  try {
    const { counts, exact } = await createConnections().count(listeners, [{ instance: "web/0", pid: web.pid }]);
    assert.deepEqual(counts, [
      { listener: "web", connections: 2 },
      { listener: "path", connections: 1 },
    ]);
    assert.equal(exact, false);
  } finally {
    process.seteuid?.(0);
  }
});

test("count of thousands of connections takes no longer than 50 ms", async () => {
  const listeners = await bind({ web: tcp("127.0.0.1") });
  const fd = native().dup(listeners.get("web")?.fd ?? -1);
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    socket.on("error", () => {});
    cleanups.push(() => socket.destroy());
  }).listen({ fd });
  cleanups.push(() => server.close());
  const wanted = 2_000;
  await open(at(listeners.get("web")), wanted);
  await eventually(() => accepted === wanted);
  const connections = createConnections();
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const from = performance.now();
    const { counts } = await connections.count(listeners, [{ instance: "web/0", pid: process.pid }]);
    times.push(performance.now() - from);
    assert.equal(counts[0]?.connections, wanted);
  }
  assert.ok(Math.min(...times) < 50, `${times.map((ms) => ms.toFixed(1))} ms`);
});
