import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { eventually, serviceProgram } from "../harness.js";

const library = resolve("dist/bin/library.cjs");

/** Runs a program that uses the library as a package would; resolves with its end. */
async function run(
  program: string,
  during?: (child: { stdout(): string; kill(signal: NodeJS.Signals): void }) => Promise<void>,
) {
  const dir = mkdtempSync(join(tmpdir(), "pe-lib-"));
  try {
    const file = join(dir, "program.mjs");
    writeFileSync(
      file,
      `import { Server, backgroundService, configuredService, defaultConf, processService } from ${JSON.stringify(library)};\nconst service = ${JSON.stringify(serviceProgram())};\n${program}`,
    );
    const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const closed = new Promise<number | null>((done) => child.on("close", done));
    await during?.({ stdout: () => stdout, kill: (signal) => void child.kill(signal) });
    return { code: await closed, stdout, stderr };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test("Server runs services of its own process and of others in order, and tells every phase", async () => {
  const { code, stdout, stderr } = await run(
    `
    const server = new Server();
    const phases = server.watchExecutionPhase();
    const slow = server.addService({
      name: "slow",
      async start({ shutdown, ready }) {
        console.log("slow starts");
        setTimeout(() => { console.log("slow ready"); ready(); }, 50);
        await new Promise((done) => shutdown.addEventListener("abort", done));
        console.log("slow ends");
      },
    });
    const other = server.addService(await configuredService("other", { command: [service, "-n", "other"] }));
    other.addDependency(slow);
    const bg = server.addService(backgroundService("late", async ({ shutdown }) => {
      console.log("late starts");
      await new Promise((done) => shutdown.addEventListener("abort", done));
      console.log("late ends");
    }));
    bg.addDependency(other);
    void bg.ready().then(() => process.kill(process.pid, "SIGTERM"));
    const seen = (async () => { const all = []; for await (const phase of phases) all.push(phase); return all; })();
    const code = await server.run();
    console.log("code " + code);
    console.log((await seen).join(" "));
    `,
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    "slow starts",
    "slow ready",
    "late starts",
    "late ends",
    "slow ends",
    "code 0",
    "Bootstrap BootstrapComplete Running GracefulTerminate ShutdownStarted ShutdownGracePeriod ShutdownRuntimes Terminated",
  ]);
});

test("Server obeys a custom shutdown signal, awaited once", async () => {
  const { code, stdout, stderr } = await run(`
    const server = new Server();
    server.addService(backgroundService("a", async ({ shutdown }) => { await new Promise((done) => shutdown.addEventListener("abort", done)); }));
    let calls = 0;
    const shutdownSignal = { async recv() { calls += 1; await new Promise((done) => setTimeout(done, 50)); return "GracefulTerminate"; } };
    console.log(await server.run({ shutdownSignal }), calls);
  `);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "0 1\n");
});

test("Server asks a shutdown watch again when the upgrade that it asked for was rolled back", async () => {
  const { code, stdout, stderr } = await run(`
    const { configuration } = new Server();
    const pingora = { path: "/nowhere/upgrade.sock", attempts: 0 };
    const server = new Server({ ...configuration, upgrade: { ...configuration.upgrade, pingora } });
    server.addService(backgroundService("a", async ({ shutdown }) => { await new Promise((done) => shutdown.addEventListener("abort", done)); }));
    const signals = ["GracefulUpgrade", "GracefulTerminate"];
    const shutdownSignal = { async recv() { await new Promise((done) => setTimeout(done, 50)); return signals.shift(); } };
    console.log(await server.run({ shutdownSignal }), signals.length, server.snapshot.lastUpgrade.reason);
  `);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "0 0 cannot hand over in pingora's way: there is no listener\n");
});

