import assert from "node:assert/strict";
import { test } from "node:test";
import { suggest, typingDistance } from "./suggest.js";

const keys = [
  "command",
  "dependsOn",
  "readinessProbe",
  "livenessProbe",
  "gracePeriodSeconds",
  "log",
  "upgrade",
  "upgrade_sock",
  "tcp",
  "_",
  "A",
];

test("suggest finds the key when a letter is missing, swapped or doubled, or the separators differ", () => {
  const pairs = [
    ["comand", "command"],
    ["commnad", "command"],
    ["depends_on", "dependsOn"],
    ["readyness-probe", "readinessProbe"],
    ["grace_period", "gracePeriodSeconds"],
    ["logging", "log"],
    ["upgrade_socket", "upgrade_sock"],
  ];
  for (const [written, meant] of pairs) assert.equal(suggest(written ?? "", keys), meant, written);
});

test("suggest is silent when nothing is near, or the word is known", () => {
  for (const word of ["xyzzy", "ports", "", "c", "N", "lag9", "command"])
    assert.equal(suggest(word, keys), undefined, word);
});

test("typingDistance counts insertions, deletions, substitutions and swaps, up to its limit", () => {
  assert.equal(typingDistance("abc", "abc", 9), 0);
  assert.equal(typingDistance("abc", "ab", 9), 1);
  assert.equal(typingDistance("abc", "axc", 9), 1);
  assert.equal(typingDistance("abc", "bac", 9), 1);
  assert.equal(typingDistance("", "abcd", 9), 4);
  assert.equal(typingDistance("aaaaaaaaaa", "bbbbbbbbbb", 3), 3);
});
