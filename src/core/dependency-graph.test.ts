import assert from "node:assert/strict";
import { test } from "node:test";
import { type Edges, reachable, startWaves } from "./dependency-graph.js";

/** Same numbers for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function randomEdges(seed: number, nodes: number, acyclic: boolean): Edges {
  const next = random(seed);
  const names = Array.from({ length: nodes }, (_, i) => `n${i}`);
  const order = [...names].sort(() => next() - 0.5);
  return new Map(
    order.map((name, i) => {
      const pool = acyclic ? order.slice(i + 1) : names;
      return [name, pool.filter(() => next() < 3 / nodes)];
    }),
  );
}

test("startWaves puts every node in one wave, right after the last of its needs, for any acyclic graph", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const edges = randomEdges(seed, 1 + (seed % 60), true);
    const order = startWaves(edges);
    assert.deepEqual(order.cycles, []);
    const wave = new Map(order.waves.flatMap((names, i) => names.map((name): [string, number] => [name, i])));
    assert.equal(wave.size, edges.size);
    assert.equal(order.waves.flat().length, edges.size);
    for (const [name, needs] of edges) {
      const after = Math.max(-1, ...needs.map((need) => wave.get(need) ?? Number.NaN));
      assert.equal(wave.get(name), after + 1, `seed ${seed}: ${name}`);
    }
  }
});

test("startWaves shows one cycle for each set of nodes that need each other, and puts the set in one wave", () => {
  let several = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const edges = randomEdges(seed, 2 + (seed % 30), false);
    const order = startWaves(edges);
    const reached = new Map([...edges.keys()].map((name) => [name, reachable(edges, name)]));
    const together = (a: string, b: string): boolean =>
      reached.get(a)?.has(b) === true && reached.get(b)?.has(a) === true;
    const sets = new Set([...edges.keys()].flatMap((a) => [...edges.keys()].find((b) => together(a, b)) ?? []));
    assert.equal(order.cycles.length, sets.size, `seed ${seed}`);
    if (order.cycles.length > 1) several += 1;
    for (const cycle of order.cycles) {
      assert.ok(cycle.length >= 2);
      assert.equal(cycle[0], cycle.at(-1));
      assert.equal(new Set(cycle).size, cycle.length - 1);
      for (const [i, name] of cycle.slice(0, -1).entries()) assert.ok(edges.get(name)?.includes(cycle[i + 1] ?? ""));
    }
    const wave = new Map(order.waves.flatMap((names, i) => names.map((name): [string, number] => [name, i])));
    assert.equal(order.waves.flat().length, edges.size);
    for (const [name, needs] of edges)
      for (const need of needs)
        assert.ok(
          together(name, need) === (wave.get(name) === wave.get(need)) &&
            (wave.get(name) ?? 0) >= (wave.get(need) ?? 0),
        );
  }
  assert.ok(several > 5, `${several}`);
});

test("startWaves passes over names it does not know, and shows a node that needs itself", () => {
  assert.deepEqual(startWaves(new Map([["a", ["ghost"]]])), { waves: [["a"]], cycles: [] });
  assert.deepEqual(startWaves(new Map([["a", ["a"]]])), { waves: [["a"]], cycles: [["a", "a"]] });
  assert.deepEqual(startWaves(new Map()), { waves: [], cycles: [] });
});

test("startWaves takes a chain of 20,000 and a dense graph of 1,000 in a moment", () => {
  const chain = new Map(
    Array.from({ length: 20_000 }, (_, i): [string, string[]] => [`c${i}`, i === 0 ? [] : [`c${i - 1}`]]),
  );
  const dense = new Map(
    Array.from({ length: 1_000 }, (_, i): [string, string[]] => [
      `d${i}`,
      Array.from({ length: i }, (_, j) => `d${j}`),
    ]),
  );
  const from = performance.now();
  const a = startWaves(new Map([...chain].reverse()));
  const b = startWaves(dense);
  const ring = startWaves(new Map([...chain, ["c0", ["c19999"]]]));
  assert.equal(a.waves.length, 20_000);
  assert.equal(b.waves.length, 1_000);
  assert.equal(ring.cycles[0]?.length, 20_001);
  assert.ok(performance.now() - from < 2_000);
});
