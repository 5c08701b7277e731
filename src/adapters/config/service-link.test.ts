import assert from "node:assert/strict";
import { test } from "node:test";
import { isServiceLink } from "./service-link.js";
import { allSettings } from "./settings.js";

test("isServiceLink tells what Kubernetes sets for a Service, whatever follows pingora-entry in its name", () => {
  for (const service of ["PINGORA_ENTRY", "PINGORA_ENTRY_WEB", "PINGORA_ENTRY_PORT", "PINGORA_ENTRY_ADMIN_8080"]) {
    for (const [end, value] of [
      ["SERVICE_HOST", "10.0.0.1"],
      ["SERVICE_PORT", "80"],
      ["SERVICE_PORT_HTTP", "80"],
      ["PORT", "tcp://10.0.0.1:80"],
      ["PORT_80_TCP", "tcp://10.0.0.1:80"],
      ["PORT_80_TCP_PROTO", "tcp"],
      ["PORT_80_TCP_PORT", "80"],
      ["PORT_5353_UDP_ADDR", "10.0.0.1"],
    ] as const) {
      assert.ok(isServiceLink(`${service}_${end}`, value), `${service}_${end}`);
    }
  }
});

test("isServiceLink takes no setting for one, whatever its value", () => {
  for (const { variable } of allSettings) assert.ok(!isServiceLink(variable, "tcp://10.0.0.1:80"), variable);
});
