import assert from "node:assert/strict";
import { test } from "node:test";
import { containerExitCode, type Ending } from "./exit-code.js";

const code = (ending: Partial<Ending>) => containerExitCode({ requested: true, killed: [], ...ending }, ["SIGTERM"]);

test("containerExitCode is 0 after a requested stop in which all obeyed", () => {
  assert.equal(code({}), 0);
  assert.equal(code({ main: { signal: "SIGTERM" } }), 0);
  assert.equal(code({ main: { code: 143 } }), 0);
});

test("containerExitCode is the main service's own code otherwise", () => {
  assert.equal(code({ main: { code: 3 } }), 3);
  assert.equal(code({ main: { signal: "SIGKILL" }, killed: ["main"] }), 137);
  assert.equal(code({ main: { signal: "SIGTERM" }, requested: false }), 143);
});

test("containerExitCode is 143 when a service had to be killed", () => assert.equal(code({ killed: ["web"] }), 143));

test("containerExitCode is the failed service's code, never 0, when a failure ended the server", () => {
  assert.equal(code({ requested: false, fatal: { code: 5 } }), 5);
  assert.equal(code({ requested: false, fatal: { code: 0 } }), 1);
  assert.equal(code({ requested: false, fatal: { signal: "SIGSEGV" } }), 139);
});

test("containerExitCode is our own failure's before all others", () =>
  assert.equal(code({ own: 71, main: { code: 3 } }), 71));

test("containerExitCode is that of a required service that failed when all have ended by themselves", () => {
  assert.equal(code({ requested: false, missed: { code: 5 } }), 5);
  assert.equal(code({ requested: false, missed: { code: 0 } }), 1);
  assert.equal(code({ requested: true, missed: { code: 5 } }), 0);
});
