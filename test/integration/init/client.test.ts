import assert from "node:assert/strict";
import { chmodSync, copyFileSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { afterEach, test } from "node:test";
import { binary, eventually, folder, missingBinary, type Running, run, sweep } from "./stage.js";

const skip = missingBinary;
afterEach(sweep);

const { version } = JSON.parse(readFileSync("package.json", "utf8"));

/** A home whose supervisor is client-supervisor.ts. */
function home(): string {
  const made = folder();
  const esbuild = createRequire(import.meta.url)("esbuild") as typeof import("esbuild");
  esbuild.buildSync({
    entryPoints: [resolve("test/integration/init/client-supervisor.ts")],
    outfile: join(made, "pingora-entry.cjs.mjs"),
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning",
  });
  // the init looks for this name; top-level await wants a module
  esbuild.buildSync({
    stdin: { contents: 'import("./pingora-entry.cjs.mjs");' },
    outfile: join(made, "pingora-entry.cjs"),
    format: "cjs",
    logLevel: "warning",
  });
  copyFileSync(binary, join(made, "pingora-entry"));
  copyFileSync("dist/bin/addon.node", join(made, "addon.node"));
  symlinkSync(process.execPath, join(made, "node"));
  chmodSync(join(made, "pingora-entry"), 0o755);
  return made;
}

function said(running: Running): unknown[] {
  return running
    .out()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

test("the client starts, owns and abandons lines, replaces the init and stands by under a real one", {
  skip,
}, async () => {
  const made = home();
  const lock = join(made, "lock");
  const running = run(["run"], {
    program: join(made, "pingora-entry"),
    env: { TEST_ROLE: `first ${join(made, "pingora-entry")} ${lock}` },
  });
  await eventually(
    () => said(running).length >= 10,
    () => `${running.out()}${running.err()}`,
    30_000,
  );
  const lines = said(running).map((line) => JSON.stringify(line));
  assert.deepEqual(lines.slice(0, 7), [
    '{"role":"first","line":1,"primary":true,"restarts":0,"lines":[]}',
    '{"ok":false,"stage":"exec","errno":"ENOENT"}',
    '{"ok":true,"line":3}',
    '[{"kind":"ended","line":3,"status":{"signal":"SIGKILL"}}]',
    '{"ok":false,"reason":"it does not answer as an init that can take over"}',
    `{"ok":true,"version":"${version}"}`,
    '{"role":"first","line":1,"primary":true,"restarts":1,"lines":[]}',
  ]);
  // two processes say the rest
  assert.deepEqual(lines.slice(7).sort(), [
    '{"ok":true}',
    '{"role":"candidate","line":4,"primary":false,"restarts":0,"lines":[1]}',
    '{"role":"candidate","primary":true}',
  ]);
  await running.kill("SIGTERM");
  assert.deepEqual(await running.ended, { code: 7, signal: null });
});
