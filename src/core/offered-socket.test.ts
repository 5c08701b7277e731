import assert from "node:assert/strict";
import { test } from "node:test";
import { describeSocket } from "./offered-socket.js";
import type { ListenerAddress, ListenerSpec } from "./plan.js";

function spec(address: ListenerAddress): ListenerSpec {
  return { name: "a", address, key: "k", backlog: 5, reusePort: true, passAs: "systemd", envName: "A" };
}

test("describeSocket tells family, type and the address that was bound", () => {
  const tcp = spec({ kind: "tcp", host: "localhost", port: 0, ipv6Only: false });
  const common = { name: "a", key: "k", backlog: 5, reusePort: true };
  assert.deepEqual(describeSocket(tcp, { host: "127.0.0.1", port: 81 }), {
    ...common,
    family: "inet",
    type: "stream",
    address: "127.0.0.1:81",
  });
  // taken over from a generation that had none, the spec cannot change it
  assert.equal(describeSocket(tcp, { host: "127.0.0.1", port: 81, reusePort: false }).reusePort, false);
  const udp = spec({ kind: "udp", host: "::", port: 53, ipv6Only: false });
  assert.deepEqual(describeSocket(udp, {}), { ...common, family: "inet6", type: "dgram", address: "[::]:53" });
  const unix = spec({ kind: "unix", path: "/x", mode: 0o600, type: "seqpacket" });
  assert.deepEqual(describeSocket(unix, {}), { ...common, family: "unix", type: "seqpacket", address: "/x" });
});
