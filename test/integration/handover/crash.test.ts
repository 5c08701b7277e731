import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { systemClock } from "../../../src/adapters/clock/clock.js";
import { causeOf, endOf, isHeld, journalOf, oldAndNew, Peer, quick, reasonOf, removeProgram, sweep } from "./stage.js";

afterEach(sweep);
after(removeProgram);

/** Steps at which a side says where it is and is then stopped or killed. The process is a whole generation: its lock dies with it. */
const oldSteps = ["asked", "granted", "claimed", "ready", "probation", "finalizing", "draining"] as const;
const newSteps = ["offered", "preparing", "committed", "owned"] as const;
const patient = {
  ...quick,
  bootMs: 2_000,
  handoffMs: 2_000,
  offerMs: 800,
  claimMs: 800,
  stateMs: 800,
  probationMs: 5_000,
};

for (const step of newSteps) {
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    test(`OLD is the owner as before, and the next handover succeeds, when NEW gets ${signal} at "${step}"`, async () => {
      const stage = await oldAndNew({
        old: { listeners: 70, times: patient, probationMs: 3_000 },
        new: { hold: [step], times: patient },
      });
      await stage.new.at(step);
      await stage.new.kill(signal);
      const end = await stage.old.at("ended");
      assert.equal(endOf(end), "failed", JSON.stringify(end));
      assert.equal(end.owner, "first");
      assert.equal(journalOf(stage.directory).attempt?.state, "failed");
      assert.equal(await isHeld(stage.address), true);
      if (signal === "SIGSTOP") {
        stage.new.process.kill("SIGCONT");
        stage.new.go();
        const late = await stage.new.at("ended");
        assert.equal(endOf(late), "failed", JSON.stringify(late));
      }
      await succeeds(stage.directory);
    });
  }
}

test("a NEW that fell silent just before FINALIZE is not left alone with the sockets", async () => {
  const times = { ...patient, silenceMs: 2_000 };
  const stage = await oldAndNew({ old: { listeners: 2, hold: ["finalizing"], times }, new: { times } });
  await stage.old.at("finalizing");
  await stage.new.kill("SIGSTOP");
  // longer than between heartbeats, and not yet as long as silence that counts by itself
  await systemClock.until(systemClock.now() + 4 * times.heartbeatMs);
  stage.old.go();
  const end = await stage.old.at("ended", "draining");
  assert.equal(endOf(end), "failed", JSON.stringify(end));
  assert.deepEqual([end.owner, journalOf(stage.directory).attempt?.state], ["first", "failed"]);
});

for (const step of oldSteps) {
  test(`exactly one generation owns when OLD is killed at "${step}"`, async () => {
    const stage = await oldAndNew({
      old: { listeners: 70, hold: [step], times: patient },
      new: { times: patient, ...(step === "claimed" ? { hold: ["preparing"] } : {}) },
    });
    await stage.old.at(step);
    await stage.old.kill();
    if (step === "claimed") stage.new.go();
    if (step === "asked" || step === "granted") {
      // nothing was taken over: whoever starts then is the owner by itself
      const end = await stage.new.at("nobody");
      assert.match(JSON.stringify(end), /closed the connection/);
      return;
    }
    await stage.new.at("owner");
    const journal = journalOf(stage.directory);
    assert.deepEqual([journal.owner.nonce, journal.attempt?.state], ["second", "finalized"]);
    assert.equal(await isHeld(stage.address), true);
    await succeeds(stage.directory);
  });

  test(`exactly one generation owns when OLD is stopped at "${step}" and goes on later`, async () => {
    const stage = await oldAndNew({
      old: { listeners: 70, hold: [step], times: patient },
      new: { times: { ...patient, handoffMs: 1_000 } },
    });
    await stage.old.at(step);
    await stage.old.kill("SIGSTOP");
    const end = await stage.new.at("ended", "owner", "busy", "refused", "nobody");
    if (step === "asked") assert.equal(end.at, "busy", JSON.stringify(end));
    stage.old.process.kill("SIGCONT");
    stage.old.go();
    if (end.at === "owner") {
      assert.ok(["superseded", "drained"].includes(endOf(await stage.old.at("ended"))));
      assert.equal(journalOf(stage.directory).owner.nonce, "second");
    } else {
      const late = await stage.old.at("ended");
      assert.equal(endOf(late), "failed", JSON.stringify([end, late]));
      assert.equal(journalOf(stage.directory).owner.nonce, "first");
    }
    assert.equal(["probation", "finalizing", "draining"].includes(step), end.at === "owner");
    assert.equal(await isHeld(stage.address), true);
    await succeeds(stage.directory);
  });
}

test("a NEW that aborts in probation gives back, and both say why", async () => {
  const stage = await oldAndNew({ old: { probationMs: 5_000 }, new: { abortAt: "owned" } });
  const [old, candidate] = await Promise.all([stage.old.at("ended"), stage.new.at("ended")]);
  assert.deepEqual([endOf(old), endOf(candidate)], ["failed", "failed"]);
  assert.match(reasonOf(old), /not wanted by the test/);
  assert.equal(causeOf(old), "unready");
  assert.equal(journalOf(stage.directory).owner.nonce, "first");
});

test("candidates that compete are told BUSY, with who holds the lease and for how long", async () => {
  const stage = await oldAndNew({ old: { hold: ["claimed"] } });
  await stage.old.at("claimed");
  const rivals = ["x", "y", "z"].map(
    (name) => new Peer({ role: "new", name, attempt: name, directory: stage.directory, times: quick }),
  );
  for (const rival of rivals) {
    const { dialled } = (await rival.at("busy")) as unknown as { dialled: { reason: string; msLeft: number } };
    assert.match(dialled.reason, /attempt attempt is under way/);
    assert.ok(dialled.msLeft > 0);
  }
  stage.old.go();
  await stage.new.at("owner");
});

test("an attempt that is known as done is refused", async () => {
  const stage = await oldAndNew();
  await stage.new.at("owner");
  const again = new Peer({ role: "new", name: "third", directory: stage.directory, times: quick });
  assert.match(JSON.stringify(await again.at("refused")), /known as done/);
});

async function succeeds(directory: string): Promise<void> {
  const next = new Peer({ role: "new", name: "next", attempt: "next", directory, times: quick });
  await next.at("owner");
  assert.equal(journalOf(directory).owner.nonce, "next");
}
