import assert from "node:assert/strict";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

test("openOwner writes the journal beside what a process of the same id left that died at it, and sweeps what is old", async () => {
  const directory = upgradeDirectory();
  const leave = (name: string, ageSeconds: number) => {
    const path = join(directory, name);
    writeFileSync(path, "half a journ");
    utimesSync(path, Date.now() / 1000 - ageSeconds, Date.now() / 1000 - ageSeconds);
  };
  // of another container, where this process id is somebody else's
  for (let count = 1; count < 10; count++) leave(`journal.json.${process.pid}.${count}`, 0);
  for (const name of ["journal.json.0123456789abcdef.1", "refusal-a1"]) leave(name, 3600);
  const opened = await openHandover({ directory, clock: systemClock }).openOwner({
    me: identity("me"),
    candidate() {},
  });
  assert.ok(opened.kind === "owner");
  assert.equal(journalOf(directory)?.owner.nonce, "me");
  const left = readdirSync(directory).filter((name) => /^(journal\.json\.|refusal-)/.test(name));
  assert.equal(left.length, 9);
  opened.owner.close();
});
