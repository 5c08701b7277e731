import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, test } from "node:test";
import { acceptingProcesses } from "../../../src/adapters/sockets/drained.js";
import { type Passed, passListeners } from "../../../src/adapters/sockets/pass.js";
import { createSockets } from "../../../src/adapters/sockets/sockets.js";
import type { ListenerSpec } from "../../../src/core/plan.js";
import type { BoundListener, Log } from "../../../src/runtime/ports.js";
import { compiled, inPath } from "../adopt/programs.js";
import { eventually } from "../eventually.js";
import { childrenOf, kill } from "../harness.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-passing-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log, flush() {} };
const sockets = createSockets({ retry: { attempts: 1, intervalMs: 0 }, log });

async function bind(name: string, more: Partial<ListenerSpec>): Promise<BoundListener> {
  const address = { kind: "tcp", host: "127.0.0.1", port: 0, ipv6Only: false } as const;
  const spec = {
    name,
    address,
    key: name,
    backlog: 16,
    reusePort: false,
    passAs: "systemd",
    envName: `${name.toUpperCase()}_FD`,
  } as const;
  const bound = await sockets.bind({ ...spec, ...more }, new AbortController().signal);
  cleanups.push(() => sockets.close(bound));
  return bound;
}
const unixAt = (name: string, type: "stream" | "dgram" = "stream") =>
  ({ kind: "unix", path: join(directory, name), mode: 0o600, type }) as const;

/** Starts the command as the init would: the descriptors at their numbers, its own pid where it is asked for. */
function start(passed: Passed, stop: NodeJS.Signals = "SIGKILL"): ChildProcess {
  const stdio: ("ignore" | "inherit" | number)[] = ["ignore", "ignore", "inherit"];
  for (const { target, fd } of passed.fds) {
    while (stdio.length < target) stdio.push("ignore");
    stdio[target] = fd;
  }
  const pids = passed.pidEnv.map((name) => `export ${name}=$$; `).join("");
  const child = spawn("sh", ["-c", `${pids}exec "$0" "$@"`, ...passed.argv], {
    stdio,
    env: { PATH: process.env.PATH, ...passed.env },
  });
  cleanups.push(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill(stop)) await once(child, "exit");
  });
  return child;
}

/** What a server says who greets every client with one line. */
async function greeting(listener: BoundListener): Promise<string> {
  const target =
    listener.path === undefined ? { host: "127.0.0.1", port: listener.port ?? 0 } : { path: listener.path };
  const socket = connect(target);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}

