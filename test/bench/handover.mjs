// `npm run bench:handover [-- --quick] [--rounds N]`: OFFER to CLAIM of so many listeners, from one process to another that has just
// started, beside a C program that binds and listens to as many, in one interleaved run.
import { execFileSync, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildSync } from "esbuild";
import { compiled, median, root, spread, table, verdict, verdicts } from "./bench.mjs";

const words = process.argv.slice(2);
const rounds = Number(words[words.indexOf("--rounds") + 1] || 0) || (words.includes("--quick") ? 5 : 25);
mkdirSync(join(root, "build"), { recursive: true });
const folder = mkdtempSync(join(root, "build/bench-handover-"));
// as the product is: one script, loaded with V8's code cache
const bundled = (entry, outfile) =>
  buildSync({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(folder, outfile),
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "cjs",
    minifySyntax: true,
    minifyWhitespace: true,
    define: {
      "process.env.PINGORA_ENTRY_BUNDLED": '"test"',
      "import.meta.dirname": "__dirname",
      "import.meta.url": "__filename",
    },
  });
bundled("test/integration/handover/peer.ts", "main.cjs");
bundled("src/boot.ts", "peer.cjs");
const peer = join(folder, "peer.cjs");
const bindListen = compiled("test/bench/bind-listen.c");

function said(child, step) {
  return new Promise((done, fail) => {
    child.on("message", (message) => message.at === step && done(message));
    child.on("exit", (code) => fail(new Error(`ended with ${code} before ${step}`)));
  });
}

/** `learns`: whose end writes the code cache, on top of what it found */
async function handover(listeners, learns) {
  const directory = mkdtempSync(join(tmpdir(), "bench-handover-"));
  const start = (role, options) =>
    fork(peer, [JSON.stringify({ directory, wants: join(directory, "wants.json"), role, name: role, ...options })], {
      cwd: resolve(root),
      env: { ...process.env, ...(role === learns ? { PINGORA_ENTRY_WRITE_CODE_CACHE: "1" } : {}) },
    });
  const old = start("old", { listeners });
  const children = [old];
  try {
    await said(old, "owner");
    const claimed = said(old, "claimed");
    const candidate = start("new");
    children.push(candidate);
    const owner = said(candidate, "owner");
    owner.catch(() => {});
    const { ms, report } = await claimed;
    if (report.taken !== listeners) throw new Error(`${report.taken} of ${listeners} were taken`);
    await owner;
    return ms;
  } finally {
    for (const child of children) {
      child.removeAllListeners("exit");
      const gone = new Promise((done) => child.once("exit", done));
      if (learns === undefined) child.kill("SIGKILL");
      else child.disconnect();
      await gone;
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

const rows = [["listeners", "OFFER to CLAIM, ms", "bind and listen in C, ms", "ratio of the medians", "of the least"]];
const found = [];
try {
  for (const side of ["new", "old"]) await handover(1, side);
  for (const listeners of [1, 64, 1000, 5000]) {
    const [ours, c] = [[], []];
    for (let round = 0; round < rounds; round++) {
      c.push(Number(execFileSync(bindListen, [String(listeners)], { encoding: "utf8" })));
      ours.push(await handover(listeners));
    }
    const ratio = median(ours) / median(c);
    rows.push([listeners, spread(ours), spread(c), ratio.toFixed(2), (Math.min(...ours) / Math.min(...c)).toFixed(2)]);
    if (listeners >= 1000)
      found.push(verdict(`OFFER to CLAIM of ${listeners}, of bind and listen in C`, ratio, 1, 0.5));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${table(rows)}\n${rounds} rounds each, in turn`);
process.exitCode = verdicts(found);
