import assert from "node:assert/strict";
import { test } from "node:test";
import { LineSplitter } from "./line-splitter.js";

function collect(
  limit: number,
  chunks: readonly Uint8Array[],
  end = true,
): { readonly text: string; readonly whole: boolean }[] {
  const splitter = new LineSplitter(limit);
  const lines: { text: string; whole: boolean }[] = [];
  const receive = (bytes: Uint8Array, whole: boolean): void => {
    assert.ok(bytes.length <= limit, `a line of ${bytes.length} bytes where ${limit} are allowed`);
    lines.push({ text: Buffer.from(bytes).toString("latin1"), whole });
  };
  for (const chunk of chunks) {
    // the window is the caller's: it is overwritten as soon as push returns
    const window = Uint8Array.from(chunk);
    splitter.push(window, receive);
    window.fill(0x58);
  }
  if (end) splitter.end(receive);
  return lines;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const whole = (text: string) => ({ text, whole: true });
const part = (text: string) => ({ text, whole: false });

test("LineSplitter hands out whole lines when a chunk holds several", () => {
  assert.deepEqual(collect(16, [bytes("a\n\nbc\n")]), [whole("a"), whole(""), whole("bc")]);
});

test("LineSplitter joins a line when it comes in pieces", () => {
  assert.deepEqual(collect(16, [bytes("he"), bytes("ll"), bytes("o\nwor"), bytes("ld")]), [
    whole("hello"),
    whole("world"),
  ]);
});

test("LineSplitter keeps an unfinished line to itself until end", () => {
  assert.deepEqual(collect(16, [bytes("prompt> ")], false), []);
  assert.deepEqual(collect(16, [bytes("prompt> ")]), [whole("prompt> ")]);
});

test("LineSplitter cuts and marks a line when it is longer than the limit", () => {
  assert.deepEqual(collect(4, [bytes("abcdefghij\nk\n")]), [part("abcd"), part("efgh"), whole("ij"), whole("k")]);
  assert.deepEqual(collect(4, [bytes("abcd\n")]), [whole("abcd")]);
});

test("LineSplitter cuts between characters when the line is UTF-8, anywhere when it is not", () => {
  const euro = Buffer.from("€").toString("latin1");
  assert.deepEqual(collect(4, [bytes(`${euro}${euro}\n`)]), [part(euro), whole(euro)]);
  assert.deepEqual(collect(4, [bytes("\x80\x80\x80\x80\x80\x80\n")]), [part("\x80\x80\x80\x80"), whole("\x80\x80")]);
});

test("LineSplitter loses, adds and reorders no byte when random bytes come in random chunks", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  for (let round = 0; round < 300; round += 1) {
    const input = Uint8Array.from({ length: random(400) }, () => (random(6) === 0 ? 0x0a : random(256)));
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < input.length; ) {
      const size = 1 + random(60);
      chunks.push(input.subarray(at, at + size));
      at += size;
    }
    const lines = collect(4 + random(20), chunks);
    const joined = lines.map((line) => line.text + (line.whole ? "\n" : "")).join("");
    const expected = Buffer.from(input).toString("latin1");
    assert.equal(joined, expected === "" || expected.endsWith("\n") ? expected : `${expected}\n`);
  }
});

test("LineSplitter holds at most the limit when a line never ends", () => {
  const splitter = new LineSplitter(1024);
  const chunk = new Uint8Array(700).fill(0x61);
  for (let index = 0; index < 100; index += 1) {
    splitter.push(chunk, () => {});
    assert.ok(splitter.pending <= 1024);
  }
});