function httpGet(listener: BoundListener): Promise<string> {
  return new Promise((resolve, reject) => {
    const target =
      listener.path === undefined ? { host: "127.0.0.1", port: listener.port } : { socketPath: listener.path };
    const asked = request({ ...target, path: "/", timeout: 5000 }, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve(`${response.statusCode} ${body}`);
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer")));
    asked.on("error", reject).end();
  });
}

// sd_listen_fds(3) and sd_listen_fds_with_names(3), word by word
const systemdConsumer = `
import os, socket, threading, time
assert int(os.environ["LISTEN_PID"]) == os.getpid()
names = os.environ["LISTEN_FDNAMES"].split(":")
assert len(names) == int(os.environ["LISTEN_FDS"])
def serve(s, name):
    while True:
        c, _ = s.accept()
        c.sendall((name + " " + str(s.getsockname())).encode())
        c.close()
for i, name in enumerate(names):
    s = socket.socket(fileno=3 + i)
    if s.type == socket.SOCK_DGRAM:
        threading.Thread(target=lambda s=s: s.sendto(b"pong", s.recvfrom(10)[1]), daemon=True).start()
    else:
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        threading.Thread(target=serve, args=(s, name), daemon=True).start()
time.sleep(60)
`;

test("a python service written for systemd serves on every socket that passListeners gives it", async () => {
  const http = await bind("http", {});
  const control = await bind("control", { address: unixAt("control.sock") });
  const child = start(passListeners(["python3", "-c", systemdConsumer], {}, [http, control]));
  assert.equal(await greeting(http), `http ('127.0.0.1', ${http.port})`);
  assert.equal(await greeting(control), `control ${control.path}`);
  assert.equal(child.exitCode, null);
});

test("a node service listens on the fd of a variable and on the fd of a placeholder", async () => {
  const main = await bind("main", { passAs: "env" });
  const side = await bind("side", { passAs: "env", address: unixAt("side.sock") });
  const script = `
    const net = require("node:net");
    net.createServer((c) => c.end("env " + process.env.MAIN_FD_ADDR)).listen({ fd: Number(process.env.MAIN_FD) });
    net.createServer((c) => c.end("placeholder " + process.env.SIDE)).listen({ fd: Number(process.argv[1]) });
  `;
  const argv = [process.execPath, "-e", script, "{{listeners.side.fd}}"];
  start(passListeners(argv, { SIDE: "{{listeners.side.path}}" }, [main, side]));
  assert.equal(await greeting(main), `env 127.0.0.1:${main.port}`);
  assert.equal(await greeting(side), `placeholder ${side.path}`);
});

test("a service of inetd's kind finds its listener as fd 0", async () => {
  const script = "import socket\ns=socket.socket(fileno=0)\nc,_=s.accept()\nc.sendall(b'stdin')";
  const bound = await bind("in", { passAs: "stdin" });
  start(passListeners(["python3", "-c", script], {}, [bound]));
  assert.equal(await greeting(bound), "stdin");
});

const nginx = [process.env.NGINX_BIN ?? "nginx", "/usr/sbin/nginx"].find(
  (path) => spawnSync(path, ["-v"]).status === 0,
);

test("nginx takes inherited TCP and unix sockets instead of binding its own", {
  skip: nginx ? false : "nginx is not installed",
}, async () => {
  const tcp = await bind("tcp", { passAs: "nginx" });
  const unix = await bind("unix", { passAs: "nginx", address: unixAt("nginx.sock") });
  const prefix = join(directory, "nginx");
  mkdirSync(prefix);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${prefix}/${name};`,
  );
  writeFileSync(
    join(prefix, "nginx.conf"),
    `daemon off; worker_processes 1; pid ${prefix}/pid; error_log ${prefix}/error.log; events {}
     http { access_log off; ${temporary.join(" ")}
       server { listen 127.0.0.1:${tcp.port}; listen unix:${unix.path}; return 200 "from nginx"; } }`,
  );
  const argv = [nginx ?? "", "-e", join(prefix, "error.log"), "-p", prefix, "-c", join(prefix, "nginx.conf")];
  // TERM: a killed master leaves its worker behind
  start(passListeners(argv, {}, [tcp, unix]), "SIGTERM");
  // had it not found them, binding would have failed: both addresses are ours
  await eventually(async () => assert.equal(await httpGet(tcp), "200 from nginx"));
  assert.equal(await httpGet(unix), "200 from nginx");
});

test("acceptingProcesses names who has the socket, until the drain that passListeners tells of", async () => {
  const web = await bind("web", { passAs: "adopt" });
  const script = `
    const net = require("node:net");
    net.createServer((c) => c.end(String(process.pid))).listen(Number(process.argv[1]), "127.0.0.1");
    require("node:child_process").spawn("sleep", ["1000"]);
  `;
  const adoptLibrary = resolve("dist/bin/adopt.so");
  const argv = [process.execPath, "-e", script, "{{listeners.web.port}}"];
  const passed = passListeners(argv, {}, [web], { adoptLibrary });
  const child = start({ ...passed, env: { ...passed.env, PINGORA_ENTRY_ID: "web.1#1" } });
  assert.equal(await greeting(web), String(child.pid));
  // sleep has it, too: what it executes may bind
  await eventually(() => acceptingProcesses("web.1#1", [web]).length === 2);
  assert.deepEqual(acceptingProcesses("web.1#2", [web]), []);
  assert.equal(acceptingProcesses("web.1#1", [web], { init: process.pid }).length, 2);
  // another init's child of the same id
  assert.deepEqual(acceptingProcesses("web.1#1", [web], { init: process.ppid + 1_000_000 }), []);
  assert.deepEqual(passed.drain, { signal: "SIGURG", listeners: ["web"], complete: true });
  for (const pid of acceptingProcesses("web.1#1", [web])) process.kill(pid, passed.drain?.signal);
  await eventually(() => acceptingProcesses("web.1#1", [web]).length === 0);
  assert.equal(child.exitCode, null);
  for (const pid of childrenOf(child.pid ?? 0)) kill(pid);
});

/** It says that it is there by its descriptor 9. */
const holder = (prelude: string, ...flags: string[]) =>
  compiled(
    "holder",
    `#include <fcntl.h>
     #include <unistd.h>
     int main(void) { PRELUDE dup2(open("/dev/null", O_RDONLY), 9); for (;;) pause(); }`,
    undefined,
    `-DPRELUDE=${prelude}`,
    ...flags,
  );

for (const [who, file, counts] of [
  ["a static program", () => holder("", "-static"), false],
  ["a static program that has it at a second number", () => holder("dup2(230, 7);", "-static"), true],
  ["a dynamic program that has bound nothing yet", () => holder(""), true],
] as const) {
  test(`acceptingProcesses ${counts ? "counts" : "leaves out"} ${who} that inherited an adopted socket`, {
    skip: inPath("cc") ? false : "cc is not installed",
  }, async () => {
    const web = await bind("web", { passAs: "adopt" });
    const passed = passListeners([file()], {}, [web], { adoptLibrary: resolve("dist/bin/adopt.so") });
    const { pid = 0 } = start({ ...passed, env: { ...passed.env, PINGORA_ENTRY_ID: "web.1#1" } });
    await eventually(() => existsSync(`/proc/${pid}/fd/9`));
    assert.ok(existsSync(`/proc/${pid}/fd/230`));
    assert.deepEqual(acceptingProcesses("web.1#1", [web]), counts ? [pid] : []);
  });
}
