import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListenerAddress, ListenerSpec } from "./plan.js";
import { crossed, matchSockets, type SocketFacts } from "./socket-manifest.js";

function listener(name: string, address: ListenerAddress, change: Partial<ListenerSpec> = {}): ListenerSpec {
  const key = address.kind === "unix" ? address.path : `${address.host}:${address.port}`;
  return { name, key, address, backlog: 511, reusePort: false, passAs: "systemd", envName: "", ...change };
}

const tcp = (host: string, port: number): ListenerAddress => ({ kind: "tcp", host, port, ipv6Only: false });

function socket(name: string, address: string, change: Partial<SocketFacts> = {}): SocketFacts {
  const family = address.startsWith("/") ? "unix" : address.startsWith("[") ? "inet6" : "inet";
  return { name, key: address, family, type: "stream", address, reusePort: false, ...change };
}

const addressesOf = (address: ListenerAddress): readonly string[] => {
  if (address.kind === "unix") return [address.path];
  if (address.host.includes("%")) return [`${address.host.replace(/%\w+/, "")}:${address.port}`];
  if (address.host === "*") return [`[::]:${address.port}`, `0.0.0.0:${address.port}`];
  return /[a-z]/.test(address.host) ? [] : [`${address.host}:${address.port}`];
};

function names(specs: readonly ListenerSpec[], offered: readonly SocketFacts[]) {
  const { taken, unclaimed, kept } = matchSockets(specs, offered, addressesOf, (path) =>
    path.replace(/^\/var\/run/, "/run"),
  );
  return {
    taken: Object.fromEntries([...taken].map(([name, { name: of }]) => [name, of])),
    unclaimed: unclaimed.map(({ name }) => name),
    kept,
  };
}

test("matchSockets takes the socket at a listener's address whatever it is called", () => {
  const found = names(
    [listener("web", tcp("0.0.0.0", 80)), listener("extra", tcp("0.0.0.0", 81))],
    [socket("http", "0.0.0.0:80"), socket("old", "0.0.0.0:82")],
  );
  assert.deepEqual(found, { taken: { web: "http" }, unclaimed: ["old"], kept: [] });
});

test("matchSockets knows a path that is written in another way, when none is written as it is", () => {
  const unix = (path: string): ListenerAddress => ({ kind: "unix", path, type: "stream", mode: 0o600 });
  const found = names(
    [listener("a", unix("/run/a")), listener("b", unix("/run/b")), listener("c", unix("/run/c"))],
    [
      socket("c", "/run/c", { type: "dgram" }),
      socket("b2", "/var/run/b"),
      socket("b", "/run/b"),
      socket("x", "/var/run/a"),
    ],
  );
  assert.deepEqual(found, { taken: { a: "x", b: "b" }, unclaimed: ["c", "b2"], kept: [] });
});

test("matchSockets gives each of several sockets at one address to the listener of its name", () => {
  const reuse = { reusePort: true };
  const found = names(
    [listener("a", tcp("0.0.0.0", 80), reuse), listener("b", tcp("0.0.0.0", 80), reuse)],
    [socket("b", "0.0.0.0:80", reuse), socket("a", "0.0.0.0:80", reuse)],
  );
  assert.deepEqual(found.taken, { a: "a", b: "b" });
});

test("matchSockets never takes a socket of another type or twice", () => {
  const udp: ListenerAddress = { kind: "udp", host: "0.0.0.0", port: 53, ipv6Only: false };
  const found = names(
    [listener("dns", udp), listener("dns-tcp", tcp("0.0.0.0", 53)), listener("again", tcp("0.0.0.0", 53))],
    [socket("dns", "0.0.0.0:53")],
  );
  assert.deepEqual(found.taken, { "dns-tcp": "dns" });
});

test("matchSockets finds port 0 by name, any host in both families, a host name by how it was written", () => {
  const found = names(
    [listener("any", tcp("127.0.0.1", 0)), listener("both", tcp("*", 80)), listener("named", tcp("localhost", 81))],
    [
      socket("any", "127.0.0.1:40123"),
      socket("x", "0.0.0.0:80"),
      socket("y", "127.0.0.1:81", { key: "localhost:81" }),
      socket("z", "127.0.0.1:82", { key: "localhost:82" }),
    ],
  );
  assert.deepEqual(found.taken, { any: "any", both: "x", named: "y" });
  assert.deepEqual(found.unclaimed, ["z"]);
});

