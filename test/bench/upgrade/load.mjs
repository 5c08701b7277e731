// The load beside an upgrade: test/bench/load, told of windows and generations; and its reports, added up over rounds.
import { spawn } from "node:child_process";
import { compiled } from "../bench.mjs";

export const failures = ["refused", "reset", "unanswered", "wrong"];
const counters = [
  "sent",
  "ok",
  ...failures,
  "lost",
  "cut",
  "told",
  "ownFault",
  "timedOut",
  "idleClosed",
  "skipped",
  "full",
];

/** Words for the load: `rate` plain requests a second, four fifths over TCP, half of them on kept connections; and what lasts longer. */
export function mixture({ tcp, unix }, rate) {
  const words = (mode, target, perSecond, connections) => `${mode},${target},${perSecond},${connections}`;
  return [
    words("new", tcp, rate * 0.4, 256),
    words("keep", tcp, rate * 0.4, 16),
    words("new", unix, rate * 0.1, 64),
    words("keep", unix, rate * 0.1, 4),
    words("post", tcp, 3, 16),
    words("stream", tcp, 0.8, 16),
    words("upgraded", tcp, 0.8, 16),
  ];
}

const now = () => process.hrtime.bigint();

export function startLoad(words, { timeoutMs = 20_000 } = {}) {
  const child = spawn(compiled("test/bench/load"), ["--timeout-ms", String(timeoutMs), ...words], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  const report = new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => {
      if (code === 0) done(JSON.parse(output));
      else fail(new Error(`the load ended with ${code}`));
    });
  });
  // who stops it hears of it
  report.catch(() => {});
  child.stdin.on("error", () => {});
  const say = (line) => child.stdin.write(`${line}\n`);
  return {
    window: () => say(`window ${now()}`),
    drain: () => say(`drain ${now()}`),
    steady: () => say(`steady ${now()}`),
    /** Connections that are opened from here on belong to this generation. */
    generation: (number) => say(`generation ${number} ${now()}`),
    stop: () => {
      child.stdin.end();
      return report;
    },
  };
}

export function emptyTotals() {
  return {
    ...Object.fromEntries(counters.map((name) => [name, 0])),
    steady: new Map(),
    window: new Map(),
    drain: new Map(),
    samples: [],
  };
}

export function addReport(totals, { total, samples }) {
  for (const name of counters) totals[name] += total[name];
  for (const part of ["steady", "window", "drain"])
    for (const [us, count] of total[part].buckets) totals[part].set(us, (totals[part].get(us) ?? 0) + count);
  totals.samples.push(...samples);
}

/** Milliseconds; of a histogram of microseconds. */
export function percentile(histogram, share) {
  const rows = [...histogram].sort(([a], [b]) => a - b);
  const wanted = rows.reduce((sum, [, count]) => sum + count, 0) * share;
  let seen = 0;
  for (const [us, count] of rows) {
    seen += count;
    if (seen > wanted) return us / 1_000;
  }
  return (rows.at(-1)?.[0] ?? Number.NaN) / 1_000;
}
