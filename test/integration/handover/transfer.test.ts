import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, afterEach, test } from "node:test";
import { endOf, isHeld, journalOf, oldAndNew, Peer, quick, removeProgram, sweep } from "./stage.js";

afterEach(sweep);
after(removeProgram);

for (const count of [1, 64, 65, 253, 254, 1000, 5000]) {
  test(`a handover of ${count} listeners gives NEW every one of them and ends with NEW as the owner`, async () => {
    const { old, new: candidate, directory } = await oldAndNew({ old: { listeners: count } });
    const offered = await candidate.at("offered");
    assert.equal(offered.count, count);
    const claimed = await old.at("claimed");
    assert.deepEqual(claimed.report, { taken: count, unknown: [], missing: ["wanted"] });
    assert.equal((await candidate.at("finalized")).by, "finalize");
    assert.equal((await candidate.at("owner")).journal, "second");
    assert.equal(endOf(await old.at("ended")), "drained");
    assert.equal((await candidate.at("drained")).at, "drained");
    const journal = journalOf(directory);
    assert.deepEqual([journal.owner.nonce, journal.attempt?.state, journal.done], ["second", "finalized", ["attempt"]]);
    console.log(`${count}: OFFER to CLAIM ${Number(claimed.ms).toFixed(2)} ms`);
  });
}

test("a chain of handovers ends with the last generation, whose listeners are the first's", async () => {
  const { new: second, directory, address } = await oldAndNew({ old: { listeners: 3, blobs: 5 } });
  assert.deepEqual((await second.at("preparing")).blobs, [0, 1000, 2000, 3000, 4000]);
  await second.at("owner");
  const third = new Peer({ role: "new", name: "third", directory, attempt: "b", times: quick });
  assert.equal((await third.at("offered")).count, 3);
  await third.at("owner");
  await second.at("ended");
  assert.equal(await isHeld(address), true);
  await third.kill();
  await second.kill();
  assert.equal(await isHeld(address), false);
});

test("what NEW does not claim is reported to OLD and closed", async () => {
  const { old, new: candidate } = await oldAndNew({ old: { listeners: 5 }, new: { leave: ["l1", "l4"] } });
  assert.deepEqual((await old.at("claimed")).report, { taken: 3, unknown: ["l1", "l4"], missing: ["wanted"] });
  const [before, now] = [await candidate.at("offered"), await candidate.at("preparing")];
  assert.equal(Number(before.fds) - Number(now.fds), 2);
});

test("sockets that arrive with the word that they are lent are not counted twice against the limit of files", async () => {
  const { old, new: candidate } = await oldAndNew({ old: { listeners: 200, hold: ["asked"] }, new: {} });
  await old.at("asked");
  const { pid } = candidate.process;
  execFileSync("prlimit", [`--pid=${pid}`, "--nofile=400:400"]);
  // so that it reads both at once
  await candidate.kill("SIGSTOP");
  old.go();
  await old.at("sent");
  await candidate.kill("SIGCONT");
  assert.equal((await candidate.at("offered", "ended")).at, "offered");
});
