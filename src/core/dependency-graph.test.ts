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
    assert.ok(order.ok);
    const wave = new Map(order.waves.flatMap((names, i) => names.map((name): [string, number] => [name, i])));
    assert.equal(wave.size, edges.size);
    assert.equal(order.waves.flat().length, edges.size);
    for (const [name, needs] of edges) {
      const after = Math.max(-1, ...needs.map((need) => wave.get(need) ?? Number.NaN));
      assert.equal(wave.get(name), after + 1, `seed ${seed}: ${name}`);
    }
  }
});

test("startWaves either orders a graph or shows a cycle that is in it", () => {
  let cycles = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const edges = randomEdges(seed, 2 + (seed % 30), false);
    const order = startWaves(edges);
    const cyclic = [...edges.keys()].some((name) => reachable(edges, name).has(name));
    assert.equal(order.ok, !cyclic);
    if (order.ok) continue;
    cycles += 1;
    assert.ok(order.cycle.length >= 2);
    assert.equal(order.cycle[0], order.cycle.at(-1));
    assert.equal(new Set(order.cycle).size, order.cycle.length - 1);
    for (const [i, name] of order.cycle.slice(0, -1).entries())
      assert.ok(edges.get(name)?.includes(order.cycle[i + 1] ?? ""));
  }
  assert.ok(cycles > 20);
});

test("startWaves passes over names it does not know, and shows a node that needs itself", () => {
  assert.deepEqual(startWaves(new Map([["a", ["ghost"]]])), { ok: true, waves: [["a"]] });
  assert.deepEqual(startWaves(new Map([["a", ["a"]]])), { ok: false, cycle: ["a", "a"] });
  assert.deepEqual(startWaves(new Map()), { ok: true, waves: [] });
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
  assert.ok(a.ok && a.waves.length === 20_000);
  assert.ok(b.ok && b.waves.length === 1_000);
  assert.ok(performance.now() - from < 2_000);
});
