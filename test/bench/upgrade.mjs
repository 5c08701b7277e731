// `npm run bench:upgrade [-- --upgrades N] [--others N] [--rate R] [--probation S] [--only NAME,NAME] [--seconds-per-upgrade S]
//   [--per-round N] [--install] [--samples] [--neighbours]`
// --probation: of ours; their default is the product's, and a window of theirs then takes that long.
// --neighbours: ours upgrade from N-1 to N and from N to N-1 of the handover protocol, in turns.
// What an upgrade costs the clients: ours beside others, under the same load, in rounds that take turns.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { median, nowMs, root, table, verdicts } from "./bench.mjs";
import { contender as haproxy, keepingIdle } from "./upgrade/haproxy.mjs";
import { limits } from "./upgrade/limits.mjs";
import { addReport, emptyTotals, failures, mixture, percentile, startLoad } from "./upgrade/load.mjs";
import { contender as nginx } from "./upgrade/nginx.mjs";
import { contender as oursNginx } from "./upgrade/ours-nginx.mjs";
import { contender as oursNode } from "./upgrade/ours-node.mjs";
import { contender as oursPython } from "./upgrade/ours-python.mjs";
import { install, contender as pm2 } from "./upgrade/pm2.mjs";
import { endAll, freePort } from "./upgrade/processes.mjs";
import { releaseOf } from "./upgrade/releases.mjs";
import { contender as stopStart } from "./upgrade/stop-start.mjs";

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const upgrades = Number(option("--upgrades", 100));
/** of those that are not ours */
const others = Number(option("--others", upgrades));
const perRound = Math.min(Number(option("--per-round", 10)), upgrades);
const rate = Number(option("--rate", 800));
const probation = option("--probation");
const secondsPerUpgrade = Number(option("--seconds-per-upgrade", 4));
const only = option("--only", "").split(",").filter(Boolean);
/** A window is at least this long, so that short ones hold enough requests for a p99. */
const leastWindowMs = 1_000;

const all = [oursNode, oursPython, oursNginx, nginx, haproxy, keepingIdle, pm2, stopStart];
/** Between two upgrades, when nothing else is going on: what is compared with. */
const quietMs = 1_500;
const pause = (ms) => new Promise((wake) => setTimeout(wake, Math.max(0, ms)));

function chosen() {
  for (const name of only)
    if (!all.some((each) => each.name === name))
      throw new Error(`no contender ${name}: ${all.map((each) => each.name).join(", ")}`);
  return all.filter(({ name, missing, control }) => {
    if (only.length > 0 ? !only.includes(name) : control) return false;
    const why = missing();
    if (why !== undefined) console.log(`left out: ${name}: ${why}`);
    return why === undefined;
  });
}

async function oneUpgrade(running, load, generation, result) {
  const from = nowMs();
  load.window();
  let failed;
  try {
    await running.upgrade(generation);
    load.generation(generation);
    result.seconds.push((nowMs() - from) / 1_000);
    result.upgrades += 1;
  } catch (error) {
    failed = error;
    result.failed.push(error.message);
  }
  await pause(from + leastWindowMs - nowMs());
  load.drain();
  await running.settled();
  load.steady();
  await pause(Math.max(quietMs, from + secondsPerUpgrade * 1_000 - nowMs()));
  return failed === undefined;
}

/** Start, load, some upgrades, stop. */
async function oneRound(contender, result, count) {
  const dir = mkdtempSync(join(tmpdir(), "pe-up-"));
  const place = { dir, port: await freePort(), socket: join(dir, "web.sock") };
  if (probation !== undefined) place.probationSeconds = Number(probation);
  if (words.includes("--neighbours")) place.releaseOf = releaseOf;
  let running;
  let load;
  try {
    running = await contender.start(place);
    load = startLoad(mixture({ tcp: `127.0.0.1:${place.port}`, unix: `unix:${place.socket}` }, rate));
    // kept connections are there and programs are warm before anything counts as steady state
    await pause(1_500);
    let generation = 1;
    for (let i = 0; i < count; i++) if (await oneUpgrade(running, load, generation + 1, result)) generation += 1;
  } catch (error) {
    result.failed.push(error.message);
  }
  if (load !== undefined) {
    const report = await load.stop();
    addReport(result.totals, report);
    const { steady, window } = report.total;
    if (steady.count > 0 && window.count > 0) result.ratios.push(window.p99Us / steady.p99Us);
  }
  await running?.stop().catch((error) => result.failed.push(error.message));
  rmSync(dir, { recursive: true, force: true });
}

const head = [
  "contender",
  "upgrades",
  "failed",
  "requests",
  ...failures,
  "ka lost",
  "cut",
  "told",
  "p99 steady",
  "p99 window",
  "ratio",
  "p99 drain",
  "s/upgrade",
];

const p99 = (histogram) => `${percentile(histogram, 0.99).toFixed(2)} ms`;

function row({ contender, upgrades, failed, seconds, totals, ratios }) {
  return [
    contender.name,
    upgrades,
    failed.length,
    totals.sent,
    ...failures.map((name) => totals[name]),
    totals.lost,
    totals.cut,
    totals.told,
    p99(totals.steady),
    p99(totals.window),
    ratios.length > 0 ? median(ratios).toFixed(2) : "",
    p99(totals.drain),
    seconds.length > 0 ? (seconds.reduce((sum, each) => sum + each, 0) / seconds.length).toFixed(2) : "",
  ];
}

function remarks(results) {
  for (const { contender, failed, totals } of results) {
    for (const why of new Set(failed)) console.log(`${contender.name}: an upgrade failed: ${why}`);
    if (totals.skipped + totals.ownFault > 0)
      console.log(`${contender.name}: the load itself skipped ${totals.skipped}, failed ${totals.ownFault}`);
    if (!contender.ours && !words.includes("--samples")) continue;
    for (const { mode, outcome, detail, stage } of totals.samples.filter(({ outcome }) => outcome !== "cut"))
      console.log(`${contender.name}: ${outcome}, ${mode}, ${stage}: ${detail}`);
  }
  const ours = results.filter(({ contender }) => contender.ours);
  const sum = (of) => ours.reduce((so, each) => so + of(each), 0);
  console.log(`\nours: ${sum((each) => each.upgrades)} upgrades, ${sum((each) => each.totals.sent)} requests in all`);
}

try {
  if (words.includes("--install")) install();
  const results = chosen().map((contender) => ({
    contender,
    upgrades: 0,
    failed: [],
    seconds: [],
    /** p99 in windows of p99 steady, a round each: what else happens on the machine is beside both */
    ratios: [],
    totals: emptyTotals(),
  }));
  console.log(
    `Node ${process.versions.node}, ${cpus().length} cores, load ${loadavg()[0].toFixed(2)}, ${rate} plain requests a second\n`,
  );
  for (let done = 0; done < Math.max(upgrades, others); done += perRound)
    for (const result of results) {
      const left = (result.contender.ours ? upgrades : others) - done;
      if (left <= 0) continue;
      await oneRound(result.contender, result, Math.min(perRound, left));
      // a long run tells how it goes
      console.error(`${done + Math.min(perRound, left)}: ${row(result).join("  ")}`);
    }
  console.log(`${table([head, ...results.map(row)])}\nratio: of the p99s, median of the rounds\n`);
  remarks(results);
  mkdirSync(join(root, "build/bench"), { recursive: true });
  const asJson = (_, value) => (value instanceof Map ? [...value] : value);
  writeFileSync(join(root, "build/bench/upgrade.json"), JSON.stringify(results, asJson));
  process.exitCode = verdicts(limits(results));
} finally {
  endAll();
}
