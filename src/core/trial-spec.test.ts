import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceSpec } from "../../test/fakes/fake-server.js";
import type { ProbeAction } from "./plan.js";
import { type StandIn, trialSpec } from "./trial-spec.js";

const tcp = { kind: "tcp", host: "10.0.0.1", port: 8080, ipv6Only: false } as const;
const http: StandIn = {
  spec: { address: tcp },
  host: "127.0.0.1",
  port: 4000,
  standsFor: { host: "10.0.0.1", port: 8080 },
};
const dns: StandIn = { ...http, spec: { address: { ...tcp, kind: "udp" } }, port: 4001, standsFor: { port: 53 } };
const admin: StandIn = {
  spec: { address: { kind: "unix", path: "/run/web.sock", mode: 0o600, type: "stream" } },
  path: "/run/private",
  standsFor: { path: "/run/web.sock" },
};

function asked(action: ProbeAction): ProbeAction | undefined {
  const probe = { initialDelayMs: 0, periodMs: 1, timeoutMs: 1, successThreshold: 1, failureThreshold: 1, action };
  return trialSpec(serviceSpec("web", { readinessProbe: probe }), [dns, http, admin], 9).readinessProbe?.action;
}

const get = { kind: "httpGet", scheme: "http", host: "10.0.0.1", port: 8080, path: "/", headers: [] } as const;

test("trialSpec asks the private socket in place of the listener's, by port or path, and leaves the rest", () => {
  assert.deepEqual(asked({ kind: "tcpSocket", host: "localhost", port: 8080 }), {
    kind: "tcpSocket",
    host: "127.0.0.1",
    port: 4000,
  });
  for (const port of [8081, 53])
    assert.deepEqual(asked({ kind: "tcpSocket", host: "localhost", port }), {
      kind: "tcpSocket",
      host: "localhost",
      port,
    });
  assert.deepEqual(asked({ kind: "unixSocket", path: "/run/web.sock" }), { kind: "unixSocket", path: "/run/private" });
  assert.deepEqual(asked({ kind: "unixSocket", path: "/run/db.sock" }), { kind: "unixSocket", path: "/run/db.sock" });
  assert.deepEqual(asked({ ...get, port: 80, socketPath: "/run/web.sock" }), {
    ...get,
    port: 80,
    socketPath: "/run/private",
  });
  for (const action of [
    { kind: "file", path: "/run/web.sock" },
    { kind: "notify" },
    { kind: "log", pattern: "8080" },
    { kind: "exec", command: ["x"] },
  ] as const)
    assert.deepEqual(asked(action), action);
});

test("trialSpec keeps the Host header of an httpGet as it will be", () => {
  const there = { host: "127.0.0.1", port: 4000 };
  assert.deepEqual(asked(get), { ...get, ...there, headers: [{ name: "Host", value: "10.0.0.1:8080" }] });
  const named = [{ name: "host", value: "shop" }];
  assert.deepEqual(asked({ ...get, headers: named }), { ...get, ...there, headers: named });
});

test("trialSpec tells the process that it is a trial, which is never started again and is ready in time", () => {
  const spec = trialSpec(serviceSpec("web", { instances: 3, startTimeoutMs: 0, onFailure: "restart" }), [], 900);
  assert.equal(spec.process?.env.PINGORA_ENTRY_PREFLIGHT, "1");
  assert.equal(spec.restart.policy, "never");
  assert.equal(spec.onFailure, "ignore");
  assert.equal(spec.instances, 1);
  assert.equal(spec.startTimeoutMs, 900);
  assert.equal(trialSpec(serviceSpec("web", { startTimeoutMs: 500 }), [], 900).startTimeoutMs, 500);
  assert.equal(trialSpec(serviceSpec("web"), [], -5).startTimeoutMs, 1);
});
