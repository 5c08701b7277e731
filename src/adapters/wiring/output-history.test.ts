import assert from "node:assert/strict";
import { test } from "node:test";
import type { OutputLine } from "../../runtime/ports.js";
import { OutputMemory } from "./output-history.js";

const line = (service: string, text: string, at = 0): OutputLine => ({
  at,
  service,
  id: `${service}/0#1`,
  stream: "stdout",
  text,
});
const texts = (lines: readonly OutputLine[]): string[] => lines.map(({ text }) => text);

test("tail gives the last lines, oldest first, of one service or of all by time", () => {
  const memory = new OutputMemory();
  memory.record(line("a", "a1", 1));
  memory.record(line("b", "b1", 2));
  memory.record(line("a", "a2", 3));
  memory.record(line("a", "a3", 3));
  assert.deepEqual(texts(memory.tail("a", 10)), ["a1", "a2", "a3"]);
  assert.deepEqual(texts(memory.tail("a", 1)), ["a3"]);
  assert.deepEqual(texts(memory.tail(undefined, 3)), ["b1", "a2", "a3"]);
  assert.deepEqual(texts(memory.tail("nobody", 3)), []);
  assert.deepEqual(texts(memory.tail("a", 0)), []);
});

test("record forgets the oldest lines when there are too many, or they are too long", () => {
  const memory = new OutputMemory({ lines: 3, characters: 100 });
  for (let index = 0; index < 1000; index += 1) memory.record(line("a", `${index}`));
  assert.deepEqual(texts(memory.tail("a", 10)), ["997", "998", "999"]);
  memory.record(line("a", "x".repeat(99)));
  assert.deepEqual(texts(memory.tail("a", 10)), ["x".repeat(99)]);
  memory.record(line("a", "y".repeat(101)));
  assert.deepEqual(texts(memory.tail("a", 10)), []);
});

test("record keeps the words of a quiet service when another one floods", () => {
  const memory = new OutputMemory({ lines: 100, characters: 1000 });
  memory.record(line("quiet", "I am ready"));
  for (let index = 0; index < 1000; index += 1) memory.record(line("loud", "x".repeat(90)));
  assert.deepEqual(texts(memory.tail("quiet", 5)), ["I am ready"]);
  assert.equal(memory.tail("loud", 100).length, 5);
});

test("follow tells of the lines of its service until it is left", () => {
  const memory = new OutputMemory();
  const [one, all]: [string[], string[]] = [[], []];
  const leave = memory.follow("a", ({ text }) => one.push(text));
  memory.follow(undefined, ({ text }) => all.push(text));
  memory.record(line("a", "1"));
  memory.record(line("b", "2"));
  leave();
  memory.record(line("a", "3"));
  assert.deepEqual([one, all], [["1"], ["1", "2", "3"]]);
});
