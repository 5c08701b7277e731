// The init under valgrind, alone and with a supervisor: `node --test test/valgrind/init.mjs`. Not with the other tests: valgrind is slow.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { buildNative } from "../../scripts/native.mjs";

const root = resolve(import.meta.dirname, "../..");
const skip = spawnSync("valgrind", ["--version"]).status === 0 ? false : "valgrind is not installed";
const errorCode = 99;
const folder = mkdtempSync(join(tmpdir(), "valgrind-"));
const started = new Set();
after(() => {
  // what a test that failed has left, with what it started: that dies with it
  for (const child of started) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

if (!skip) {
  await buildNative({ check: "valgrind", only: "init", log: () => {} });
  // the bundles are looked for beside the program
  for (const file of readdirSync(join(root, "dist/bin")))
    if (/\.cjs$|^addon/.test(file)) copyFileSync(join(root, "dist/bin", file), join(root, "build/valgrind", file));
}

let count = 0;

/** Runs the init under valgrind; `done` resolves with its exit code and what valgrind said of it and of its children before their exec. */
function start(args) {
  const logs = mkdtempSync(join(folder, `${count++}-`));
  const flags = [
    "-q",
    "--sim-hints=lax-ioctls",
    `--error-exitcode=${errorCode}`,
    "--leak-check=full",
    `--log-file=${join(logs, "%p")}`,
  ];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PINGORA_ENTRY_")));
  const child = spawn("valgrind", [...flags, join(root, "build/valgrind/pingora-entry"), ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.add(child);
  child.on("exit", () => started.delete(child));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  const done = new Promise((end) => child.on("close", (code, signal) => end(code ?? signal)));
  return {
    child,
    output: () => output,
    done,
    async clean() {
      await done;
      const said = readdirSync(logs).map((file) => readFileSync(join(logs, file), "utf8"));
      assert.equal(said.join(""), "");
    },
  };
}

async function eventually(holds, what) {
  for (const end = Date.now() + 60_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`not within a minute: ${what()}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

function phase(socketPath) {
  return new Promise((answer) => {
    request({ socketPath, path: "/v1/phase" }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      response.on("end", () => answer(body));
    })
      .on("error", () => answer(""))
      .end();
  });
}

function supervisorOf(init) {
  const children = readFileSync(`/proc/${init}/task/${init}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return children.find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pingora-entry.cjs");
    } catch {
      return false;
    }
  });
}

test("wrapping a command is clean: its code, orphans, signals, what it leaves", { skip }, async () => {
  const script = `
    for i in 1 2 3 4 5; do (sleep 0.0$i & exit 0); done
    trap 'echo told; exit 7' TERM
    sleep 1000 & echo up; wait`;
  const options = [
    "--warn-on-reap",
    "--rewrite",
    "INT:TERM",
    "--remap-exit=3",
    "--stop-delay",
    "0.05",
    "--reap-grace=1",
  ];
  const run = start([...options, "--", "sh", "-c", script]);
  await eventually(() => run.output().includes("up"), run.output);
  run.child.kill("SIGHUP");
  run.child.kill("SIGTERM");
  assert.ok([7, 129].includes(await run.done), run.output());
  await run.clean();
});

test("a command that is not there, and a wrong option, are clean", { skip }, async () => {
  for (const [args, code] of [
    [["--", "/nowhere"], 127],
    [["--", "/etc/passwd"], 126],
    [["--rewrite", "nonsense", "true"], 64],
    [["--", "sh", "-c", "exit 5"], 5],
  ]) {
    const run = start(args);
    assert.equal(await run.done, code, run.output());
    await run.clean();
  }
});

test("a supervisor with services is clean: start, requests, a killed supervisor, a failed start, stop", {
  skip,
}, async () => {
  const dir = mkdtempSync(join(folder, "server-"));
  const socket = join(dir, "control.sock");
  const config = join(dir, "config.yaml");
  writeFileSync(
    config,
    `
listeners: { http: { tcp: "127.0.0.1:0" } }
services:
  first: { command: [sleep, "1000"], readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 } }
  web: { command: [sleep, "1001"], dependsOn: { first: ready }, listeners: [http], instances: 3 }
  missing: { command: [/nowhere], required: false, onFailure: ignore, restart: { policy: never } }
admin: { tcp: "off", socket: ${socket} }
shutdown: { gracePeriodSeconds: 20, lameDuckSeconds: 0, reserveSeconds: 1 }
`,
  );
  const run = start(["run", "-c", config, "--warn-on-reap"]);
  const running = () => eventually(async () => (await phase(socket)).includes("Running"), run.output);
  await running();
  for (const command of ["phase", "healthcheck"]) {
    const client = start([command, "--socket", socket]);
    assert.equal(await client.done, 0, client.output());
    await client.clean();
  }
  const first = supervisorOf(run.child.pid);
  process.kill(first, "SIGKILL");
  await eventually(() => ![undefined, first].includes(supervisorOf(run.child.pid)), run.output);
  await running();
  run.child.kill("SIGTERM");
  assert.equal(await run.done, 0, run.output());
  await run.clean();
});
