import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";
import { decodeFrame, encodeFrame, FrameError, maxFrameBytes } from "./frame.js";
import { readReply } from "./reply.js";
import { decodeText, encodeText } from "./text.js";

const verbs = "WELCOME SYNC SYNCED SIGNAL EXITED REAPED SPAWNED SPAWN-FAILED SIGNALLED HELD ERROR HELLO *".split(" ");
const words =
  "1 0 -1 15 99 child running exited held state code signal x 12345678901234567890 1e3 é \ud83d\ude00 \udcff".split(
    " ",
  );

test("decodeFrame returns verb and fields when given what encodeFrame made of them", () => {
  for (const fields of [[], [""], ["", ""], ["a", "", "b"], ["TÜR=→ 😀", "\udc80x\udcff"], ["x".repeat(100_000)]]) {
    assert.deepEqual(decodeFrame(encodeFrame("SPAWN", fields)), { verb: "SPAWN", fields });
  }
});

test("encodeText returns the very bytes when given what decodeText made of them", () => {
  const cases = [
    "",
    "a",
    "ÿ",
    "\x80",
    "é(\xc3",
    "\xed\xa0\x80",
    "\xf0\x9f\x98",
    "\xf0\x9f\x98\x80",
    "\xc0\xaf",
    "\xff\xfe",
  ];
  const samples = cases.map((text) => Buffer.from(text, "latin1"));
  for (let round = 0; round < 2000; round++) samples.push(randomBytes(randomInt(24)));
  for (const bytes of samples) assert.deepEqual(encodeText(decodeText(bytes)), bytes, bytes.toString("hex"));
});

test("decodeText reads UTF-8 as Unicode when it is mixed with other bytes", () => {
  assert.equal(decodeText(Buffer.from([0xc3, 0xa9, 0xff, 0x61, 0xf0, 0x9f, 0x98, 0x80])), "é\udcffa😀");
});

test("encodeFrame refuses a field with a NUL and a frame beyond the limit", () => {
  assert.throws(() => encodeFrame("SPAWN", ["a\0b"]), FrameError);
  assert.throws(() => encodeFrame("SPAWN", ["x".repeat(maxFrameBytes)]), FrameError);
});

test("decodeFrame refuses when the frame has no verb or no end", () => {
  for (const text of ["", "\0", "SPAWN", "spawn\0", "-A\0", "A B\0", `${"A".repeat(40)}\0`, "**\0"]) {
    assert.throws(() => decodeFrame(Buffer.from(text)), FrameError, JSON.stringify(text));
  }
});

test("readReply throws nothing but FrameError when it is given garbage", () => {
  let understood = 0;
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const pick = (from: readonly string[]) => from[randomInt(from.length)] ?? "";
    const fields = Array.from({ length: randomInt(11) }, () => pick(words));
    const bytes = encodeFrame(pick(verbs), fields);
    const damaged = randomInt(4) === 0 ? Buffer.concat([bytes, randomBytes(randomInt(8))]) : bytes;
    if (randomInt(4) === 0 && damaged.length > 0) damaged[randomInt(damaged.length)] = randomInt(256);
    try {
      readReply(decodeFrame(damaged));
      understood++;
    } catch (error) {
      assert.ok(error instanceof FrameError, String(error));
      refused++;
    }
  }
  assert.ok(understood > 10 && refused > 1000, `${understood} understood, ${refused} refused`);
});

test("readReply returns an exit in milliseconds when a child was killed", () => {
  const frame = decodeFrame(encodeFrame("EXITED", ["web", "77", "signal", "9", "1500", "250", "4096", "123456"]));
  assert.deepEqual(readReply(frame), {
    kind: "exited",
    id: "web",
    pid: 77,
    status: { signal: "SIGKILL" },
    usage: { userMs: 1.5, systemMs: 0.25, maxRssKb: 4096 },
    at: 123456,
  });
});
