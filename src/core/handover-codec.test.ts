import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../test/fakes/random.js";
import { decodeHandoverFrame, encodeHandoverFrame, HandoverFrameError } from "./handover-codec.js";
import {
  agreeOnVersion,
  batchesOf,
  columnsOf,
  descriptorsOf,
  type HandoverFrame,
  handoverFrameTypes,
  handoverText,
  maxHandoverText,
  type OfferedSocket,
} from "./handover-frame.js";
import { HandoverReader } from "./handover-reader.js";

const socket: OfferedSocket = {
  name: "http",
  key: "0.0.0.0:80",
  family: "inet",
  type: "stream",
  address: "0.0.0.0:80",
  inode: 4711,
  backlog: 511,
  reusePort: false,
  listening: true,
};
const report = { drained: 3, cut: 0, killed: 1, open: 2, seconds: 1.5 };
const older = {
  generations: [
    { generation: 1, release: "r1", build: "b1", pid: 5, connections: 2, line: 1 },
    { generation: 2, release: "", build: "", pid: 0 },
  ],
  lines: [1, 2],
};
const facts = { generation: 2, release: "r", build: "b", pid: 7, nonce: "n", slot: "s", attempt: "a" };

const others = [0, 1].map((n): OfferedSocket => ({ ...socket, name: `n${n}`, inode: n, type: n ? "dgram" : "stream" }));

const frames: { readonly [Type in HandoverFrame["type"]]: HandoverFrame & { type: Type } } = {
  HELLO: { type: "HELLO", role: "new", versions: { min: 1, max: 2 }, facts },
  LEASE: { type: "LEASE" },
  GRANTED: { type: "GRANTED", sockets: 5, older },
  BUSY: { type: "BUSY", holder: "h", reason: "wäit", msLeft: 10 },
  OFFER: { type: "OFFER", batch: 1, batches: 1, sockets: columnsOf([socket]) },
  BATCH: { type: "BATCH", batch: 1 },
  CLAIM: { type: "CLAIM", taken: 1, unknown: [0], missing: ["x"] },
  STATE: { type: "STATE", index: 1, count: 1, blob: { name: "n", schema: "s", critical: true, text: "\u0000é😀" } },
  PREPARING: { type: "PREPARING", waits: "for an address" },
  ALIVE: { type: "ALIVE" },
  READY: { type: "READY", stopFirst: ["queue"] },
  COMMIT: { type: "COMMIT" },
  OWNED: { type: "OWNED" },
  PROBATION: { type: "PROBATION" },
  FINALIZE: { type: "FINALIZE" },
  PROGRESS: { type: "PROGRESS", report, older },
  DRAINED: { type: "DRAINED", report },
  ABORT: { type: "ABORT", reason: "no", cause: "service" },
};

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

test("decodeHandoverFrame gives back every frame that encodeHandoverFrame wrote", () => {
  const silent: HandoverFrame[] = [
    { type: "GRANTED", sockets: 5 },
    { type: "PROGRESS", report },
  ];
  const offers = [[], others, Array(253).fill(socket)].map((sockets) => ({
    ...frames.OFFER,
    sockets: columnsOf(sockets),
  }));
  for (const frame of [...Object.values(frames), ...silent, ...offers]) {
    const reader = new HandoverReader();
    reader.push(encodeHandoverFrame(frame));
    assert.deepEqual(decodeHandoverFrame(reader.next() ?? new Uint8Array()), frame);
    assert.equal(reader.pending, 0);
  }
});

test("decodeHandoverFrame ignores unknown fields and frames, and refuses unknown critical words", () => {
  assert.deepEqual(decodeHandoverFrame(bytesOf({ type: "READY", later: 1, critical: [] })), {
    type: "READY",
    stopFirst: [],
  });
  assert.equal(decodeHandoverFrame(bytesOf({ type: "LATER", x: 1 })), undefined);
  for (const type of ["READY", "LATER"])
    assert.throws(() => decodeHandoverFrame(bytesOf({ type, critical: ["pause"] })), /needs "pause"/);
});

test("decodeHandoverFrame takes the ABORT of a release with other causes, or none", () => {
  const abort = { type: "ABORT", reason: "no" };
  for (const more of [{}, { cause: "of a later release" }])
    assert.deepEqual(decodeHandoverFrame(bytesOf({ ...abort, ...more })), { ...abort, cause: "other" });
});

