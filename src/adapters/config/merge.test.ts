import assert from "node:assert/strict";
import { test } from "node:test";
import { type Random, randomOf } from "../../../test/config/random.js";
import { mergeMaps } from "./merge.js";
import { type ConfigNode, type MapNode, placeOf, scalar } from "./node.js";
import { plainValue } from "./plain-value.js";

const place = (name: string) => ({ origin: { name }, offset: 0 });

function randomNode(random: Random, name: string, depth: number): ConfigNode {
  const kind = depth === 0 ? 0 : random.below(4);
  if (kind === 3) return { kind: "list", items: [randomNode(random, name, 0)], ...place(name) };
  return kind === 0 ? scalar(random.below(100), "n", place(name)) : randomMap(random, name, depth - 1);
}

function randomMap(random: Random, name: string, depth: number): MapNode {
  const names = ["a", "b", "c", "d"].filter(() => random.chance(0.6));
  const entries = names.map((key) => [key, { key: place(name), value: randomNode(random, name, depth) }] as const);
  return { kind: "map", entries: new Map(entries), ...place(name) };
}

/** The value and the layer it came from, at the end of `path`. */
function at(node: ConfigNode | undefined, path: readonly string[]): ConfigNode | undefined {
  const [first, ...rest] = path;
  if (first === undefined || node === undefined) return node;
  return node.kind === "map" ? at(node.entries.get(first)?.value, rest) : undefined;
}

function paths(node: ConfigNode): string[][] {
  if (node.kind !== "map") return [[]];
  return [...node.entries].flatMap(([name, { value }]) => paths(value).map((rest) => [name, ...rest]));
}

test("mergeMaps keeps all of the upper layer, and of the lower what the upper does not touch, with their sources", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = randomOf(seed);
    const [low, high] = [randomMap(random, "low", 3), randomMap(random, "high", 3)];
    const merged = mergeMaps(low, high);
    for (const path of paths(high)) {
      const value = at(merged, path);
      if (value?.kind === "map") continue;
      assert.deepEqual(value && plainValue(value), plainValue(at(high, path) as ConfigNode));
      assert.equal(value && placeOf(value).name, "high");
    }
    for (const path of paths(low)) {
      const touched = path.some((_, i) => {
        const above = at(high, path.slice(0, i + 1));
        return above !== undefined && above.kind !== "map";
      });
      if (!touched && at(high, path) === undefined) assert.deepEqual(at(merged, path), at(low, path));
    }
  }
});

test("mergeMaps makes of a layer over itself, over nothing or under nothing that layer", () => {
  const empty: MapNode = { kind: "map", entries: new Map(), ...place("none") };
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    const a = randomMap(random, "a", 2);
    assert.deepEqual(plainValue(mergeMaps(a, a)), plainValue(a));
    assert.deepEqual(plainValue(mergeMaps(empty, a)), plainValue(a));
    assert.deepEqual(plainValue(mergeMaps(a, empty)), plainValue(a));
  }
});

test("mergeMaps lets a key without a value change nothing, and a written null take the value back", () => {
  const map = (entries: Record<string, ConfigNode>): MapNode => ({
    kind: "map",
    entries: new Map(Object.entries(entries).map(([name, value]) => [name, { key: place("x"), value }])),
    ...place("x"),
  });
  const one = scalar(1, "1", place("x"));
  const base = map({ a: one, b: map({ c: one }) });
  assert.deepEqual(
    plainValue(mergeMaps(base, map({ a: scalar(null, "", place("x")), b: scalar(null, "", place("x")) }))),
    { a: 1, b: { c: 1 } },
  );
  assert.deepEqual(
    plainValue(mergeMaps(base, map({ a: scalar(null, "null", place("x")), b: scalar(null, "~", place("x")) }))),
    { a: null, b: null },
  );
});
