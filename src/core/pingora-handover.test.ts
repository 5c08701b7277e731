import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeKnock,
  decodePingoraNames,
  encodeKnock,
  encodePingoraNames,
  isFrame,
  matchPingoraSockets,
  mostPingoraSockets,
  pingoraKey,
  pingoraRefusal,
} from "./pingora-handover.js";
import type { ListenerAddress, ListenerSpec } from "./plan.js";

function listener(name: string, address: ListenerAddress, key: string): ListenerSpec {
  return { name, address, key, backlog: 511, reusePort: false, passAs: "systemd", envName: "" };
}

const tcp = (name: string, port: number, host = "127.0.0.1", key = `${host}:${port}`) =>
  listener(name, { kind: "tcp", host, port, ipv6Only: false }, key);
const unix = (name: string, path: string, type: "stream" | "dgram" = "stream") =>
  listener(name, { kind: "unix", path, mode: 0o600, type }, path);
const addressesOf = (address: ListenerAddress) => [
  address.kind === "unix" ? address.path : `${address.host}:${address.port}`,
];

test("pingoraKey is what was written, when a pingora could have read that", () => {
  const keys = ["127.0.0.1:80", "localhost:80", "[::1]:80", ":80", "80", "*:80"].map((key) =>
    pingoraKey(tcp("a", 80, key === "[::1]:80" ? "::1" : "0.0.0.0", key)),
  );
  assert.deepEqual(keys, ["127.0.0.1:80", "localhost:80", "[::1]:80", "0.0.0.0:80", "0.0.0.0:80", "0.0.0.0:80"]);
  assert.equal(pingoraKey(tcp("a", 80, "::", "80")), "[::]:80");
  assert.equal(pingoraKey(unix("a", "/run/a")), "/run/a");
});

test("pingoraRefusal says all that a pingora cannot take, and nothing when it can", () => {
  const many = Array.from({ length: mostPingoraSockets }, (_, i) => tcp(`l${i}`, i + 1));
  assert.equal(pingoraRefusal(many), undefined);
  assert.match(pingoraRefusal([...many, tcp("more", 99)]) ?? "", /33 sockets, pingora takes 32/);
  assert.match(pingoraRefusal([]) ?? "", /there is no listener/);
  const long = Array.from({ length: 21 }, (_, i) => unix(`u${i}`, `/${"x".repeat(94)}${10 + i}`));
  assert.equal(encodePingoraNames(long.map(pingoraKey)).length, 21 * 97 + 20);
  assert.match(pingoraRefusal(long) ?? "", /2057 bytes, pingora reads 2048/);
  assert.equal(pingoraRefusal(long.slice(1)), undefined);
  assert.match(pingoraRefusal([unix("spaced", "/run/a b")]) ?? "", /splits names at spaces.*"spaced"/);
  assert.match(pingoraRefusal([unix("tab", "/run/a\tb"), unix("wide", "/run/ü\u00a0b")]) ?? "", /of "tab"$/);
  assert.match(pingoraRefusal([tcp("a", 80), tcp("b", 80)]) ?? "", /one socket per address, "a", "b"/);
  const udp = listener("dns", { kind: "udp", host: "127.0.0.1", port: 53, ipv6Only: false }, "127.0.0.1:53");
  assert.match(pingoraRefusal([udp, unix("log", "/run/log", "dgram")]) ?? "", /stream sockets only, not "dns", "log"/);
});

test("decodePingoraNames pairs names with sockets by position, or says what is wrong", () => {
  const bytes = (text: string) => Buffer.from(text);
  assert.deepEqual(decodePingoraNames(bytes("a:1 /b"), 2), { ok: true, keys: ["a:1", "/b"] });
  assert.deepEqual(decodePingoraNames(bytes(" a:1 \t\n /b\r"), 2), { ok: true, keys: ["a:1", "/b"] });
  const reasons = [
    decodePingoraNames(bytes("a b"), 1),
    decodePingoraNames(bytes("a a"), 2),
    decodePingoraNames(Buffer.from([0xff]), 1),
    decodePingoraNames(bytes("a".repeat(2049)), 1),
  ].map((names) => (names.ok ? "" : names.reason));
  assert.deepEqual(reasons, [
    "2 names came with 1 sockets",
    "one name came twice",
    "the names are not UTF-8",
    "the names have more than 2048 bytes",
  ]);
});

test("decodeKnock knows a knock from names, other frames and damage", () => {
  assert.equal(decodeKnock(encodeKnock("8:15")), "8:15");
  assert.equal(isFrame(encodeKnock("")), true);
  assert.equal(isFrame(encodePingoraNames(["127.0.0.1:80"])), false);
  for (const text of ["", "\0\0\0\x02{}", "\0\0\0\x04null", "\0\0\0\x01{", "127.0.0.1:80"])
    assert.equal(decodeKnock(Buffer.from(text)), undefined);
});

test("matchPingoraSockets takes by the exact name, then by the address, and reports the rest", () => {
  const socket = (key: string, address = key) => ({ key, address, type: "stream" as const });
  const [exact, other, left] = [socket("127.0.0.1:1"), socket("localhost:2", "127.0.0.1:2"), socket("/run/old")];
  const specs = [tcp("a", 1), tcp("b", 2), unix("c", "/run/c"), unix("d", "/run/old", "dgram")];
  const match = matchPingoraSockets(specs, [left, other, exact], addressesOf);
  assert.deepEqual(
    [...match.taken],
    [
      ["a", exact],
      ["b", other],
    ],
  );
  assert.deepEqual(
    match.extra.map(({ name }) => name),
    ["c", "d"],
  );
  assert.deepEqual(match.unclaimed, [left]);
  assert.deepEqual(match.remarks, [
    'listener "b" is known to pingora as "localhost:2", it is written "127.0.0.1:2" here',
  ]);
});

test("matchPingoraSockets takes the first of several at one address, and says so", () => {
  const twins = ["localhost:1", "[::ffff:127.0.0.1]:1"].map((key) => ({
    key,
    address: "127.0.0.1:1",
    type: "stream" as const,
  }));
  const match = matchPingoraSockets([tcp("a", 1)], twins, addressesOf);
  assert.equal(match.taken.get("a"), twins[0]);
  assert.deepEqual(match.unclaimed, [twins[1]]);
  assert.match(match.remarks[0] ?? "", /may be any of "localhost:1", "\[::ffff:127.0.0.1\]:1": the first is taken/);
});
