import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandoverIdentity, NewSession, OldSession, OwnSocket } from "../../src/runtime/handover-ports.js";
import { FakeHandover, FakePlace } from "./fake-handover.js";

const who = (nonce: string): HandoverIdentity => ({
  nonce,
  generation: 1,
  release: nonce,
  build: "",
  slot: "",
  since: 1,
});
const socket = (name: string): OwnSocket => ({
  name,
  key: name,
  family: "inet",
  type: "stream",
  address: "127.0.0.1:1",
  backlog: 1,
  reusePort: false,
  fd: 7,
});
const report = { drained: 1, cut: 0, killed: 0, open: 0, seconds: 1 };

async function offered(): Promise<{ place: FakePlace; old: OldSession; new: NewSession }> {
  const place = new FakePlace();
  let asked: OldSession | undefined;
  await new FakeHandover(place).openOwner({
    me: who("old"),
    candidate: (session) => {
      asked = session;
      if (session.grant([socket("a"), socket("b")]).ok) void session.offer([]);
    },
  });
  const dialled = await new FakeHandover(place).dialOwner({ me: who("new"), attempt: "x" });
  assert.ok(dialled.kind === "session" && asked !== undefined);
  return { place, old: asked, new: dialled.session };
}

async function onProbation() {
  const stage = await offered();
  await stage.new.claim(new Set(["a", "b"]), []);
  const promotion = stage.new.ready();
  assert.equal((await stage.old.ready()).ok, true);
  const committed = stage.old.commit(5);
  assert.equal((await promotion).ok, true);
  stage.new.owned();
  assert.equal((await committed).ok, true);
  return stage;
}

test("FakeHandover goes through a whole handover as the adapter does", async () => {
  const stage = await onProbation();
  const got: boolean[] = [];
  stage.new.onProgress((_, drained) => got.push(drained));
  assert.equal((await stage.old.finalize()).ok, true);
  assert.deepEqual(await stage.new.probation(), { ok: true, value: "finalize" });
  stage.old.progress(report);
  stage.old.drained(report);
  assert.deepEqual(
    [(await stage.old.ended).kind, (await stage.new.ended).kind, got],
    ["drained", "done", [false, true]],
  );
  assert.equal(stage.place.journal?.owner.nonce, "new");
});

test("FakeHandover gives back when NEW is lost, and makes NEW the owner when OLD is", async () => {
  const back = await onProbation();
  back.place.latest.lose("new");
  assert.equal((await back.old.ended).kind, "failed");
  assert.equal(back.place.journal?.owner.nonce, "old");
  const forth = await onProbation();
  forth.place.latest.lose("old");
  assert.deepEqual(await forth.new.probation(), { ok: true, value: "decision" });
  assert.equal((await forth.old.ended).kind, "superseded");
});

test("FakeHandover promotes NEW when the whole old generation is gone, and only then", async () => {
  const gone = await offered();
  await gone.new.claim(new Set(["a"]), []);
  const promotion = gone.new.ready();
  gone.place.generationGone("old");
  assert.equal((await promotion).ok && (await promotion).ok, true);
  assert.equal(gone.place.journal?.owner.nonce, "new");
  const silent = await offered();
  await silent.new.claim(new Set(["a"]), []);
  silent.place.latest.lose("old");
  assert.equal((await silent.new.ended).kind, "failed");
  assert.equal(silent.place.journal?.owner.nonce, "old");
});

test("FakeHandover refuses when the disk is full, and tells who is busy", async () => {
  const stage = await offered();
  const third = await new FakeHandover(stage.place).dialOwner({ me: who("third"), attempt: "y" });
  assert.equal(third.kind, "busy");
  stage.old.abort("no", "other");
  stage.place.diskFull = true;
  const fourth = await new FakeHandover(stage.place).dialOwner({ me: who("fourth"), attempt: "z" });
  assert.equal(fourth.kind, "refused");
});
