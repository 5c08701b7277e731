// Restarts a Node web service again and again beside a second one on the same socket, under keep-alive clients, and counts what they lose.
//   node test/bench/drain.mjs [--restarts 100] [--window 1] [--server FILE] [--plain]
// --plain: without the drain, http.Server.close as Node has it. Ends with 1 when a request was lost.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { resolve } from "node:path";

const words = process.argv.slice(2);
const option = (name, fallback) => (words.includes(name) ? words[words.indexOf(name) + 1] : fallback);
const restarts = Number(option("--restarts", 100));
const windowSeconds = Number(option("--window", 1));
const plain = words.includes("--plain");
const server = resolve(option("--server", plain ? "test/bench/plain-server.mjs" : "examples/node-web/server.mjs"));
const addon = createRequire(import.meta.url)(resolve("dist/bin/addon.node"));

const fd = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
addon.bindInet(fd, "127.0.0.1", 0, 0);
addon.listen(fd, 511);
const { port } = addon.getLocalAddress(fd);

/** How clients think between an answer and their next request, in ms. */
const profiles = {
  eager: { clients: 8, think: () => Math.random() * 4 },
  brisk: { clients: 24, think: () => Math.random() * 300 },
  slow: { clients: 48, think: () => windowSeconds * 1_000 * (0.2 + Math.random() * 1.6) },
  posting: { clients: 8, think: () => Math.random() * 100, body: true },
};
const tally = Object.fromEntries(
  Object.keys(profiles).map((name) => [
    name,
    { requests: 0, lost: 0, refused: 0, announced: 0, closedIdle: 0, why: {} },
  ]),
);
let running = true;

async function client(name) {
  const { think, body } = profiles[name];
  const mine = tally[name];
  while (running) {
    const socket = connect(port, "127.0.0.1");
    let got = "";
    let wake = () => {};
    let gone = "";
    socket.setEncoding("latin1").on("data", (chunk) => {
      got += chunk;
      wake();
    });
    socket.on("end", () => {
      gone ||= "EOF";
      wake();
    });
    socket.on("error", (error) => {
      gone ||= error.code;
      wake();
    });
    socket.on("close", () => {
      gone ||= "closed";
      wake();
    });
    await new Promise((done) => socket.once("connect", done).once("close", done));
    if (gone !== "") mine.refused += 1;
    while (running && gone === "") {
      got = "";
      const asked = performance.now();
      if (body) {
        socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf");
        await new Promise((done) => setTimeout(done, Math.random() * 30));
        socket.write("rest");
      } else socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      while (!/^hello.*\n$/ms.test(got.split("\r\n\r\n")[1] ?? "") && gone === "")
        await new Promise((done) => {
          wake = done;
        });
      if (!got.includes("hello")) {
        mine.lost += 1;
        const why = `${gone} ${got === "" ? "no answer" : "half an answer"} after ${Math.round(performance.now() - asked)} ms`;
        mine.why[why] = (mine.why[why] ?? 0) + 1;
        break;
      }
      mine.requests += 1;
      if (/^connection: close/im.test(got)) {
        mine.announced += 1;
        break;
      }
      const until = performance.now() + think();
      while (gone === "" && running && performance.now() < until)
        await new Promise((done) => {
          const timer = setTimeout(done, until - performance.now());
          wake = () => {
            clearTimeout(timer);
            done();
          };
        });
      if (gone !== "") mine.closedIdle += 1;
    }
    socket.destroy();
  }
}

async function start() {
  const env = { ...process.env, LISTEN_FDS: "1", DRAIN_SECONDS: String(windowSeconds) };
  const command = `LISTEN_PID=$$ exec "${process.execPath}" "${server}"`;
  const child = spawn("sh", ["-c", command], { env, stdio: ["ignore", "inherit", "pipe", fd] });
  child.words = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    child.words += text;
  });
  for (;;) {
    const seen = await new Promise((done) => {
      let text = "";
      const socket = connect(port, "127.0.0.1", () =>
        socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
      );
      socket
        .on("data", (chunk) => (text += chunk))
        .on("error", () => {})
        .on("close", () => done(text));
    });
    if (seen.includes(`hello from ${child.pid}\n`)) return child;
  }
}

let current = await start();
for (const [name, { clients }] of Object.entries(profiles)) for (let i = 0; i < clients; i++) void client(name);
const outcome = { drained: 0, cut: 0, seconds: 0 };
for (let i = 0; i < restarts; i++) {
  const next = await start();
  current.kill("SIGTERM");
  if (current.exitCode === null) await once(current, "exit");
  const line = current.words.split("\n").find((text) => text.startsWith("{"));
  if (line !== undefined) {
    const { drained, cut, seconds } = JSON.parse(line);
    outcome.drained += drained;
    outcome.cut += cut;
    outcome.seconds += seconds / restarts;
  } else if (!plain) console.log(`no report: ${current.words}`);
  current = next;
}
running = false;
current.kill("SIGKILL");
console.log(`${restarts} restarts, window ${windowSeconds} s${plain ? ", http.Server.close" : ""}`);
console.log("clients    requests   lost  refused  announced  closed while idle");
let lost = 0;
for (const [name, { requests, lost: gone, refused, announced, closedIdle, why }] of Object.entries(tally)) {
  const row = [String(requests).padStart(8), String(gone).padStart(6), String(refused).padStart(8)];
  console.log(
    `${name.padEnd(9)} ${row.join(" ")} ${String(announced).padStart(10)} ${String(closedIdle).padStart(18)}`,
  );
  for (const [what, times] of Object.entries(why)) console.log(`            ${times} x ${what}`);
  lost += gone + refused;
}
if (!plain)
  console.log(`reports: ${outcome.drained} drained, ${outcome.cut} cut, ${outcome.seconds.toFixed(2)} s each`);
process.exit(lost > 0 ? 1 : 0);
