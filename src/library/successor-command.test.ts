import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EntryError } from "../core/entry-error.js";
import { successorCommand } from "./successor-command.js";

const order = { conf: [], wait: false };
const ids = { attempt: "a1", refusal: "/up/r" };
const running = (...words: string[]) => ({
  argv: ["/usr/bin/node", "/opt/a/pingora-entry.cjs", ...words],
  execArgv: ["--max-old-space-size=64"],
  env: { A: "1", PINGORA_ENTRY_UPGRADE: "before" },
});

test("successorCommand repeats the command line, with the order in the environment", () => {
  const { argv, env } = successorCommand(order, ids, running("run", "-c", "x.yaml", "-u", "--", "cmd", "-u"));
  const head = ["/usr/bin/node", "--max-old-space-size=64", "/opt/a/pingora-entry.cjs"];
  assert.deepEqual(argv, [...head, "run", "-c", "x.yaml", "-u", "--", "cmd", "-u"]);
  assert.deepEqual(env, ["A=1", "PINGORA_ENTRY_UPGRADE=a1", "PINGORA_ENTRY_REFUSAL=/up/r"]);
});

test("successorCommand puts other configuration files in place of all that were named", () => {
  const before = running("run", "-c", "x.yaml", "--conf=y.yaml", "-cz.yaml", "--conf", "w.yaml", "cmd", "-c", "own");
  const { argv } = successorCommand({ ...order, conf: ["/new.yaml"] }, ids, before);
  assert.deepEqual(argv.slice(3), ["run", "-c", "/new.yaml", "cmd", "-c", "own"]);
});

test("successorCommand takes the program, and the Node beside it, from another release", () => {
  const path = mkdtempSync(join(tmpdir(), "release-"));
  writeFileSync(join(path, "pingora-entry.cjs"), "");
  const found = successorCommand({ ...order, path }, ids, running("run"));
  assert.deepEqual([found.argv[0], found.argv[2]], ["/usr/bin/node", join(path, "pingora-entry.cjs")]);
  writeFileSync(join(path, "node"), "");
  assert.equal(successorCommand({ ...order, path }, ids, running("run")).argv[0], join(path, "node"));
});

test("successorCommand finds out where a link to a release leads", () => {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "release-")));
  writeFileSync(join(path, "pingora-entry.cjs"), "");
  symlinkSync(path, `${path}-current`);
  const { argv } = successorCommand({ ...order, path: `${path}-current` }, ids, running("run"));
  assert.equal(argv[2], join(path, "pingora-entry.cjs"));
});

test("successorCommand refuses a path without a release, and other files for a program of its own", () => {
  const refused = (act: () => unknown) =>
    assert.throws(act, (error) => error instanceof EntryError && error.reason === "usage");
  refused(() => successorCommand({ ...order, path: "/nowhere" }, ids, running("run")));
  const own = { argv: ["node", "server.mjs"], execArgv: [], env: {} };
  refused(() => successorCommand({ ...order, conf: ["/x"] }, ids, own));
  assert.deepEqual(successorCommand(order, ids, own).argv, ["node", "server.mjs"]);
});
