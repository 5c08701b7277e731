import assert from "node:assert/strict";
import { chownSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { systemClock } from "../../../src/adapters/clock/clock.js";
import { openHandover } from "../../../src/adapters/handover/handover.js";
import { native } from "../../../src/adapters/native/addon.js";
import type { HandoverTimes } from "../../../src/core/handover-times.js";
import type {
  Handover,
  HandoverIdentity,
  NewSession,
  OldSession,
  Owner,
  OwnSocket,
} from "../../../src/runtime/handover-ports.js";
import { eventually, openDescriptors } from "../eventually.js";
import { Peer, quick, removeProgram, sweep, upgradeDirectory } from "./stage.js";

const addon = native();
const { constants: c } = addon;
const opened: number[] = [];
const owners: Owner[] = [];
afterEach(async () => {
  // what a failed assertion has left open must not keep this process running
  for (const owner of owners.splice(0)) owner.close();
  for (const fd of opened.splice(0)) {
    try {
      addon.close(fd);
    } catch {
      // closed by its session
    }
  }
  await sweep();
});
after(removeProgram);

const root = process.getuid?.() === 0;
const who = (nonce: string): HandoverIdentity => ({
  nonce,
  generation: 1,
  release: nonce,
  build: "",
  slot: "",
  since: 1,
});

function listener(name: string): OwnSocket {
  const fd = addon.socket(c.AF_INET, c.SOCK_STREAM);
  opened.push(fd);
  addon.bindInet(fd, "127.0.0.1", 0, 0);
  addon.listen(fd, 5);
  return { name, key: name, family: "inet", type: "stream", address: "127.0.0.1:0", backlog: 5, reusePort: false, fd };
}

interface Both {
  readonly directory: string;
  readonly handover: Handover;
  readonly owner: Owner;
  readonly old: OldSession;
  readonly new: NewSession;
  readonly sockets: readonly OwnSocket[];
}

/** Both generations in this process, up to the claim. */
async function claimed(times: Partial<HandoverTimes> = {}, sockets = [listener("a"), listener("b")]): Promise<Both> {
  const directory = upgradeDirectory();
  const handover = openHandover({ directory, clock: systemClock, times: { ...quick, ...times } });
  let old: OldSession | undefined;
  const result = await handover.openOwner({
    me: who("old"),
    candidate: (session) => {
      old = session;
      if (session.grant(sockets).ok)
        void session.offer([{ name: "keys", schema: "x/1", critical: true, text: "secret" }]);
    },
  });
  const dialled = await handover.dialOwner({ me: who("new"), attempt: "x" });
  assert.ok(result.kind === "owner" && dialled.kind === "session" && old !== undefined, JSON.stringify(dialled));
  owners.push(result.owner);
  const { session } = dialled;
  opened.push(...session.sockets.map(({ fd }) => fd));
  const blobs = await session.claim(new Set(sockets.map(({ name }) => name)), []);
  assert.ok(blobs.ok && blobs.value[0]?.critical && blobs.value[0].text === "secret");
  return { directory, handover, owner: result.owner, old, new: session, sockets };
}

async function onProbation(times: Partial<HandoverTimes> = {}): Promise<Both & { readonly lockFd: number }> {
  const both = await claimed(times);
  const promotion = both.new.ready();
  assert.ok((await both.old.ready()).ok);
  const committed = both.old.commit(both.owner.lockFd);
  const ready = await promotion;
  assert.ok(ready.ok && ready.value.how === "committed");
  both.new.owned();
  assert.ok((await committed).ok);
  opened.push(ready.value.lockFd);
  return { ...both, lockFd: ready.value.lockFd };
}

/** Somebody who stands still with the journal's lock. */
function holdJournal(directory: string): number {
  const fd = openSync(join(directory, "journal.lock"), "a");
  opened.push(fd);
  assert.equal(addon.flock(fd, c.LOCK_EX | c.LOCK_NB), true);
  return fd;
}

test("recover decides for whoever comes first after COMMIT, and tells the other", async () => {
  for (const [first, second, results] of [
    ["old", "new", ["owner", "failed"]],
    ["new", "old", ["owner", "superseded"]],
  ] as const) {
    const both = await onProbation();
    assert.deepEqual(
      [first, second].map((nonce) => both.handover.recover(who(nonce), "restarted", { owned: false })),
      results,
    );
    assert.equal(both.handover.journal()?.owner.nonce, first);
    assert.equal(both.handover.recover(who("third"), "restarted", { owned: false }), "superseded");
    both.owner.close();
    // the sessions find out by themselves
    both.old.abort("the supervisor was restarted", "other");
    assert.equal((await both.old.ended).kind, first === "old" ? "failed" : "superseded");
    both.old.drained({ drained: 0, cut: 0, killed: 0, open: 0, seconds: 0 });
    assert.equal((await both.new.ended).kind, first === "old" ? "failed" : "done");
  }
});

test("recover ends an attempt that is still transferring, for OLD", async () => {
  const both = await claimed();
  assert.equal(both.handover.recover(who("new"), "restarted", { owned: false }), "failed");
  assert.equal(both.handover.recover(who("old"), "restarted", { owned: false }), "owner");
  assert.equal(both.handover.journal()?.attempt?.state, "failed");
  both.old.abort("over", "other");
  await both.new.ended;
  both.owner.close();
});

test("openOwner takes the lock that an earlier supervisor left with the init", async () => {
  const both = await claimed();
  both.old.abort("over", "other");
  await both.new.ended;
  const kept = addon.dup(both.owner.lockFd);
  both.owner.close();
  const other = await both.handover.openOwner({ me: who("other"), candidate: () => {} });
  assert.equal(other.kind, "held");
  const again = await both.handover.openOwner({ me: who("old"), lockFd: kept, candidate: () => {} });
  assert.ok(again.kind === "owner");
  again.owner.close();
  const free = await both.handover.openOwner({ me: who("other"), candidate: () => {} });
  assert.ok(free.kind === "owner");
  assert.equal(both.handover.journal()?.owner.nonce, "other");
  free.owner.close();
});

test("a decision waits while another stands still with the journal's lock, and is made as soon as it goes on", async () => {
  const both = await onProbation({ decideMs: 5_000 });
  const lock = holdJournal(both.directory);
  both.new.abort("not healthy", "other");
  const ended = both.old.ended;
  assert.equal(await Promise.race([ended, systemClock.until(systemClock.now() + 200)]), undefined);
  addon.close(lock);
  assert.equal((await ended).kind, "failed");
  assert.equal((await both.new.ended).kind, "failed");
  assert.equal(both.handover.journal()?.owner.nonce, "old");
  both.owner.close();
});

test("a decision that cannot be made within its time is told as undecided", async () => {
  const both = await onProbation({ decideMs: 100 });
  holdJournal(both.directory);
  both.new.abort("not healthy", "other");
  const end = await both.old.ended;
  assert.deepEqual([end.kind, end.step], ["undecided", "probation"]);
  assert.match(end.reason, /not healthy/);
  assert.equal((await both.new.ended).kind, "undecided");
  both.owner.close();
});

test("sessions leave no descriptor behind, however they end", async () => {
  const before = openDescriptors();
  for (const end of ["old", "new", "finalize"] as const) {
    const both = await onProbation();
    if (end === "old") both.old.abort("no", "other");
    if (end === "new") both.new.abort("no", "other");
    if (end === "finalize") {
      assert.ok((await both.old.finalize()).ok);
      both.old.drained({ drained: 0, cut: 0, killed: 0, open: 0, seconds: 0 });
      assert.deepEqual(await both.new.probation(), { ok: true, value: "finalize" });
    }
    await Promise.all([both.old.ended, both.new.ended]);
    both.owner.close();
    for (const fd of opened.splice(0)) addon.close(fd);
  }
  await eventually(() => openDescriptors() === before);
});

test("a call out of order is a bug of the caller, and a call after the end is answered with the end", async () => {
  const both = await claimed();
  assert.throws(() => both.old.commit(1), /commit came in state preparing/);
  assert.throws(() => both.new.owned(), /owned came in state preparing/);
  both.old.abort("enough", "other");
  const end = await both.old.ended;
  assert.deepEqual(await both.old.ready(), { ok: false, end });
  assert.deepEqual(await both.old.commit(1), { ok: false, end });
  assert.match((await both.new.ended).reason, /OLD: enough/);
  assert.equal((await both.new.ready()).ok, false);
  both.owner.close();
});

test("grant refuses what cannot be offered before anything has changed", async () => {
  const long = { ...listener("a"), name: "x".repeat(2000) };
  const closed = { ...listener("b"), fd: 999_999 };
  for (const socket of [long, closed]) {
    const directory = upgradeDirectory();
    const handover = openHandover({ directory, clock: systemClock, times: quick });
    const owner = await handover.openOwner({ me: who("old"), candidate: (session) => void session.grant([socket]) });
    if (owner.kind === "owner") owners.push(owner.owner);
    const dialled = await handover.dialOwner({ me: who("new"), attempt: "x" });
    assert.ok(dialled.kind === "refused", JSON.stringify(dialled));
    assert.equal(handover.journal()?.attempt, undefined);
  }
});

test("a socket that is another than was offered, or does not listen any more, is refused", async () => {
  const directory = upgradeDirectory();
  const handover = openHandover({ directory, clock: systemClock, times: quick });
  const socket = listener("a");
  const owner = await handover.openOwner({
    me: who("old"),
    candidate: (session) => {
      session.grant([socket]);
      // another one gets the number, between the preparation and the sending
      addon.close(socket.fd);
      const other = listener("other");
      assert.equal(other.fd, socket.fd);
      void session.offer([]);
    },
  });
  if (owner.kind === "owner") owners.push(owner.owner);
  const dialled = await handover.dialOwner({ me: who("new"), attempt: "x" });
  assert.match(JSON.stringify(dialled), /is another \(inode \d+\) than was offered/);
});

test("a damaged or foreign journal is replaced by the owner, and never believed", async () => {
  const directory = upgradeDirectory();
  writeFileSync(join(directory, "journal.json"), "x".repeat(100_000));
  const handover = openHandover({ directory, clock: systemClock, times: quick });
  assert.equal(handover.journal(), undefined);
  const owner = await handover.openOwner({ me: who("old"), candidate: () => {} });
  assert.equal(handover.journal()?.owner.nonce, "old");
  if (owner.kind === "owner") owner.owner.close();
});

test("recover makes the owner again of one whose journal is gone, and of nobody else", async () => {
  const both = await onProbation();
  const alone = () => openHandover({ directory: both.directory, clock: systemClock, times: quick });
  const restarted = (nonce: string, owned = true) => alone().recover(who(nonce), "restarted", { owned });
  rmSync(both.directory, { recursive: true });
  assert.equal(restarted("new", false), "superseded");
  assert.equal(restarted("new"), "owner");
  assert.equal(restarted("old"), "superseded");
  // who has been there all the time reads, too
  both.new.abort("over", "other");
  assert.equal((await both.old.ended).kind, "superseded");
  both.old.drained({ drained: 0, cut: 0, killed: 0, open: 0, seconds: 0 });
  await both.new.ended;
  both.owner.close();
});

test("recover takes no word from a directory that others have made anew, as long as nobody owns that", async () => {
  const directory = upgradeDirectory();
  const open = () => openHandover({ directory, clock: systemClock, times: quick });
  const mine = await open().openOwner({ me: who("mine"), candidate: () => {} });
  assert.ok(mine.kind === "owner");
  owners.push(mine.owner);
  const facts = { owned: true, lockFd: mine.owner.lockFd };
  rmSync(directory, { recursive: true });
  const other = await open().openOwner({ me: who("other"), candidate: () => {} });
  assert.ok(other.kind === "owner");
  assert.throws(() => open().recover(who("mine"), "restarted", facts), /another generation has made .* anew, and owns/);
  assert.throws(() => mine.owner.mend(), /another generation has made .* anew, and owns/);
  assert.equal(open().journal()?.owner.nonce, "other");
  other.owner.close();
  assert.equal(open().recover(who("mine"), "restarted", facts), "owner");
  assert.equal(mine.owner.mend(), true);
  assert.equal(mine.owner.mend(), false);
  assert.equal((await open().openOwner({ me: who("other"), candidate: () => {} })).kind, "held");
});

test("OLD waits while too many descriptors are in flight, and goes on", { skip: !root && "needs root" }, async () => {
  const directory = upgradeDirectory();
  const uid = 65_533;
  chownSync(directory, uid, uid);
  const poor = { uid, command: ["/bin/sh", "-c", 'ulimit -n 400; exec "$0" "$@"'] };
  const old = new Peer(
    { role: "old", name: "first", directory, listeners: 200, times: quick, hold: ["granted"] },
    poor,
  );
  await old.at("owner");
  const candidate = new Peer({ role: "new", name: "second", directory, times: { ...quick, offerMs: 10_000 } }, { uid });
  await old.at("granted");
  const clog = new Peer({ role: "clog", name: "clog", directory }, { uid });
  await clog.at("clogged");
  old.go();
  await systemClock.until(systemClock.now() + 300);
  assert.equal(candidate.has("offered"), false);
  await clog.kill();
  assert.equal((await candidate.at("offered")).count, 200);
  await candidate.at("owner");
});
