import assert from "node:assert/strict";
import { test } from "node:test";
import { durationText } from "./duration-text.js";

test("durationText names the two largest units", () => {
  const seconds: readonly (readonly [number, string])[] = [
    [-5, "0s"],
    [0, "0s"],
    [0.04, "0s"],
    [0.25, "0.3s"],
    [9.9, "9.9s"],
    [9.96, "10s"],
    [59.4, "59s"],
    [59.6, "1m"],
    [125, "2m5s"],
    [3_600, "1h"],
    [3_661, "1h1m"],
    [90_000, "1d1h"],
    [86_400 * 40, "40d"],
  ];
  for (const [value, text] of seconds) assert.equal(durationText(value * 1000), text, `${value}`);
});
