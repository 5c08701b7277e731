// Runs the tests: `node scripts/test.mjs [--only substring]... [substring ...]`. Without arguments: all of src and test, except
// test/cluster, which needs a Kubernetes and has a runner of its own.
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { buildTests } from "./build-tests.mjs";

const root = resolve(import.meta.dirname, "..");
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const { files, remove } = await buildTests((file) =>
  wanted.length === 0 ? !file.startsWith("test/cluster/") : wanted.some((part) => file.includes(part)),
);
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(" ")}`);
  process.exit(64);
}
const concurrency = flags.some((flag) => flag.startsWith("--test-concurrency")) ? [] : ["--test-concurrency=2"];
const child = spawn(process.execPath, ["--enable-source-maps", "--test", ...concurrency, ...flags, ...files], {
  cwd: root,
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  remove();
  process.exit(signal ? 1 : code);
});
