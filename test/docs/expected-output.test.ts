import assert from "node:assert/strict";
import { test } from "node:test";
import { outputMatches } from "./expected-output.js";

test("outputMatches forgives times, process ids and widths, and nothing else", () => {
  const shown = "06:57:43.248 web/0 ready after 1.2 s\nweb  Ready  3  28712  0.1s";
  assert.ok(outputMatches(shown, "11:00:00.001 web/0 ready after 900 ms\nweb    Ready  3  57  1.5s  \n"));
  assert.ok(!outputMatches(shown, "11:00:00.001 web/0 ready after 900 ms\nweb    Ready  4  57  1.5s\n"));
  assert.ok(!outputMatches(shown, "11:00:00.001 api/0 ready after 900 ms\nweb    Ready  3  57  1.5s\n"));
  assert.ok(!outputMatches(shown, "11:00:00.001 web/0 ready after 900 ms\n"));
  assert.ok(outputMatches('{"cause":"SIGTERM","seconds":1}', '{"cause":"SIGTERM","seconds":1.3}'));
  assert.ok(!outputMatches('{"cause":"SIGTERM","seconds":1}', '{"cause":"SIGTERM","code":1.3}'));
  assert.ok(!outputMatches("3", "78"));
  assert.ok(!outputMatches("", "something"));
});

test("outputMatches lets a line of dots stand for any lines", () => {
  assert.ok(outputMatches("a\n...\nd", "a\nb\nc\nd\n"));
  assert.ok(outputMatches("a\n...\nd", "a\nd\n"));
  assert.ok(!outputMatches("a\n...\nd", "a\nb\n"));
  assert.ok(!outputMatches("...\nb\nc", "b\nx\nc\n"));
});
