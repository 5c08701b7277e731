// `npm run bench:stop [-- --quick]`: what a stop costs beyond the services' own time, and what 200 services cost: check, start, stop.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, compiled, median, nowMs, program, spread, table, until, verdict, verdicts } from "./bench.mjs";

const rounds = process.argv.includes("--quick") ? 3 : 10;
const service = compiled("test/fixtures/service.c");
const dir = mkdtempSync(join(tmpdir(), "pe-bench-"));
const children = new Set();

function configure(name, services) {
  const path = join(dir, `${name}.yaml`);
  const rows = services.map(
    ({ name, needs, args }) =>
      `  ${name}: { command: [${service}, -l, ${join(dir, "log")}, -n, ${name}, ${args}], dependsOn: [${needs.join(", ")}] }`,
  );
  writeFileSync(
    path,
    `services:\n${rows.join("\n")}\nadmin: { tcp: "off", socket: ${join(dir, "control.sock")} }\nshutdown: { gracePeriodSeconds: 60, lameDuckSeconds: 0 }\nlog: { level: error }\n`,
  );
  return path;
}

function lines() {
  return readFileSync(join(dir, "log"), "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [name, event, at] = line.split(" ");
      return { name, event, at: Number(at) };
    });
}

/** Starts, waits for readiness, stops; the log is that of this run alone. */
async function run(config) {
  rmSync(join(dir, "log"), { force: true });
  const from = nowMs();
  const child = spawn(program, ["run", "-c", config], { stdio: "ignore" });
  children.add(child);
  const gone = new Promise((done) => child.once("exit", done));
  await until(
    "readiness",
    async () => (await ask({ socketPath: join(dir, "control.sock"), path: "/readyz" })) === 200,
    60_000,
  );
  const ready = nowMs();
  child.kill("SIGTERM");
  await gone;
  children.delete(child);
  return { startMs: ready - from, stopMs: nowMs() - ready };
}

/** Five waves whose slowest service needs 100 ms: from its end to the next wave's first signal, and from the last end to our own. */
async function waves() {
  const services = Array.from({ length: 15 }, (_, i) => {
    const wave = Math.floor(i / 3);
    const needs = wave === 0 ? [] : [0, 1, 2].map((k) => `s${(wave - 1) * 3 + k}`);
    return { name: `s${i}`, needs, args: `-t, "${[100, 50, 10][i % 3]}"` };
  });
  const config = configure("waves", services);
  const gaps = [];
  const totals = [];
  for (let round = 0; round < rounds; round++) {
    const { stopMs } = await run(config);
    const said = lines();
    for (let wave = 4; wave > 0; wave--) {
      const of = (k) => said.filter(({ name }) => Math.floor(Number(name.slice(1)) / 3) === k);
      const last = Math.max(
        ...of(wave)
          .filter(({ event }) => event === "exit")
          .map(({ at }) => at),
      );
      const first = Math.min(
        ...of(wave - 1)
          .filter(({ event }) => event === "term")
          .map(({ at }) => at),
      );
      gaps.push(first - last);
    }
    totals.push(stopMs - 500);
  }
  console.log(
    `${table([
      ["stop of 5 waves", "ms: median (range)"],
      ["between two waves", spread(gaps, 1)],
      ["all beyond the services' own 500 ms", spread(totals, 1)],
    ])}\n`,
  );
  return [
    verdict("stop: ms between two waves, the worst", Math.max(...gaps), 50),
    verdict("stop: ms beyond the services' own, a wave", median(totals) / 5, 50),
  ];
}

async function twoHundred() {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const services = Array.from({ length: 200 }, (_, i) => ({
    name: `s${i}`,
    needs: [
      ...new Set(Array.from({ length: Math.min(i, Math.floor(random() * 4)) }, () => `s${Math.floor(random() * i)}`)),
    ],
    args: '-t, "0"',
  }));
  const config = configure("many", services);
  const [check, node, start, stop] = [[], [], [], []];
  const time = (command, args) => {
    const from = nowMs();
    const { status } = spawnSync(command, args, { stdio: "ignore" });
    if (status !== 0) throw new Error(`${command} ended with ${status}`);
    return nowMs() - from;
  };
  for (let round = 0; round < rounds * 2; round++) {
    node.push(time(process.execPath, ["-e", "0"]));
    check.push(time(program, ["check", "-c", config]));
  }
  for (let round = 0; round < rounds; round++) {
    const { startMs, stopMs } = await run(config);
    start.push(startMs);
    stop.push(stopMs);
  }
  const rows = [
    ["200 services, random graph", "ms: median (range)"],
    ["node -e 0", spread(node, 0)],
    ["check", spread(check, 0)],
    ["start until all are ready", spread(start, 0)],
    ["stop until the exit code", spread(stop, 0)],
  ];
  console.log(`${table(rows)}\n`);
  return [verdict("check of 200 services, ms", median(check), 150)];
}

try {
  process.exitCode = verdicts([...(await waves()), ...(await twoHundred())]);
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
