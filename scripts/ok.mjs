// Everything that needs no running process: format, lint, types, unit tests, architecture, docs in sync.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const node = process.execPath;
const docs = readdirSync(resolve(root, "scripts"))
  .filter((file) => /^docs-.*\.mjs$/.test(file))
  .map((file) => [`docs in sync (${file})`, node, [`scripts/${file}`, "--check"]]);
const steps = [
  ["format and lint", node, ["node_modules/@biomejs/biome/bin/biome", "check", "."]],
  ["types", node, ["node_modules/typescript/bin/tsc", "--noEmit"]],
  ["unit tests and architecture", node, ["scripts/test.mjs", "src/", "test/architecture"]],
  ...docs,
];
let failed = 0;
for (const [name, command, args] of steps) {
  const from = Date.now();
  const run = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  const seconds = ((Date.now() - from) / 1000).toFixed(1);
  console.log(`${run.status === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  if (run.status === 0) continue;
  failed += 1;
  console.log(`${run.stdout}${run.stderr}`.trimEnd());
}
process.exitCode = failed === 0 ? 0 : 1;
