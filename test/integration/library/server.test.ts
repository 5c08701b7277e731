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
      `import { Server, backgroundService, configuredService } from ${JSON.stringify(library)};\nconst service = ${JSON.stringify(serviceProgram())};\n${program}`,
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
