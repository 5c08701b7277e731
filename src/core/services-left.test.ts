import assert from "node:assert/strict";
import { test } from "node:test";
import type { StateBlob } from "./handover-frame.js";
import { readServicesLeft, servicesBlob, strategyLeft } from "./services-left.js";

const left = { completed: ["migrate"], running: ["index"], held: ["queue"], strategies: { index: "own" } } as const;

test("readServicesLeft reads what servicesBlob wrote, among others", () => {
  const other: StateBlob = { name: "keys", schema: "keys/1", critical: false, text: "x" };
  assert.deepEqual(readServicesLeft([other, servicesBlob(left)]), left);
});

test("readServicesLeft takes a release that does not tell, or what it does not know, for nothing told", () => {
  const blob = servicesBlob(left);
  for (const blobs of [[], [{ ...blob, schema: "services/2" }], [{ ...blob, text: "{" }], [{ ...blob, text: "null" }]])
    assert.equal(readServicesLeft(blobs), undefined);
});

test("readServicesLeft passes over fields that it does not know, and entries that are no names", () => {
  const text = JSON.stringify({ completed: ["a", 1, null], later: true });
  assert.deepEqual(readServicesLeft([{ ...servicesBlob(left), text }]), { completed: ["a"], running: [], held: [] });
});

test("strategyLeft knows nothing of what is not told", () => {
  assert.deepEqual(
    ["index", "web", "toString"].map((name) => strategyLeft(left, name)),
    ["own", undefined, undefined],
  );
  assert.equal(strategyLeft({ completed: [], running: ["web"], held: [] }, "web"), undefined);
});

test("readServicesLeft passes over strategies that it does not know", () => {
  const text = JSON.stringify({ running: ["a", "b"], strategies: { a: "restart", b: "later" } });
  const read = readServicesLeft([{ ...servicesBlob(left), text }]);
  assert.deepEqual(read?.strategies, { a: "restart" });
});
