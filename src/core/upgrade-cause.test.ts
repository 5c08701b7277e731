import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { causeOf } from "./handover-machine.js";
import { newStateFacts } from "./handover-new.js";
import { oldStateFacts } from "./handover-old.js";
import { readCause, upgradeCauses } from "./upgrade-cause.js";

test("readCause takes every word of the list, and others as other", () => {
  for (const word of upgradeCauses) assert.equal(readCause(word), word);
  for (const word of ["", "of a later release", undefined, null, 7, {}]) assert.equal(readCause(word), "other");
});

test("causeOf tells services that were waited for from a side that says nothing", () => {
  const late = (facts: Readonly<Record<string, { readonly wait: Parameters<typeof causeOf>[1] }>>) =>
    Object.entries(facts)
      .filter(([, { wait }]) => wait !== undefined && causeOf("timeout", wait) === "unready")
      .map(([state]) => state);
  assert.deepEqual(late(oldStateFacts), ["preparing", "ready", "committed"]);
  assert.deepEqual(late(newStateFacts), ["preparing", "ready", "committed", "renouncing", "promoted"]);
  assert.equal(causeOf("silent", "bootMs"), "lost");
  assert.equal(causeOf("gone", "bootMs"), "lost");
  assert.equal(causeOf("garbage", undefined), "protocol");
  assert.equal(causeOf("READY", undefined), "protocol");
});

test("the published schema and the metrics page name every cause", () => {
  const schema = JSON.parse(readFileSync("docs/reference/status.schema.json", "utf8"));
  assert.deepEqual(schema.$defs.upgradeOutcome.properties.cause.enum, upgradeCauses);
  const page = readFileSync("docs/reference/metrics.md", "utf8");
  for (const cause of upgradeCauses) assert.match(page, new RegExp(`reason: .*\\b${cause}\\b`), cause);
});
