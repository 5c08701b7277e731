import assert from "node:assert/strict";
import { test } from "node:test";
import { isProbeId, probeId } from "./probe-id.js";

test("isProbeId knows what probeId made, and no other process", () => {
  for (const id of ["web/0#1", "2:web/0#1", "web!preflight/0#1"])
    assert.equal(isProbeId(probeId(id, "readiness", 12.5)), true, id);
  for (const id of ["web/0#1", "web/0#1!stop", "web!preflight/0#1", "upgrade/a#check", "readiness1", ""])
    assert.equal(isProbeId(id), false, id);
});
