import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appoint,
  begin,
  commit,
  type Journal,
  type JournalOwner,
  journalText,
  laterProblem,
  maxDoneAttempts,
  parseJournal,
  promote,
  settle,
} from "./handover-journal.js";

const owner = (nonce: string): JournalOwner => ({ nonce, generation: 1, release: "r", build: "b", slot: "", since: 1 });
const [old, successor] = [owner("old"), owner("new")];

function sure(result: Journal | string): Journal {
  assert.ok(typeof result !== "string", String(result));
  return result;
}

const appointed = appoint(undefined, old);
const begun = sure(begin(appointed, { old, nonce: "new", attempt: "a" }, 5));
const committed = sure(commit(begun, { old, successor, attempt: "a" }, 6));

test("parseJournal reads what journalText wrote, and gives undefined for anything else", () => {
  for (const journal of [appointed, begun, committed]) assert.deepEqual(parseJournal(journalText(journal)), journal);
  const text = journalText(committed);
  for (const bad of [
    "",
    "{}",
    "null",
    "[]",
    text.slice(0, -5),
    text.replace('"version":1', '"version":0'),
    '{"version":2,"owner":{"nonce":"x"}}',
    "\0".repeat(40),
  ])
    assert.equal(parseJournal(bad), undefined, bad);
  assert.equal(parseJournal(text.replace("committed", "odd")), undefined);
  assert.equal(parseJournal(text.replace('"nonce":"new"', '"nonce":7')), undefined);
  // found by fuzzing: a number that JSON cannot write again
  for (const field of ["since", "generation", "at"])
    assert.equal(parseJournal(text.replace(new RegExp(`"${field}":\\d+`), `"${field}":1e999`)), undefined, field);
});

test("a journal of a later version is known by its owner and by what is done, and nothing is taken over by it", () => {
  const later = parseJournal(
    '{"version":7,"owner":{"nonce":"x","generation":4,"since":"now"},"attempt":{"id":1},"done":["a"],"more":[]}',
  );
  assert.ok(later !== undefined);
  assert.match(laterProblem(later) ?? "", /later release: its version is 7, 1 is known here/);
  assert.equal(laterProblem(committed), undefined);
  assert.deepEqual([later.owner.nonce, later.owner.generation, later.done], ["x", 4, ["a"]]);
  assert.deepEqual(parseJournal(journalText(later)), later);
  assert.deepEqual(settle(later, owner("x"), "failed", "", 1, true), { journal: later, owns: true });
  assert.deepEqual(settle(later, old, "failed", "", 1, true), { journal: later, owns: false });
  assert.match(String(commit(later, { old: owner("x"), successor, attempt: "a" }, 1)), /not know/);
  assert.deepEqual(appoint(later, old), { version: 1, owner: old, done: ["a"] });
});

test("settle makes the one owner who has been it, when no journal tells, and nobody else", () => {
  for (const verdict of ["failed", "finalized"] as const) {
    assert.deepEqual(settle(undefined, old, verdict, "", 1, true), { journal: appoint(undefined, old), owns: true });
    assert.deepEqual(settle(undefined, old, verdict, "", 1), { journal: undefined, owns: false });
  }
  // the other one, which may have been it, too, was slower
  const first = settle(undefined, old, "failed", "", 1, true).journal;
  assert.equal(settle(first, successor, "finalized", "", 1, true).owns, false);
});

test("begin refuses an attempt that is done, another owner, and an undecided attempt", () => {
  assert.match(String(begin(undefined, { old, nonce: "n", attempt: "a" }, 1)), /another owner/);
  assert.match(String(begin(appointed, { old: owner("x"), nonce: "n", attempt: "a" }, 1)), /another owner/);
  assert.match(String(begin(committed, { old: successor, nonce: "n", attempt: "b" }, 1)), /not decided/);
  const failed = settle(committed, old, "failed", "gone", 7).journal;
  assert.match(String(begin(failed, { old, nonce: "n", attempt: "a" }, 1)), /known as done/);
  assert.deepEqual(sure(begin(begun, { old, nonce: "n", attempt: "b" }, 1)).done, ["a"]);
});

