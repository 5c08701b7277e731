import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../test/fakes/random.js";
import { isoTime } from "./iso-time.js";

test("isoTime writes what Date does, for every day of two centuries and at random instants", () => {
  for (let day = -36_525; day < 73_050; day++)
    assert.equal(isoTime(day * 86_400_000), new Date(day * 86_400_000).toISOString());
  const random = seeded(3);
  for (let i = 0; i < 10_000; i++) {
    const at = Math.floor(random() * 4_102_444_800_000);
    assert.equal(isoTime(at), new Date(at).toISOString());
  }
});
