// Runs the tests of the addon and of what stands on it with the addon built by ASAN and UBSAN:
//   node test/fuzz/addon/sanitized.mjs [substring of test paths ...]
import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { buildTests } from "../../../scripts/build-tests.mjs";
import { buildNative } from "../../../scripts/native.mjs";

const root = resolve(import.meta.dirname, "../../..");
const wanted =
  process.argv.length > 2
    ? process.argv.slice(2)
    : ["src/adapters/native", "src/adapters/init", "integration/sockets", "integration/connections"];
const cc = process.env.CC ?? "gcc";

await buildNative({ check: "sanitize", only: "addon" });
const { files, remove } = await buildTests((file) => wanted.some((part) => file.includes(part)));
try {
  // the loader looks beside the bundle first
  for (const folder of new Set(files.map(dirname)))
    copyFileSync(join(root, "build/sanitize/addon.node"), join(folder, "addon.node"));
  // Node itself is not instrumented, so the runtime must be loaded before it
  const runtime = spawnSync(cc, ["-print-file-name=libasan.so"], { encoding: "utf8" }).stdout.trim();
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-concurrency=2", ...files], {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      LD_PRELOAD: runtime,
      // leaks: Node keeps what it allocates for its whole life; the addon's own are looked for with a count of descriptors and RSS
      ASAN_OPTIONS: "detect_leaks=0:abort_on_error=1:handle_segv=1",
      UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1",
    },
  });
  process.exitCode = status ?? 1;
} finally {
  remove();
}
