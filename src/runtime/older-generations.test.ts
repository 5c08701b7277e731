import assert from "node:assert/strict";
import { test } from "node:test";
import type { OlderGeneration, OlderNews } from "../core/handover-frame.js";
import { OlderGenerations } from "./older-generations.js";

const old = (generation: number, more: Partial<OlderGeneration> = {}): OlderGeneration => ({
  generation,
  release: `r${generation}`,
  build: "",
  pid: 10 * generation,
  ...more,
});

const left = (connections: number, deadlineAt?: number) => ({ connections, deadlineAt });

interface Given {
  readonly line?: number;
  /** of generations 1, 2, ... as `old` makes them */
  readonly lines?: readonly number[];
  readonly saved?: OlderNews;
  readonly predecessor?: OlderGeneration;
  readonly told?: OlderNews;
}

function open({ line = 3, lines = [1, 2], saved, predecessor, told }: Given) {
  const recovered = { restarts: 0, children: [], held: new Map(), state: new Map() };
  const living = lines.map((each) => ({ line: each, pid: 10 * each }));
  let changes = 0;
  const older = new OlderGenerations({
    init: { line, recovered: { ...recovered, lines: living } },
    saved,
    predecessor,
    told,
    changed: () => {
      changes += 1;
    },
  });
  const seen = () => older.views.map(({ generation, connections }) => [generation, connections]);
  return { older, seen, changes: () => changes };
}

test("OlderGenerations lists what the predecessor tells, and the predecessor when it has let go", () => {
  const { older, seen } = open({ predecessor: old(2), told: { generations: [old(1, { line: 1 })], lines: [1] } });
  assert.deepEqual(seen(), [[1, undefined]]);
  older.settled();
  assert.deepEqual(older.views, [old(1), old(2)]);
  older.progress(left(4), false, { generations: [old(1, { line: 1, connections: 3 })], lines: [1] });
  assert.deepEqual(seen(), [
    [1, 3],
    [2, 4],
  ]);
  assert.deepEqual(older.news, {
    generations: [old(1, { line: 1, connections: 3 }), old(2, { line: 2, connections: 4 })],
    lines: [2, 1],
  });
  older.progress(left(0), true, { generations: [old(1, { line: 1, connections: 3 })], lines: [1] });
  assert.deepEqual(seen(), [[1, 3]]);
});

test("OlderGenerations knows the predecessor's deadline, also when its supervisor is the next", () => {
  const { older } = open({ predecessor: old(2) });
  older.progress(left(4, 9_000), false, undefined);
  older.progress(left(3, 8_000), false, undefined);
  assert.deepEqual(older.views, [old(2, { connections: 3, deadlineAt: 8_000 })]);
  assert.deepEqual(open({ saved: older.saved }).older.views, [old(2, { deadlineAt: 8_000 })]);
});

test("OlderGenerations drops what has ended: as the init tells, or as the predecessor was told while it was the owner", () => {
  const given = { predecessor: old(2), told: { generations: [old(1, { line: 1 })], lines: [1] } };
  const first = open(given);
  first.older.settled();
  first.older.lineEnded(1);
  assert.deepEqual([first.seen(), first.older.count, first.changes()], [[[2, undefined]], 1, 2]);
  first.older.progress(left(1), false, given.told);
  assert.deepEqual(first.seen(), [[2, 1]], "the predecessor has not heard of it");
  first.older.lineEnded(2);
  assert.deepEqual([first.seen(), first.older.count], [[], 0]);
  first.older.lineEnded(7);
  assert.equal(first.changes(), 4);
  const second = open(given);
  second.older.progress(left(1), false, { generations: [], lines: [] });
  assert.deepEqual([second.seen(), second.older.count], [[[2, 1]], 1]);
});

test("OlderGenerations counts lines that it knows nothing of, but not those of candidates that failed", () => {
  const silent = open({ predecessor: old(2) });
  silent.older.settled();
  assert.deepEqual([silent.seen(), silent.older.count], [[[2, undefined]], 2], "of a release that tells nothing");
  const told = open({ line: 4, lines: [1, 2, 3], predecessor: old(2), told: { generations: [], lines: [1] } });
  assert.equal(told.older.count, 2);
});

test("OlderGenerations keeps what lives under our init when the predecessor falls silent, without what grows old", () => {
  const told = { generations: [old(1, { line: 1, connections: 3 })], lines: [1] };
  const { older, seen } = open({ predecessor: old(2), told });
  older.lost();
  older.settled();
  assert.deepEqual(seen(), [
    [1, undefined],
    [2, undefined],
  ]);
});

test("OlderGenerations forgets another container's generations with the one that told of them", () => {
  const told = { generations: [old(1, { line: 1 }), old(2)], lines: [1] };
  const { older, seen } = open({ line: 1, lines: [], predecessor: old(3), told });
  older.progress(left(1), false, told);
  assert.deepEqual([seen().length, older.count, older.news.lines], [3, 3, []]);
  assert.ok(older.news.generations.every(({ line }) => line === undefined));
  older.progress(left(0), true, told);
  assert.equal(older.count, 2);
  older.lost();
  assert.equal(older.count, 0);
});

test("OlderGenerations of a restarted supervisor lists what was saved and lives", () => {
  const told = { generations: [old(1, { line: 1, connections: 3 })], lines: [1] };
  const before = open({ predecessor: old(2), told });
  const { saved } = before.older;
  before.older.settled();
  before.older.progress(left(5), false, told);
  assert.deepEqual(before.older.saved, saved, "what changes with every connection is not saved");
  const after = open({ saved, lines: [2] });
  assert.deepEqual([after.seen(), after.older.count, after.older.news.lines], [[[2, undefined]], 1, [2]]);
});

test("OlderGenerations tells no process id of a dead supervisor", () => {
  const { older } = open({ predecessor: old(2) });
  older.settled();
  older.lost();
  assert.deepEqual(
    older.views.map(({ pid }) => pid),
    [0],
  );
  // the next supervisor of this generation hears of the living one from the init
  assert.deepEqual(
    open({ saved: older.saved }).older.views.map(({ pid }) => pid),
    [20],
  );
});
