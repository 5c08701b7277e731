import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeHandoverFrame, encodeHandoverFrame, HandoverFrameError } from "../../../src/core/handover-codec.js";
import { descriptorsOf, type HandoverFrame, maxHandoverFrameBytes } from "../../../src/core/handover-frame.js";
import { journalText, maxDoneAttempts, parseJournal } from "../../../src/core/handover-journal.js";
import { HandoverReader } from "../../../src/core/handover-reader.js";
import { seeded } from "../../fakes/random.js";
import { frameSeeds, journalSeeds } from "./seeds.js";

/** FUZZ_SECONDS and FUZZ_SEED make a longer run from another beginning: FUZZ_SECONDS=600 FUZZ_SEED=7 node scripts/test.mjs test/fuzz/handover */
const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const firstSeed = Number(process.env.FUZZ_SEED ?? 1);
const oddTexts = [
  "",
  "null",
  "-1",
  "1e999",
  "[]",
  "{}",
  '"\\ud800"',
  "true",
  "9007199254740993",
  "\0",
  '"__proto__"',
  "[[[[",
];

type Random = () => number;
const below = (random: Random, most: number) => Math.floor(random() * most);

/** One of the seeds with some bytes changed, cut out, put twice, or taken from another. */
function damaged(seeds: readonly Uint8Array[], random: Random): Buffer {
  let bytes = Buffer.from(seeds[below(random, seeds.length)] ?? []);
  for (let changes = 1 + below(random, 4); changes > 0; changes--) {
    const [at, length] = [below(random, bytes.length + 1), below(random, 12)];
    const other = seeds[below(random, seeds.length)] ?? new Uint8Array();
    const from = below(random, other.length);
    const put = [
      () => Buffer.from([below(random, 256)]),
      () => Buffer.alloc(0),
      () => Buffer.concat([bytes.subarray(at, at + length), bytes.subarray(at, at + length)]),
      () => Buffer.from(other.subarray(from, from + below(random, 200))),
      () => Buffer.from(oddTexts[below(random, oddTexts.length)] ?? ""),
    ][below(random, 5)]?.();
    bytes = Buffer.concat([bytes.subarray(0, at), put ?? Buffer.alloc(0), bytes.subarray(at + length)]);
  }
  return bytes;
}

/** What was taken for a frame must be one: it survives being written and read again, and its numbers are in their bounds. */
function sound(frame: HandoverFrame): void {
  const again = encodeHandoverFrame(frame);
  assert.deepEqual(decodeHandoverFrame(again.subarray(4)), frame);
  assert.ok(descriptorsOf(frame) <= 253);
  assert.ok(again.length <= maxHandoverFrameBytes + 4);
}

/** undefined: refused, or to be ignored */
function decoded(payload: Uint8Array): HandoverFrame | undefined {
  try {
    return decodeHandoverFrame(payload);
  } catch (error) {
    if (!(error instanceof HandoverFrameError)) throw error;
    return undefined;
  }
}

async function inputs(try_: (random: Random) => void): Promise<void> {
  const until = performance.now() + seconds * 1000;
  let seed = firstSeed;
  for (; seed < firstSeed + 20_000 || performance.now() < until; seed++) {
    try {
      try_(seeded(seed));
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    if (seed % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  console.log(`${seed - firstSeed} inputs`);
}

test("decodeHandoverFrame gives a sound frame or a HandoverFrameError for damaged frames", async () => {
  const payloads = frameSeeds.map((frame) => encodeHandoverFrame(frame).subarray(4));
  let taken = 0;
  await inputs((random) => {
    const frame = decoded(damaged(payloads, random));
    if (frame === undefined) return;
    taken++;
    sound(frame);
  });
  assert.ok(taken > 100, `only ${taken} were taken`);
});

test("HandoverReader ends or goes on with damaged streams, in any pieces, within its memory", async () => {
  const streams = frameSeeds.map((_, i) =>
    Buffer.concat([0, 1, 2].map((n) => encodeHandoverFrame(frameSeeds[(i + n) % frameSeeds.length] as HandoverFrame))),
  );
  await inputs((random) => {
    const bytes = damaged(streams, random);
    const reader = new HandoverReader(random() < 0.5 ? 1000 : maxHandoverFrameBytes);
    try {
      for (let from = 0; from < bytes.length; ) {
        const size = 1 + below(random, 300);
        reader.push(bytes.subarray(from, from + size));
        from += size;
        for (let payload = reader.next(); payload !== undefined; payload = reader.next()) {
          const frame = decoded(payload);
          if (frame !== undefined) sound(frame);
        }
        assert.ok(reader.pending <= bytes.length);
      }
    } catch (error) {
      if (!(error instanceof HandoverFrameError)) throw error;
    }
  });
});

test("parseJournal gives a sound journal or undefined for damaged texts", async () => {
  const texts = journalSeeds.map((journal) => Buffer.from(journalText(journal)));
  let taken = 0;
  await inputs((random) => {
    const journal = parseJournal(damaged(texts, random).toString("utf8"));
    if (journal === undefined) return;
    taken++;
    assert.ok(journal.done.length <= maxDoneAttempts);
    assert.deepEqual(parseJournal(journalText(journal)), journal);
  });
  assert.ok(taken > 100, `only ${taken} were taken`);
});
