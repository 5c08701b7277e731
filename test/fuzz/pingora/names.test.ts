import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeKnock,
  decodePingoraNames,
  encodeKnock,
  encodePingoraNames,
  isFrame,
  matchPingoraSockets,
  mostPingoraBytes,
} from "../../../src/core/pingora-handover.js";
import { seeded } from "../../fakes/random.js";

/** FUZZ_SECONDS and FUZZ_SEED make a longer run from another beginning: FUZZ_SECONDS=600 FUZZ_SEED=7 node scripts/test.mjs test/fuzz/pingora */
const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const firstSeed = Number(process.env.FUZZ_SEED ?? 1);
const seeds = [
  encodePingoraNames(["127.0.0.1:80", "[::1]:443", "/run/app.sock"]),
  encodePingoraNames(Array.from({ length: 32 }, (_, i) => `10.0.0.${i}:8080`)),
  encodePingoraNames([`/${"ü".repeat(500)}`]),
  encodeKnock("26:1048577"),
  Buffer.from([0, 0, 0, 2, 123, 125]),
];

function damaged(random: () => number): Buffer {
  const below = (most: number) => Math.floor(random() * most);
  let bytes = Buffer.from(seeds[below(seeds.length)] ?? []);
  for (let changes = below(5); changes > 0; changes--) {
    const at = below(bytes.length + 1);
    const put = [
      () => Buffer.from([below(256)]),
      () => Buffer.alloc(0),
      () => Buffer.from([" ", "\0", "  ", "\t\n", "\u2028", "__proto__ ", "\ud800"][below(7)] ?? ""),
      () => Buffer.from(seeds[below(seeds.length)] ?? []).subarray(below(40)),
    ][below(4)]?.();
    bytes = Buffer.concat([bytes.subarray(0, at), put ?? Buffer.alloc(0), bytes.subarray(at + below(3))]);
  }
  return bytes;
}

test("decodePingoraNames and decodeKnock give sound values or a reason, whatever the bytes", () => {
  const until = performance.now() + seconds * 1000;
  let taken = 0;
  let seed = firstSeed;
  for (; seed < firstSeed + 20_000 || performance.now() < until; seed++) {
    const random = seeded(seed);
    const bytes = damaged(random);
    const words = bytes
      .toString("latin1")
      .split(/[ \t\n\f\r]+/)
      .filter(Boolean).length;
    const count = random() < 0.8 ? words : Math.floor(random() * 300);
    const names = decodePingoraNames(bytes, count);
    if (names.ok) {
      taken += 1;
      assert.equal(names.keys.length, count, `seed ${seed}`);
      assert.ok(bytes.length <= mostPingoraBytes);
      assert.deepEqual(decodePingoraNames(encodePingoraNames(names.keys), count), names, `seed ${seed}`);
      const sockets = names.keys.map((key) => ({ key, address: key, type: "stream" as const }));
      assert.equal(matchPingoraSockets([], sockets, () => []).unclaimed.length, count);
    } else assert.ok(names.reason.length > 0 && names.reason.length < 100);
    if (decodeKnock(bytes) !== undefined) assert.ok(isFrame(bytes));
  }
  assert.ok(taken > 1000, `only ${taken} were taken`);
  console.log(`${seed - firstSeed} inputs, ${taken} taken`);
});
