import { columnsOf, type HandoverFrame, type OfferedSocket } from "../../../src/core/handover-frame.js";
import type { Journal } from "../../../src/core/handover-journal.js";

const sockets: readonly OfferedSocket[] = [
  {
    name: "http",
    key: "0.0.0.0:80",
    family: "inet",
    type: "stream",
    address: "0.0.0.0:80",
    inode: 1,
    backlog: 511,
    reusePort: false,
    listening: true,
  },
  {
    name: "dns",
    key: "[::]:53",
    family: "inet6",
    type: "dgram",
    address: "[::]:53",
    inode: 2,
    backlog: 0,
    reusePort: true,
    listening: false,
  },
  {
    name: "sock",
    key: "/run/x",
    family: "unix",
    type: "seqpacket",
    address: "/run/x",
    inode: 3,
    backlog: 5,
    reusePort: false,
    listening: true,
  },
];
const facts = { generation: 2, release: "1.2.3", build: "abc", pid: 7, nonce: "n-1", slot: "app", attempt: "a-1" };
const older = {
  generations: [
    { generation: 1, release: "r", build: "b", pid: 7, connections: 0, line: 1 },
    { generation: 0, release: "", build: "", pid: 0 },
  ],
  lines: [1, 2],
};
const report = { drained: 3, cut: 0, killed: 1, open: 2, seconds: 1.5 };

/** One of each kind, and what lies at the edges. Whatever the fuzzer finds is added here. */
export const frameSeeds: readonly HandoverFrame[] = [
  { type: "HELLO", role: "new", versions: { min: 1, max: 2 }, facts },
  { type: "HELLO", role: "old", versions: { min: 1, max: 1 }, facts: { ...facts, attempt: "" } },
  { type: "LEASE" },
  { type: "GRANTED", sockets: 5000 },
  { type: "GRANTED", sockets: 1, older },
  { type: "DRAINED", report, older: { generations: [], lines: [] } },
  { type: "BUSY", holder: "x", reason: "wäit 😀", msLeft: 4711 },
  { type: "OFFER", batch: 1, batches: 1, sockets: columnsOf([]) },
  { type: "OFFER", batch: 1, batches: 2, sockets: columnsOf(sockets) },
  { type: "OFFER", batch: 2, batches: 2, sockets: columnsOf(sockets.slice(0, 1)) },
  { type: "BATCH", batch: 79 },
  { type: "CLAIM", taken: 2, unknown: [0, 7], missing: ["a", "b"] },
  { type: "STATE", index: 0, count: 0 },
  { type: "STATE", index: 1, count: 2, blob: { name: "t", schema: "s/1", critical: true, text: "\u0000\ud800" } },
  { type: "PREPARING" },
  { type: "PREPARING", waits: "for an address" },
  { type: "ALIVE" },
  { type: "READY", stopFirst: ["queue"] },
  { type: "COMMIT" },
  { type: "OWNED" },
  { type: "PROBATION" },
  { type: "FINALIZE" },
  { type: "PROGRESS", report },
  { type: "DRAINED", report },
  { type: "ABORT", reason: "not now", cause: "stopped" },
];

const owner = { nonce: "o", generation: 1, release: "r", build: "b", slot: "s", since: 1 };

export const journalSeeds: readonly Journal[] = [
  { version: 1, owner, done: [] },
  { version: 1, owner, attempt: { id: "a", nonce: "n", from: "o", state: "transferring", at: 5 }, done: ["x"] },
  {
    version: 1,
    owner,
    attempt: { id: "a", nonce: "n", from: "o", state: "failed", reason: "gone", at: 5 },
    done: ["a", "b"],
  },
];