test("decodeHandoverFrame refuses a frame in which a field is missing, of another type, or too long", () => {
  for (const type of handoverFrameTypes) {
    const frame = JSON.parse(new TextDecoder().decode(encodeHandoverFrame(frames[type]).subarray(4)));
    for (const field of Object.keys(frame)) {
      if (["unknown", "missing", "blob", "cause", "older", "waits", "stopFirst"].includes(field)) continue;
      assert.throws(() => decodeHandoverFrame(bytesOf({ ...frame, [field]: undefined })), HandoverFrameError, field);
    }
    for (const field of Object.keys(frame))
      for (const value of [null, -1, 1.5, "x".repeat(2_000_000), [[]], {}, true, 2 ** 60])
        assert.throws(() => decodeHandoverFrame(bytesOf({ ...frame, [field]: value })), HandoverFrameError, field);
  }
  const many = encodeHandoverFrame({
    type: "OFFER",
    batch: 1,
    batches: 1,
    sockets: columnsOf(Array(254).fill(socket)),
  });
  assert.throws(() => decodeHandoverFrame(many.subarray(4)), /from 0 to 253/);
  const offer = JSON.parse(new TextDecoder().decode(encodeHandoverFrame(frames.OFFER).subarray(4)));
  for (const field of Object.keys(offer.sockets))
    for (const value of [undefined, null, {}, [], [{}], ["x".repeat(2_000)], [-1], [1, 2], -1, 1.5, "x".repeat(2_000)])
      assert.throws(
        () => decodeHandoverFrame(bytesOf({ ...offer, sockets: { ...offer.sockets, [field]: value } })),
        HandoverFrameError,
        `${field} ${value}`,
      );
});

test("decodeHandoverFrame throws nothing but HandoverFrameError for what is no frame", () => {
  for (const text of ["", "x", "null", "[]", "7", '"HELLO"', "{}", "[".repeat(100_000)])
    assert.throws(() => decodeHandoverFrame(bytesOf(text)), HandoverFrameError);
  assert.throws(() => decodeHandoverFrame(Uint8Array.of(0x22, 0xff, 0x22)), HandoverFrameError);
  for (const type of ["toString", "__proto__"])
    assert.equal(decodeHandoverFrame(bytesOf(`{"type":"${type}"}`)), undefined);
});

test("encodeHandoverFrame refuses a frame that is too long, and handoverText makes any text fit", () => {
  assert.throws(
    () => encodeHandoverFrame({ type: "ABORT", reason: "x".repeat(1024 * 1024), cause: "other" }),
    HandoverFrameError,
  );
  const reason = handoverText("é".repeat(5000));
  assert.equal(reason.length, maxHandoverText);
  encodeHandoverFrame({ type: "ABORT", reason, cause: "other" });
});

test("HandoverReader gives the same frames however the bytes are cut", () => {
  const random = seeded(1);
  for (let round = 0; round < 200; round++) {
    const sent = Array.from({ length: 1 + Math.floor(random() * 8) }, () => {
      const type = handoverFrameTypes[Math.floor(random() * handoverFrameTypes.length)] ?? "READY";
      return frames[type];
    });
    const bytes = Buffer.concat(sent.map(encodeHandoverFrame));
    const reader = new HandoverReader();
    const got: unknown[] = [];
    for (let from = 0; from < bytes.length; ) {
      const size = 1 + Math.floor(random() * (random() < 0.5 ? 4 : 400));
      reader.push(bytes.subarray(from, from + size));
      from += size;
      for (let frame = reader.next(); frame; frame = reader.next()) got.push(decodeHandoverFrame(frame));
    }
    assert.deepEqual(got, sent);
    assert.equal(reader.pending, 0);
  }
});

test("HandoverReader refuses a length of nothing or beyond its limit before the bytes come", () => {
  const reader = new HandoverReader(100);
  reader.push(Uint8Array.of(0, 0, 0, 101));
  assert.throws(() => reader.next(), /101 bytes/);
  const empty = new HandoverReader();
  empty.push(new Uint8Array(4));
  assert.throws(() => empty.next(), /0 bytes/);
});

test("agreeOnVersion takes the highest that both speak", () => {
  assert.equal(agreeOnVersion({ min: 1, max: 2 }, { min: 2, max: 3 }), 2);
  assert.equal(agreeOnVersion({ min: 1, max: 1 }, { min: 1, max: 2 }), 1);
  assert.equal(agreeOnVersion({ min: 2, max: 3 }, { min: 1, max: 1 }), undefined);
  assert.equal(agreeOnVersion({ min: 1, max: 1 }, { min: 5, max: 3 }), undefined);
});

test("batchesOf and descriptorsOf count sockets", () => {
  assert.deepEqual([0, 1, 64, 253, 254, 1000, 5000].map(batchesOf), [1, 1, 1, 1, 2, 4, 20]);
  assert.equal(descriptorsOf(frames.OFFER), 1);
  assert.equal(descriptorsOf(frames.COMMIT), 1);
  assert.equal(descriptorsOf(frames.READY), 0);
});

test("a number of a frame that would be written otherwise than it was read is refused", () => {
  for (const text of ['{"type":"STATE","index":-0,"count":0}', '{"type":"BATCH","batch":-0}'])
    assert.throws(() => decodeHandoverFrame(Buffer.from(text)), HandoverFrameError, text);
});
