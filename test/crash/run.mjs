// `npm run crash [-- --short] [--random N] [--seed N] [--only WORD,WORD] [--jobs N] [--fake [FLAW]] [--list] [--keep]`
// kill -9 and SIGSTOP of every process at every step of an upgrade, and at random moments, under load. Afterwards: nobody was refused,
// there is exactly one owner, and the next upgrade succeeds. Ends with 1 when that is not so somewhere.
import { cpus } from "node:os";
import { nowMs, table } from "../bench/bench.mjs";
import { endAll } from "../bench/upgrade/processes.mjs";
import { nameOf, random, short, steps, whole } from "./matrix.mjs";
import { nothingYet, oneCase } from "./one-case.mjs";

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const fake = words.includes("--fake");
const { product } = await import(fake ? "./fake/product.mjs" : "./product.mjs");
const seed = Number(option("--seed", Date.now() % 1_000_000));
const isShort = words.includes("--short");
const randoms = Number(option("--random", isShort ? 8 : 300));
const jobs = Number(option("--jobs", Math.max(1, cpus().length)));
const only = option("--only", "").split(",").filter(Boolean);

const limits = {
  upgradeMs: Number(option("--upgrade-ms", 90_000)),
  settleMs: Number(option("--settle-ms", 60_000)),
  nextMs: Number(option("--next-ms", 60_000)),
  /** steps may be told this long after the requester heard: DRAINED */
  afterMs: 30_000,
  keep: words.includes("--keep"),
};

function chosen(durationMs) {
  const topologies = product.topologies();
  const all = [...(isShort ? short() : whole()), ...random(randoms, seed, durationMs)];
  return all.filter(
    (one) => topologies.includes(one.topology) && only.every((word) => nameOf(one).split(" ").includes(word)),
  );
}

/** Upgrades that nobody disturbs, and which steps are told. @returns about how long one takes; undefined: not even these are right */
async function undisturbed() {
  let durationMs = 0;
  for (const topology of product.topologies()) {
    const told = new Set();
    const watching = {
      ...product,
      start: async (...words) => {
        const running = await product.start(...words);
        running.onStep(({ side, step }) => told.add(`${side} ${step}`));
        return running;
      },
    };
    const from = nowMs();
    const result = await oneCase(watching, { topology, how: "no", side: "", step: "undisturbed" }, limits);
    durationMs = Math.max(durationMs, (nowMs() - from) / 2);
    const missing = steps.filter((step) => !told.has(`old ${step}`) && !told.has(`new ${step}`));
    console.log(
      `${topology}: undisturbed, two upgrades in ${((nowMs() - from) / 1_000).toFixed(1)} s; ${missing.length === 0 ? "all steps are told" : `never told: ${missing.join(" ")}`}`,
    );
    for (const problem of result.problems) console.log(`${topology}: ${problem}`);
    if (result.problems.length > 0) return undefined;
  }
  return Math.round(durationMs);
}

const head = [
  "case",
  "hit",
  "upgrade",
  "owner",
  "settled",
  "sent",
  "refused",
  "reset",
  "unanswered",
  "wrong",
  "ka lost",
  "next",
  "",
];

function row({ one, hit, upgrade, owner, settledMs, next, counters, problems, excused }) {
  const word = problems.length > 0 ? "FAILED" : excused.length > 0 ? "ok, excused" : "ok";
  const count = (name) => counters?.[name] ?? "?";
  return [
    nameOf(one),
    hit ? "yes" : "no",
    upgrade.split(":")[0],
    owner,
    `${(settledMs / 1_000).toFixed(1)} s`,
    ...["sent", "refused", "reset", "unanswered", "wrong", "lost"].map(count),
    next.split(":")[0],
    word,
  ];
}

function summary(results) {
  const groups = new Map();
  for (const result of results) {
    const { topology, role, side, how, step } = result.one;
    const key = `${topology} ${how} ${side} ${role}${typeof step === "number" ? " at random" : ""}`;
    const group = groups.get(key) ?? { cases: 0, hit: 0, done: 0, failed: 0 };
    group.cases += 1;
    group.hit += Number(result.hit);
    group.done += Number(result.upgrade === "done");
    group.failed += Number(result.problems.length > 0);
    groups.set(key, group);
  }
  const rows = [...groups].map(([key, { cases, hit, done, failed }]) => [key, cases, hit, done, cases - done, failed]);
  return table([["", "cases", "hit", "upgraded", "rolled back", "not as it must be"], ...rows]);
}

async function inParallel(list, each) {
  const left = [...list];
  const results = [];
  const work = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) results.push(await each(one));
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results;
}

try {
  if (words.includes("--list")) {
    for (const one of chosen(5_000)) console.log(nameOf(one));
  } else {
    const durationMs = await undisturbed();
    if (durationMs === undefined) {
      console.log("\n0 passed, 1 failed");
      process.exit(1);
    }
    const list = chosen(durationMs);
    console.log(`${list.length} cases, ${jobs} at once, seed ${seed}\n`);
    let done = 0;
    const results = await inParallel(list, async (one) => {
      const result = await oneCase(product, one, limits).catch((error) => ({
        ...nothingYet(one),
        problems: [error.message],
      }));
      for (const problem of result.problems) console.log(`${nameOf(one)}: ${problem}`);
      done += 1;
      // a long run tells how it goes
      if (done % 25 === 0) console.error(`${done} of ${list.length}`);
      return result;
    });
    console.log(`\n${table([head, ...results.map(row)])}\n\n${summary(results)}`);
    const failed = results.filter(({ problems }) => problems.length > 0).length;
    // the form that CI counts
    console.log(`\n${results.length - failed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
  }
} finally {
  endAll();
}
