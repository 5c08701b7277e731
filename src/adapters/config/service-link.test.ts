import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceLinks } from "../../../test/fixtures/service-links.js";
import { isServiceLink } from "./service-link.js";
import { allSettings } from "./settings.js";

test("isServiceLink tells what Kubernetes sets for a Service, whatever follows pingora-entry in its name", () => {
  for (const [name, value] of serviceLinks) assert.ok(isServiceLink(name, value), name);
});

test("isServiceLink takes no setting for one, whatever its value", () => {
  for (const { variable } of allSettings) assert.ok(!isServiceLink(variable, "tcp://10.0.0.1:80"), variable);
});