test("Server refuses an upgrade by command before it begins, and says which way there is, which there is", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pe-lib-"));
  const socket = join(dir, "control.sock");
  const program = (order: string) => `
    ${order}
    const conf = defaultConf();
    const upgrade = { ...conf.upgrade, directory: ${JSON.stringify(join(dir, "upgrade"))}, optional: false, probationMs: 200 };
    const server = new Server({ ...conf, admin: { socket: ${JSON.stringify(socket)} }, upgrade });
    server.addService(backgroundService("a", ({ shutdown }) => new Promise((done) => shutdown.addEventListener("abort", done))));
    (async () => { for await (const phase of server.watchExecutionPhase()) console.log(phase); })();
    await server.runForever();
  `;
  const command = async (...args: string[]) => {
    const child = spawn(resolve("dist/bin/pingora-entry"), ["upgrade", "--socket", socket, ...args]);
    let err = "";
    child.stderr.on("data", (data) => {
      err += data;
    });
    return new Promise<{ code: number | null; err: string }>((done) =>
      child.on("close", (code) => done({ code, err })),
    );
  };
  try {
    const first = await run(program(""), async (one) => {
      await eventually(() => one.stdout().includes("Running"), { what: "the first process" });
      for (const args of [[], ["--path", "/nowhere"]]) {
        const { code, err } = await command(...args);
        assert.equal(code, 64, err);
        assert.match(err, /program of its own.*start a second process of it with PINGORA_ENTRY_UPGRADE=ID/);
      }
      assert.ok(!one.stdout().includes("GracefulUpgrade"));
      const second = await run(program('process.env.PINGORA_ENTRY_UPGRADE = "2";'), async (two) => {
        await eventually(() => two.stdout().includes("Running") && one.stdout().includes("Terminated"), {
          what: "the second process in the first one's place",
        });
        two.kill("SIGTERM");
      });
      assert.equal(second.code, 0, second.stderr);
    });
    assert.equal(first.code, 0, first.stderr);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("Server refuses a dependency cycle with its path, and goes on without that edge", async () => {
  const { stdout, stderr } = await run(`
    const server = new Server();
    const [a, b, c] = server.addServices(["a", "b", "c"].map((name) => backgroundService(name, async () => {})));
    b.addDependency(a);
    c.addDependency(b);
    try { a.addDependency(c); } catch (error) { console.log(error.message); }
  `);
  assert.match(stdout, /BG \w+ -> BG \w+ -> BG \w+ -> BG \w+/, stderr);
});

test("Server does not count a service as ready that never said so, and fails its handle when it ends", async () => {
  const { stdout, stderr } = await run(`
    const server = new Server();
    const handle = server.addService({ name: "silent", async start() { await new Promise((done) => setTimeout(done, 30)); throw new Error("lost"); } });
    handle.ready().catch((error) => console.log("not ready: " + error.message));
    console.log(await server.run());
  `);
  assert.match(stdout, /not ready: .*silent.*\n1\n|1\nnot ready/, stderr);
});

test("runForever ends the process with the exit code, and leaves no process when it is killed", async () => {
  const ended = await run(`
    const server = new Server();
    server.addService(await configuredService("once", { command: [service, "-n", "once", "-x", "20:9"], restart: { policy: "never" } }));
    await server.runForever();
  `);
  assert.equal(ended.code, 9, ended.stderr);

  let pid = 0;
  await run(
    `
    const server = new Server();
    server.addService(await configuredService("stay", { command: [service, "-n", "stay"] }));
    setInterval(() => { const pid = server.snapshot?.services[0]?.instances[0]?.pid; if (pid) console.log("pid " + pid); }, 20);
    await server.run();
  `,
    async (child) => {
      pid = Number((await eventually(() => /pid (\d+)/.exec(child.stdout())))[1]);
      child.kill("SIGKILL");
    },
  );
  await eventually(
    () => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    },
    { what: "the end of the orphaned service" },
  );
});

const idle = `({ shutdown }) => new Promise((done) => shutdown.addEventListener("abort", done))`;
/** Says how a promise settled, or that it did not. */
const told = `
  const told = (promise) => Promise.race([
    promise.then((value) => "ok " + JSON.stringify(value), (error) => error.name + " " + error.message),
    new Promise((done) => setTimeout(() => done("still waits"), 3000).unref()),
  ]);
  const children = async () => (await import("node:fs")).readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim();
  const gone = async () => { for (let n = 0; n < 300 && (await children()) !== ""; n++) await new Promise((done) => setTimeout(done, 10)); return await children(); };
`;

test("run stops in order and rejects with what recv throws, rejects with, or should not give; nothing is left", async () => {
  for (const [recv, expected] of [
    ["recv() { throw new Error('boom'); }", "Error boom"],
    ["async recv() { await new Promise((done) => setTimeout(done, 50)); throw new Error('late'); }", "Error late"],
    ["async recv() { return 'Nonsense'; }", "EntryError cannot stop: recv\\(\\) resolved with Nonsense, .*"],
  ]) {
    const { code, stdout, stderr } = await run(`${told}
      const server = new Server();
      const phases = server.watchExecutionPhase();
      server.addService(backgroundService("a", ${idle}));
      server.addService(await configuredService("p", { command: [service, "-n", "p"] }));
      console.log(await told(server.run({ shutdownSignal: { ${recv} } })));
      let last; for await (const phase of phases) last = phase;
      console.log(last, JSON.stringify(await gone()));
    `);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^${expected}\nTerminated ""\n$`), stderr);
  }
});

test("a run that cannot begin leaves no init, no watch and no ready() waiting", async () => {
  for (const conf of [
    `{ ...defaultConf(), admin: { socket: "/proc/nowhere/control.sock" } }`,
    `{ ...defaultConf(), pidFile: "/proc/nowhere/pid" }`,
  ]) {
    const { stdout, stderr } = await run(`${told}
      const server = new Server(${conf});
      const handle = server.addService(backgroundService("a", ${idle}));
      const waits = [told(handle.ready()), told(server.watchExecutionPhase().next())];
      console.log(await told(server.run()));
      console.log((await Promise.all(waits)).join("\\n"));
      console.log(JSON.stringify(await gone()));
    `);
    assert.match(
      stdout,
      /^EntryError cannot [^\n]*\/proc\/nowhere[^\n]*\nEntryError service "BG a" did not become ready: the server ended\nok \{"done":true\}\n""\n$/,
      stderr,
    );
  }
});

test("ready() and watches that are asked for after the end settle, and next() may be called ahead", async () => {
  const { stdout, stderr } = await run(`${told}
    const server = new Server();
    const handle = server.addService({ name: "a", async start({ ready }) { ready(); await new Promise((done) => setTimeout(done, 50)); } });
    const ahead = server.watchExecutionPhase();
    const asked = [ahead.next(), ahead.next(), ahead.next()];
    const left = server.watchExecutionPhase();
    const one = left.next(); const two = left.next();
    await left.return();
    console.log(await told(Promise.all([one, two])));
    console.log(await told(server.run()));
    console.log((await Promise.all(asked)).map(({ value }) => value).join(" "));
    console.log(await told(handle.ready()));
    console.log(await told(server.watchExecutionPhase().next()));
  `);
  assert.deepEqual(
    stdout.trim().split("\n"),
    [
      'ok [{"done":true},{"done":true}]',
      "ok 0",
      "Bootstrap BootstrapComplete Running",
      'EntryError service "a" did not become ready: the server ended',
      'ok {"done":true}',
    ],
    stderr,
  );
});

test("the library refuses what the configuration refuses, as EntryErrors with every problem", async () => {
  const { stdout, stderr } = await run(`${told}
    const say = async (act) => { try { console.log("accepted", await act()); } catch (error) { console.log(error.name, error.reason, error.message); } };
    const server = new Server();
    await say(() => new Server({}));
    await say(() => new Server({ ...defaultConf(), shutdown: { gracePeriodMs: "5s", lameDuckMs: 0, reserveMs: -1 } }));
    await say(() => processService({ name: "p" }));
    await say(() => processService(undefined));
    for (const name of ["", "a b", "a/b", "new\\nline", "x".repeat(300), "admin", undefined, 42, "__proto__"])
      await say(() => { server.addService({ name, async start() {} }); });
    await say(() => { server.addService({ name: "nothing" }); });
    await say(() => { server.addService(undefined); });
    const whole = await configuredService("p", { command: ["true"] });
    const p = server.addService(processService({ ...whole.spec, dependsOn: { nix: "ready", q: "done" }, listeners: ["htpp"] }));
    const q = server.addService({ name: "q", async start() {} });
    await say(() => q.addDependency(p, "bogus"));
    await say(() => q.addDependency(p, "completed"));
    await say(() => q.addDependency(p, "healthy"));
    await say(() => q.addDependency(undefined));
    console.log(await told(server.run()));
    await say(() => configuredService("a b", { command: ["true"] }));
    await say(() => configuredService("p", undefined));
  `);
  const lines = stdout.trim().split("\n");
  const found = (text: string) =>
    assert.ok(
      lines.some((line) => line.includes(text)),
      `${text}\n${stdout}\n${stderr}`,
    );
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("EntryError ")),
    [],
  );
  for (const text of [
    "cannot make the server (spread defaultConf() and change what you need): listeners is missing; shutdown is missing",
    'shutdown.gracePeriodMs is "5s", a number is needed; shutdown.reserveMs is -1, a number is needed',
    'cannot use the spec of service "p" (configuredService makes a whole one): type is missing; dependsOn is missing',
    'cannot add service "a b": its name needs letters, digits',
    'cannot add service "admin": the name is reserved',
    "cannot add a service: its name is 42, a text is needed",
    'cannot add service "nothing": it has neither a start function nor a spec',
    '"q" depend on "p": "bogus" is no condition: started, ready, healthy, completed',
    '"q" depend on "p": "p" never completes: it is long-running and always restarted',
    '"q" depend on "p": "p" is never healthy: it has no livenessProbe',
    '"q" depend on "undefined": it is no service of this server',
    'cannot run the server: "p" cannot depend on "nix": the server has no service of that name; "p" cannot depend on "q": "done" is no condition',
    '"p" cannot have listener "htpp": the server has no listener of that name',
    'cannot use service "p": its configuration is missing',
  ])
    found(text);
});

test("configuredService knows the listeners and the grace of the server it is for", async () => {
  const { stdout, stderr } = await run(`${told}
    const http = { name: "http", key: "127.0.0.1:0", address: { kind: "tcp", host: "127.0.0.1", port: 0, ipv6Only: false }, backlog: 16, reusePort: false, passAs: "systemd", envName: "" };
    const conf = { ...defaultConf(), listeners: [http], shutdown: { gracePeriodMs: 60_000, lameDuckMs: 0, reserveMs: 1_000 } };
    const asked = { command: ["sh", "-c", "echo fds $LISTEN_FDS; exec sleep 100"], output: "prefix", listeners: ["http"], stop: { graceSeconds: 40 } };
    console.log((await told(configuredService("web", asked))).split("\\n")[0]);
    const server = new Server(conf);
    server.addService(await configuredService("web", asked, conf));
    setTimeout(() => process.kill(process.pid, "SIGTERM"), 500);
    console.log(await told(server.run()));
  `);
  assert.match(stdout, /^EntryError cannot use "service web": 2 problems\n\[web\] fds 1\nok 0\n$/, stderr);
});

test("Server lets go of the owner's place when it has stopped: its process ends by itself, and the next one starts", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pe-lib-"));
  const program = `
    const conf = defaultConf();
    const upgrade = { ...conf.upgrade, directory: ${JSON.stringify(join(dir, "upgrade"))}, optional: false };
    const server = new Server({ ...conf, upgrade });
    server.addService(backgroundService("a", ({ shutdown }) => new Promise((done) => shutdown.addEventListener("abort", done))));
    (async () => { for await (const phase of server.watchExecutionPhase()) console.log(phase); })();
    console.log("run", await server.run());
  `;
  try {
    for (let time = 0; time < 2; time++) {
      const { code, stdout, stderr } = await run(program, async (one) => {
        await eventually(() => one.stdout().includes("Running"), { what: "a server that runs" });
        one.kill("SIGTERM");
      });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /run 0\n$/);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
