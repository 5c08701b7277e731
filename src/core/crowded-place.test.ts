import assert from "node:assert/strict";
import { test } from "node:test";
import { givesWay } from "./crowded-place.js";

const knocks = (text: string) =>
  text.split(" ").map((word, at) => ({ at, pid: Number.parseInt(word, 10), silent: word.endsWith("s") }));

test("givesWay takes the oldest silent one of the process that has the most places", () => {
  for (const [text, at] of [
    ["1s 2s 2s 3s", 1],
    ["1s 2 2s 3s", 2],
    ["1s 2 2 3s", 1],
    ["1 2s 3s", 1],
    ["1 2 3", 0],
    ["7s", 0],
  ] as const)
    assert.equal(givesWay(knocks(text))?.at, at, text);
  assert.equal(givesWay([]), undefined);
});