test("commit makes the candidate the owner only for the attempt that was begun", () => {
  assert.equal(committed.owner.nonce, "new");
  assert.deepEqual(committed.done, ["a"]);
  assert.match(String(commit(appointed, { old, successor, attempt: "a" }, 1)), /not know/);
  assert.match(String(commit(begun, { old, successor, attempt: "b" }, 1)), /not know/);
  assert.match(String(commit(committed, { old, successor, attempt: "a" }, 1)), /another owner/);
});

test("settle lets the first decision stand, whoever asks in which order", () => {
  const byNew = settle(committed, successor, "finalized", "old is gone", 8);
  assert.deepEqual([byNew.owns, byNew.journal?.attempt?.state, byNew.journal?.owner.nonce], [true, "finalized", "new"]);
  assert.equal(settle(byNew.journal, old, "failed", "new is gone", 9).owns, false);
  assert.equal(settle(byNew.journal, old, "failed", "new is gone", 9).journal, byNew.journal);
  const byOld = settle(committed, old, "failed", "new is gone", 8);
  assert.deepEqual([byOld.owns, byOld.journal?.attempt?.state, byOld.journal?.owner.nonce], [true, "failed", "old"]);
  assert.equal(settle(byOld.journal, successor, "finalized", "old is gone", 9).owns, false);
  assert.equal(settle(committed, old, "finalized", "", 8).owns, false);
});

test("settle never makes NEW the owner before commit, nor gives it up for NEW alone", () => {
  assert.deepEqual(settle(begun, successor, "finalized", "", 8), { journal: begun, owns: false });
  assert.deepEqual(settle(committed, successor, "failed", "", 8), { journal: committed, owns: true });
  const ended = settle(begun, old, "failed", "x", 8);
  assert.deepEqual([ended.owns, ended.journal?.attempt?.reason, ended.journal?.done], [true, "x", ["a"]]);
  assert.equal(settle(committed, owner("third"), "finalized", "", 8).journal, committed);
});

test("settle leaves exactly one owner for every pair of decisions", () => {
  const asks = [
    [old, "failed"],
    [old, "finalized"],
    [successor, "finalized"],
    [successor, "failed"],
  ] as const;
  for (const start of [begun, committed])
    for (const first of asks)
      for (const second of asks) {
        const once = settle(start, first[0], first[1], "", 1).journal;
        const twice = settle(once, second[0], second[1], "", 2).journal;
        const [a, b] = [old, successor].map((me) => settle(twice, me, me === old ? "failed" : "finalized", "", 3));
        const final = settle(a?.journal, successor, "finalized", "", 4);
        assert.notEqual(a?.owns, final.owns);
        if (twice?.attempt?.state !== "committed" && twice?.attempt?.state !== "transferring")
          assert.notEqual(a?.owns, b?.owns);
      }
});

test("promote makes NEW the owner unless a third is", () => {
  assert.equal(sure(promote(begun, successor, "old", "a", 9)).attempt?.state, "finalized");
  assert.equal(sure(promote(undefined, successor, "old", "a", 9)).owner.nonce, "new");
  assert.match(String(promote(appoint(begun, owner("third")), successor, "old", "a", 9)), /another generation/);
});

test("the journal remembers the last attempts only", () => {
  let journal = appointed;
  for (let i = 0; i < 100; i++) {
    journal = sure(begin(journal, { old, nonce: "n", attempt: `a${i}` }, i));
    journal = settle(journal, old, "failed", "no", i).journal ?? journal;
  }
  assert.equal(journal.done.length, maxDoneAttempts);
  assert.equal(journal.done.at(-1), "a99");
});

test("appoint uses up the order of who became the owner because nobody was", () => {
  assert.deepEqual(appoint(undefined, old, "a").done, ["a"]);
  assert.deepEqual(appoint(begun, old, "b").done, ["a", "b"]);
});
