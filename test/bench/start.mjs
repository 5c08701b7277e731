// `npm run bench:start [-- --quick] [--install] [--rounds N]`: what a start costs, ours beside its peers, all in one interleaved run.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import {
  ask,
  childrenOf,
  compiled,
  cpuMs,
  median,
  memoryOf,
  nowMs,
  onPath,
  program,
  root,
  saidAt,
  spread,
  table,
  until,
  verdict,
  verdicts,
  wakeups,
} from "./bench.mjs";

const words = process.argv.slice(2);
const quick = words.includes("--quick");
const rounds = Number(words[words.indexOf("--rounds") + 1] || 0) || (quick ? 60 : 400);
const serverRounds = quick ? 7 : 25;
const settleMs = quick ? 12_000 : 20_000;
const idleMs = quick ? 5_000 : 20_000;
const dir = mkdtempSync(join(tmpdir(), "pe-bench-"));
const peersDir = join(root, "build/peers");
const service = compiled("test/fixtures/service.c");
const started = new Set();

function install() {
  execFileSync(
    "apt-get",
    ["install", "-y", "-qq", "--no-install-recommends", "tini", "dumb-init", "catatonit", "supervisor", "s6"],
    { stdio: "ignore" },
  );
  mkdirSync(peersDir, { recursive: true });
  execFileSync("npm", ["install", "--no-save", "--no-package-lock", "--prefix", peersDir, "pm2@7.0.4"], {
    stdio: "ignore",
    cwd: peersDir,
  });
}

function start(command, options = {}) {
  const child = spawn(command[0], command.slice(1), { stdio: "ignore", cwd: dir, ...options });
  started.add(child);
  child.on("exit", () => started.delete(child));
  return child;
}

