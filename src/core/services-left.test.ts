import assert from "node:assert/strict";
import { test } from "node:test";
import type { StateBlob } from "./handover-frame.js";
import { readServicesLeft, servicesBlob } from "./services-left.js";

const left = { completed: ["migrate"], running: ["index"], held: ["queue"] };

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