test("matchSockets says what an open socket keeps", () => {
  const { kept } = names([listener("a", tcp("0.0.0.0", 80), { reusePort: true })], [socket("a", "0.0.0.0:80")]);
  assert.deepEqual(kept, ['listener "a" stays without reusePort: an open socket cannot change it']);
});

test("crossed finds the socket that keeps an address from being bound, and only what is certain", () => {
  const only6: ListenerAddress = { kind: "tcp", host: "[::]", port: 80, ipv6Only: true };
  const udp: ListenerAddress = { kind: "udp", host: "0.0.0.0", port: 80, ipv6Only: false };
  const shared = { reusePort: true };
  const isCrossed = (spec: ListenerSpec, offered: SocketFacts) => crossed([spec], [offered], addressesOf).length > 0;
  const cases: readonly (readonly [ListenerSpec, SocketFacts, boolean])[] = [
    [listener("wide", tcp("0.0.0.0", 80)), socket("http", "127.0.0.1:80"), true],
    [listener("narrow", tcp("127.0.0.1", 80)), socket("http", "0.0.0.0:80"), true],
    [listener("narrow", tcp("[::1]", 80)), socket("http", "[::]:80"), true],
    [listener("all", tcp("*", 80)), socket("http", "127.0.0.1:80"), true],
    [listener("all", tcp("[::]", 80)), socket("http", "0.0.0.0:80"), true],
    [listener("only6", only6), socket("http", "0.0.0.0:80"), false],
    [listener("narrow", tcp("127.0.0.1", 80)), socket("http", "[::]:80"), false],
    [listener("wide", tcp("0.0.0.0", 80)), socket("http", "[::1]:80"), false],
    [listener("beside", tcp("127.0.0.2", 80)), socket("http", "127.0.0.1:80"), false],
    [listener("port", tcp("0.0.0.0", 81)), socket("http", "127.0.0.1:80"), false],
    [listener("any", tcp("0.0.0.0", 0)), socket("http", "127.0.0.1:80"), false],
    [listener("udp", udp), socket("http", "127.0.0.1:80"), false],
    [listener("name", tcp("localhost", 80)), socket("http", "0.0.0.0:80"), false],
    [listener("unix", { kind: "unix", path: "/a", type: "stream", mode: 0o600 }), socket("http", "0.0.0.0:80"), false],
    [listener("wide", tcp("0.0.0.0", 80), shared), socket("http", "127.0.0.1:80", shared), false],
    [listener("wide", tcp("0.0.0.0", 80), shared), socket("http", "127.0.0.1:80"), true],
    [listener("same", tcp("127.0.0.1", 80), shared), socket("http", "127.0.0.1:80"), true],
    [listener("same", tcp("127.0.0.1", 80)), socket("http", "127.0.0.1:80", shared), true],
    [listener("same", tcp("127.0.0.1", 80), shared), socket("http", "127.0.0.1:80", shared), false],
    [listener("same", tcp("*", 80), shared), socket("http", "[::]:80"), true],
    [listener("same", udp, shared), socket("dns", "0.0.0.0:80", { type: "dgram" }), true],
    [listener("zone", tcp("[fe80::1%eth1]", 80), shared), socket("http", "[fe80::1]:80"), false],
    [listener("all6", { ...only6, host: "*" }, shared), socket("http", "0.0.0.0:80"), false],
  ];
  for (const [spec, offered, expected] of cases)
    assert.equal(isCrossed(spec, offered), expected, `${spec.name} beside ${offered.address}`);
});

test("crossed tells an address that is not shared from one that is wider or narrower", () => {
  const shared = { reusePort: true };
  const specs = [listener("web2", tcp("127.0.0.1", 80), shared), listener("all", tcp("0.0.0.0", 81), shared)];
  const offered = [socket("web", "127.0.0.1:80"), socket("some", "127.0.0.1:81")];
  assert.deepEqual(
    crossed(specs, offered, addressesOf).map(({ spec, by, same }) => [spec.name, by.name, same]),
    [
      ["web2", "web", true],
      ["all", "some", false],
    ],
  );
});
