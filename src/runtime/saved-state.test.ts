import assert from "node:assert/strict";
import { test } from "node:test";
import { readState } from "./saved-state.js";

test("readState takes up outcomes of upgrades, also of a release that has written no cause", () => {
  const outcome = { attempt: "a", reason: "in words", at: 1, seconds: 1, generation: 1, warnings: [] };
  const causeOf = (lastUpgrade: object) => {
    const state = { version: 1, phase: "Running", upgrade: { me: {}, lastUpgrade } };
    return readState(JSON.stringify(state))?.upgrade?.lastUpgrade?.cause;
  };
  assert.equal(causeOf({ ...outcome, result: "rolled-back", cause: "journal" }), "journal");
  assert.equal(causeOf({ ...outcome, result: "rolled-back" }), "other");
  assert.equal(causeOf({ ...outcome, result: "rolled-back", cause: "of a later release" }), "other");
  assert.equal(causeOf({ ...outcome, result: "completed" }), "none");
  assert.equal(readState(JSON.stringify({ version: 1, phase: "Running", upgrade: { me: {} } }))?.phase, "Running");
});
