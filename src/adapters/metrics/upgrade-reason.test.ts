import assert from "node:assert/strict";
import { test } from "node:test";
import { upgradeReason, upgradeReasons } from "./upgrade-reason.js";

const said: Readonly<Record<string, string>> = {
  'check failed: pingora-entry: cannot use "/c.yaml": 1 problem\n  2:1  service web failed': "check",
  "cannot start it: exec: ENOENT": "start",
  "the init did not answer within 60 s": "start",
  "the new generation died of SIGKILL before it asked for the sockets": "start",
  "the new generation did not ask for the sockets within 60 s": "start",
  "NEW: service web failed: exited with code 3": "service",
  "NEW did not go on within 60 s (preparing)": "unready",
  "NEW: not ready within 60 s: service/web: Starting: connection refused": "unready",
  "NEW: not ready any more: service/web: Backoff: exited with code 3": "unready",
  "NEW closed the connection": "lost",
  "NEW was silent for 5 s (preparing)": "lost",
  "its supervisor was restarted": "lost",
  "the supervisor of the running generation died meanwhile": "lost",
  "cannot write /run/u/journal.json: ENOSPC: no space left on device": "journal",
  "the old generation is stopping": "stopped",
  "NEW: SIGTERM": "stopped",
  "a bad day": "other",
};

test("upgradeReason has one word for each reason that an upgrade is rolled back for", () => {
  for (const [reason, word] of Object.entries(said))
    assert.equal(upgradeReason({ result: "rolled-back", reason }), word, reason);
  assert.equal(upgradeReason({ result: "completed", reason: "" }), "none");
  for (const word of upgradeReasons.slice(1)) assert.ok(Object.values(said).includes(word), word);
});
