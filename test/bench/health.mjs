// How long /readyz takes, on a new connection each time, as the kubelet asks: beside idle with stdout stalled, with 1,000 clients on
// /metrics, and with services that crash in a loop. `node test/bench/health.mjs [--seconds 5] [--clients 1000] [--limit-ms 50]`
// Exit code 1 when a p99 is over the limit.
import { execFileSync, fork, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const program = resolve(process.env.PINGORA_ENTRY_BIN ?? "dist/bin/pingora-entry");
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    clients: { type: "string", default: "1000" },
    "limit-ms": { type: "string", default: "50" },
    only: { type: "string", default: "" },
    role: { type: "string" },
    port: { type: "string" },
  },
});
const [seconds, clients, limitMs, port] = [values.seconds, values.clients, values["limit-ms"], values.port].map(Number);

/** One request on a new connection; resolves with milliseconds, rejects on anything but an answer. */
function ask(path) {
  const from = performance.now();
  return new Promise((done, failed) => {
    let head = "";
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
    );
    socket.setEncoding("latin1").on("data", (text) => {
      head += text;
    });
    socket.on("error", failed);
    socket.on("close", () =>
      head.startsWith("HTTP/1.1 200") || head.startsWith("HTTP/1.1 503")
        ? done(performance.now() - from)
        : failed(new Error(head.slice(0, 50))),
    );
  });
}

async function probe() {
  const times = [];
  let failures = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(5)) {
    await ask("/readyz").then(
      (ms) => times.push(ms),
      () => {
        failures += 1;
      },
    );
  }
  process.send({ times, failures });
  process.disconnect();
}

/** Keeps `clients` connections busy: the next request as soon as the answer is there. */
function load() {
  let answers = 0;
  for (let n = 0; n < clients; n++) {
    let left = 0;
    let head = "";
    const socket = connect(port, "127.0.0.1", () => socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"));
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      if (left === 0) {
        head += bytes.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        left = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) - (head.length - end - 4);
        head = "";
      } else left -= bytes.length;
      if (left > 0) return;
      left = 0;
      answers += 1;
      socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    });
  }
  process.on("message", () => {
    process.send(answers);
    process.exit(0);
  });
}

const child = (role) =>
  fork(import.meta.filename, [
    "--role",
    role,
    "--port",
    String(running.port),
    "--seconds",
    values.seconds,
    "--clients",
    values.clients,
  ]);
let running;

async function start(services, { stalled = false } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "pe-bench-"));
  const socket = join(dir, "control.sock");
  const config = join(dir, "config.yaml");
  const fifo = join(dir, "output");
  execFileSync("mkfifo", [fifo]);
  const free = await freePort();
  writeFileSync(
    config,
    `services:\n${services}admin: { tcp: "127.0.0.1:${free}", socket: ${socket} }\nlog: { level: debug, format: json }\nshutdown: { gracePeriodSeconds: 3, lameDuckSeconds: 0, reserveSeconds: 1 }\n`,
  );
  // open for reading, so that writers do not fail, and never read
  const unread = openSync(fifo, "r+");
  const output = stalled ? unread : "ignore";
  const server = spawn(program, ["run", "-c", config], { stdio: ["ignore", output, output] });
  const stop = async () => {
    const gone = new Promise((done) => server.once("exit", done));
    server.kill("SIGTERM");
    const late = setTimeout(() => server.kill("SIGKILL"), 8_000);
    await gone;
    clearTimeout(late);
    closeSync(unread);
    rmSync(dir, { recursive: true, force: true });
  };
  running = { port: free, stop };
  for (const end = performance.now() + 10_000; ; await sleep(20)) {
    const up = await fetch(`http://127.0.0.1:${free}/livez`).then(
      () => true,
      () => false,
    );
    if (up) return;
    if (performance.now() > end) throw new Error("the server does not answer");
  }
}

async function freePort() {
  const { createServer } = await import("node:net");
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port: found } = server.address();
  await new Promise((done) => server.close(done));
  return found;
}

async function measure(name, { services, stalled, loaded = false }) {
  await start(services, { stalled });
  try {
    const generator = loaded ? child("load") : undefined;
    if (generator !== undefined) await sleep(1_500);
    const prober = child("probe");
    const { times, failures } = await new Promise((done) => prober.once("message", done));
    let note = "";
    if (generator !== undefined) {
      const answers = new Promise((done) => generator.once("message", done));
      generator.send("stop");
      note = `${Math.round((await answers) / (seconds + 1.5))} answers/s`;
    }
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN;
    return { name, count: times.length, p50: at(0.5), p99: at(0.99), max: at(1), failures, note };
  } finally {
    await running.stop();
  }
}

const calm = `  web: { command: [sleep, "1000"] }\n  db: { command: [sleep, "1000"] }\n`;
const flood = `${calm}  loud: { command: [sh, -c, "while :; do echo 0123456789012345678901234567890123456789; done"], output: prefix }\n`;
const crash = Array.from(
  { length: 20 },
  (_, n) =>
    `  crash${n}: { command: ["false"], required: false, restart: { policy: always, initialDelaySeconds: 0.2, maxDelaySeconds: 0.2, limit: 0 }, onFailure: ignore }\n`,
).join("");

if (values.role === "probe") await probe();
else if (values.role === "load") load();
else {
  const situations = [
    ["idle", { services: calm }],
    ["stdout stalled, a service floods it", { services: flood, stalled: true }],
    [`${clients} clients on /metrics`, { services: calm, loaded: true }],
    ["20 services crash 5 times a second", { services: calm + crash }],
    ["all three", { services: flood + crash, stalled: true, loaded: true }],
  ];
  const rows = [];
  for (const [name, how] of situations) if (name.includes(values.only)) rows.push(await measure(name, how));
  const ms = (value) => value.toFixed(1).padStart(8);
  console.log(`GET /readyz, new connection each time, ${seconds} s each; milliseconds\n`);
  console.log(`${"".padEnd(38)}${"n".padStart(7)}${"p50".padStart(8)}${"p99".padStart(8)}${"max".padStart(8)}  failed`);
  for (const { name, count, p50, p99, max, failures, note } of rows)
    console.log(
      `${name.padEnd(38)}${String(count).padStart(7)}${ms(p50)}${ms(p99)}${ms(max)}${String(failures).padStart(8)}  ${note}`,
    );
  process.exitCode = rows.every(({ p99, failures }) => p99 < limitMs && failures === 0) ? 0 : 1;
}
