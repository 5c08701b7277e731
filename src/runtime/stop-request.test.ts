import assert from "node:assert/strict";
import { test } from "node:test";
import { isForGood, type StopRecord, stopEvent } from "./stop-request.js";

const record: StopRecord = {
  requestedAt: 1,
  requestedWall: 1,
  cause: "replaced by generation 2",
  requested: true,
  signalled: false,
  hurried: false,
  busy: [],
};

test("stopEvent is Terminate for a stop that was asked for, and nothing for a generation that is only replaced", () => {
  assert.equal(stopEvent("Running", record), "Terminate");
  const replaced = { ...record, drainMs: 1_000 };
  assert.equal(stopEvent("GracefulUpgradeCloseTimeout", replaced), undefined);
  assert.equal(stopEvent("GracefulUpgradeCloseTimeout", { ...replaced, signalled: true }), "Terminate");
  assert.equal(stopEvent("GracefulUpgradeCloseTimeout", { ...replaced, hurried: true }), "FastShutdown");
});

test("isForGood is false for a hook alone, which may be taken back, and true for a signal and a failure", () => {
  assert.equal(isForGood(undefined), false);
  assert.equal(isForGood(record), false);
  assert.equal(isForGood({ ...record, signalled: true }), true);
  assert.equal(isForGood({ ...record, requested: false }), true);
});