async function end(child, signal = "SIGTERM") {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await gone;
  clearTimeout(late);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

// --- wrap mode

function wrapPeers() {
  const peers = [["pingora-entry", program], ...["tini", "dumb-init", "catatonit"].map((name) => [name, onPath(name)])];
  for (const [name, path] of peers)
    if (path === undefined) console.log(`left out: ${name} is not installed (--install)`);
  return peers.filter(([, path]) => path !== undefined);
}

async function wrapMode() {
  const peers = wrapPeers();
  const commands = [
    ["true"],
    ...peers.map(([name, path]) => (name === "tini" ? [path, "-s", "--", "true"] : [path, "--", "true"])),
  ];
  const args = [String(rounds), "10", ...commands.flatMap((command, i) => (i === 0 ? command : ["-+-", ...command]))];
  const run = spawnSync(compiled("test/bench/interleave.c"), args, { encoding: "utf8" });
  if (run.status !== 0) throw new Error(run.stderr);
  const times = commands.map(() => []);
  for (const line of run.stdout.trim().split("\n")) {
    const [index, ns] = line.split(" ");
    times[index].push(Number(ns) / 1e6);
  }
  const bare = median(times[0]);
  const rows = [["one command", "start over bare, ms", "whole, ms: median (range)", "RSS KiB", "PSS KiB", "processes"]];
  const found = new Map();
  for (const [i, [name, path]] of peers.entries()) {
    const child = start([path, ...(name === "tini" ? ["-s"] : []), "--", "sleep", "100"]);
    await until(`${name}'s child`, () => childrenOf(child.pid).length > 0);
    const memory = memoryOf(child.pid);
    await end(child);
    const over = median(times[i + 1]) - bare;
    found.set(name, { over, memory });
    rows.push([name, over.toFixed(3), spread(times[i + 1], 3), memory.rss, memory.pss, 1]);
  }
  console.log(`${table(rows)}\nbare \`true\`: ${spread(times[0], 3)} ms, ${rounds} rounds\n`);
  const ours = found.get("pingora-entry");
  const tini = found.get("tini");
  return [
    ...(tini === undefined ? [] : [verdict("wrap: start over bare, of tini's", ours.over / tini.over, 1.25)]),
    verdict("wrap: RSS, MB", ours.memory.rss / 1024, 1.5),
  ];
}

// --- supervisors

/** Each: the command that runs the test service as "first", writing to `log`. */
function supervisors() {
  const list = [];
  const write = (name, text, mode = 0o644) => {
    const path = join(dir, name);
    writeFileSync(path, text, { mode });
    return path;
  };
  list.push([
    "pingora-entry",
    ({ log, port }) => {
      const config = write(
        "ours.yaml",
        `services:\n  first: { command: [${service}, -n, first, -l, ${log}] }\nadmin: { tcp: "127.0.0.1:${port}", socket: ${dir}/control.sock }\nshutdown: { lameDuckSeconds: 0 }\n`,
      );
      return [program, "run", "-c", config];
    },
  ]);
  const supervisord = onPath("supervisord");
  if (supervisord === undefined) console.log("left out: supervisord is not installed (--install)");
  else
    list.push([
      "supervisord",
      ({ log }) => [
        supervisord,
        "-n",
        "-c",
        write(
          "supervisord.conf",
          `[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=${dir}/supervisord.pid\n[program:first]\ncommand=${service} -n first -l ${log}\n`,
        ),
      ],
    ]);
  const s6 = onPath("s6-svscan");
  if (s6 === undefined) console.log("left out: s6 is not installed (--install)");
  else
    list.push([
      "s6-svscan, one s6-supervise",
      ({ log }) => {
        const scan = mkdtempSync(join(dir, "s6-"));
        mkdirSync(join(scan, "first"));
        writeFileSync(join(scan, "first/run"), `#!/bin/sh\nexec ${service} -n first -l ${log}\n`, { mode: 0o755 });
        return [s6, scan];
      },
    ]);
  const pm2 = join(peersDir, "node_modules/.bin/pm2-runtime");
  if (!existsSync(pm2)) console.log("left out: pm2-runtime is not installed (--install)");
  else
    list.push([
      "pm2-runtime",
      ({ log }) => [
        pm2,
        write(
          "pm2.json",
          JSON.stringify({
            apps: [
              {
                name: "first",
                script: service,
                interpreter: "none",
                exec_interpreter: "none",
                args: ["-n", "first", "-l", log],
              },
            ],
          }),
        ),
      ],
    ]);
  return list;
}

/** Milliseconds from before fork to the first instruction of the first service's main. */
async function firstService(name, commandOf, measureReady) {
  const log = join(dir, `log-${Math.random().toString(36).slice(2)}`);
  const port = await freePort();
  const command = commandOf({ log, port });
  const env = { ...process.env, PM2_HOME: join(dir, "pm2"), HOME: dir };
  const from = nowMs();
  const child = start(command, { env });
  let readyMs;
  if (measureReady) {
    const socketPath = join(dir, "control.sock");
    await until("readiness", async () => (await ask({ socketPath, path: "/readyz" })) === 200);
    await until("metrics", async () => (await ask({ port, host: "127.0.0.1", path: "/metrics" })) === 200);
    readyMs = nowMs() - from;
  }
  const at = await until(`first service of ${name}`, () => saidAt(log, "first", "start"));
  await end(child);
  return { execMs: at - from, readyMs };
}

function nodeStart() {
  const from = nowMs();
  spawnSync(process.execPath, ["-e", "0"], { stdio: "ignore" });
  return nowMs() - from;
}

async function supervisorMode() {
  const list = supervisors();
  const exec = new Map(list.map(([name]) => [name, []]));
  const ready = [];
  const node = [];
  nodeStart();
  await firstService(...list[0], false);
  for (let round = 0; round < serverRounds; round++) {
    node.push(nodeStart());
    for (const [name, commandOf] of list) {
      // the slow ones need fewer rounds
      if (name !== "pingora-entry" && round >= Math.min(5, serverRounds)) continue;
      exec.get(name).push((await firstService(name, commandOf, false)).execMs);
    }
    ready.push((await firstService(...list[0], true)).readyMs);
  }
  const bare = median(node);
  const ratios = (times) => median(times) / bare;
  const rows = [["several services", "ms to the first service: median (range)", "of `node -e 0`"]];
  rows.push(["node -e 0, whole", spread(node, 1), "1.00"]);
  for (const [name, times] of exec) rows.push([name, spread(times, 1), ratios(times).toFixed(2)]);
  rows.push(["pingora-entry, ready and endpoints up", spread(ready, 1), ratios(ready).toFixed(2)]);
  console.log(`${table(rows)}\n${serverRounds} rounds\n`);
  return [
    verdict("first service's exec, of node -e 0", ratios(exec.get("pingora-entry")), 1.5, 1.35),
    verdict("ready and endpoints up, of node -e 0", ratios(ready), 3.5, 2.5),
  ];
}

async function footprint() {
  const log = join(dir, "log-footprint");
  const port = await freePort();
  const ours = start(supervisors()[0][1]({ log, port }));
  const bare = start([process.execPath, "-e", "setTimeout(() => {}, 1e9)"]);
  await until("first service", () => saidAt(log, "first", "start"));
  const [supervisor] = childrenOf(ours.pid).filter((pid) => memoryOf(pid).rss > 20_000);
  await new Promise((wake) => setTimeout(wake, settleMs));
  const [init, node, reference] = [ours.pid, supervisor, bare.pid].map(memoryOf);
  const before = { cpu: cpuMs(ours.pid) + cpuMs(supervisor), init: wakeups(ours.pid), node: wakeups(supervisor) };
  await new Promise((wake) => setTimeout(wake, idleMs));
  const cpuPercent = ((cpuMs(ours.pid) + cpuMs(supervisor) - before.cpu) / idleMs) * 100;
  const woken = { init: wakeups(ours.pid) - before.init, node: wakeups(supervisor) - before.node };
  await Promise.all([end(ours), end(bare)]);
  const rows = [
    ["memory", "RSS KiB", "PSS KiB"],
    ["init", init.rss, init.pss],
    ["supervisor", node.rss, node.pss],
    ["bare node", reference.rss, reference.pss],
  ];
  console.log(
    `${table(rows)}\nafter ${settleMs / 1000} s; in ${idleMs / 1000} s of idling: init ${woken.init} wakeups, supervisor ${woken.node}\n`,
  );
  return [
    verdict("RSS of init and supervisor, of bare node's", (init.rss + node.rss) / reference.rss, 1.45, 1.35),
    verdict("idle processor time, % of a core", cpuPercent, 0.1),
    verdict("wakeups of the idle init", woken.init, 0),
  ];
}

async function spawnCost() {
  const { startSpawner } = await (await import("../../scripts/load-ts.mjs")).loadTs("src/adapters/init/connect.ts");
  const init = await startSpawner(program);
  init.listen((event) => {
    if (event.kind === "exited") init.forget(event.id);
  });
  const spec = { argv: ["/bin/true"], env: [], pidEnv: [], limits: [], newSession: true, tty: false, fds: [] };
  const [ours, nodes] = [[], []];
  for (let i = 0; i < (quick ? 60 : 300); i++) {
    let from = nowMs();
    await init.spawn(`bench${i}`, spec);
    ours.push(nowMs() - from);
    from = nowMs();
    const child = spawn("/bin/true", [], { stdio: "ignore" });
    nodes.push(nowMs() - from);
    await new Promise((done) => child.on("exit", done));
  }
  init.exit(0);
  console.log(
    `${table([
      ["spawn", "ms until exec is done: median (range)"],
      ["pingora-entry's init", spread(ours, 3)],
      ["child_process.spawn", spread(nodes, 3)],
    ])}\n`,
  );
  return [verdict("spawn, of child_process.spawn", median(ours) / median(nodes), 0.5)];
}

try {
  if (words.includes("--install")) install();
  console.log(`Node ${process.versions.node}, ${cpus().length} cores, load ${loadavg()[0].toFixed(2)}\n`);
  const list = [...(await wrapMode()), ...(await supervisorMode()), ...(await footprint()), ...(await spawnCost())];
  process.exitCode = verdicts(list);
} finally {
  for (const child of started) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
