import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { systemClock } from "../../../src/adapters/clock/clock.js";
import { openHandover } from "../../../src/adapters/handover/handover.js";
import { native } from "../../../src/adapters/native/addon.js";
import { journalOf, removeProgram, sweep, upgradeDirectory } from "./stage.js";

afterEach(sweep);
after(removeProgram);

const identity = (nonce: string) => ({ nonce, generation: 1, release: nonce, build: "b", slot: "s", since: 1 });

test("openOwner with a lock that was given makes no owner when the journal names another", async () => {
  const directory = upgradeDirectory();
  const handover = openHandover({ directory, clock: systemClock });
  const old = await handover.openOwner({ me: identity("old"), candidate() {} });
  assert.ok(old.kind === "owner");
  // as after COMMIT, when OLD has taken back before NEW came to act on it
  const late = { me: identity("new"), lockFd: native().dup(old.owner.lockFd), candidate() {} };
  assert.equal((await handover.openOwner(late)).kind, "held");
  assert.equal(journalOf(directory)?.owner.nonce, "old");
  // as after a restart
  const again = { me: identity("old"), lockFd: native().dup(old.owner.lockFd), candidate() {} };
  const same = await handover.openOwner(again);
  assert.ok(same.kind === "owner");
  same.owner.close();
  old.owner.close();
});
