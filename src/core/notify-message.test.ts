import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNotify, printable } from "./notify-message.js";

test("parseNotify reads the words in their order when a datagram has several", () => {
  assert.deepEqual(parseNotify("STATUS=loading 3 of 7\nREADY=1\nWATCHDOG=1\nSTOPPING=1\n"), [
    { kind: "status", text: "loading 3 of 7" },
    { kind: "ready" },
    { kind: "watchdog" },
    { kind: "stopping" },
  ]);
});

test("parseNotify leaves out what it does not know or is malformed", () => {
  for (const text of [
    "",
    "\n\n",
    "READY=0",
    "READY",
    " READY=1",
    "READY=1 ",
    "MAINPID=1",
    "RELOADING=1",
    "FDSTORE=1",
    "X=READY=1",
    "BARRIER=1",
  ]) {
    assert.deepEqual(parseNotify(text), [], text);
  }
});

test("parseNotify cleans a status of what would disturb a terminal", () => {
  assert.deepEqual(parseNotify("STATUS=\x1b[31mred\x07\x00\u202egnp"), [{ kind: "status", text: "[31mred   gnp" }]);
});

test("printable ends a text at its limit without cutting a character", () => {
  assert.equal(printable("🙂".repeat(10), 4), "🙂🙂");
  assert.equal(printable("x".repeat(1000)).length, 300);
});
