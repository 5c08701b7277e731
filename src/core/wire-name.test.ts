import assert from "node:assert/strict";
import { test } from "node:test";
import { ownerOfWire, wireName } from "./wire-name.js";

test("ownerOfWire finds the process of a name, also one of a later line of the init", () => {
  assert.equal(ownerOfWire(wireName("web/0#1", "output")), "web/0#1");
  assert.equal(ownerOfWire(wireName("2:web/0#1", "output")), "2:web/0#1");
  for (const other of ["listener:http", "upgrade:lock", "state"]) assert.equal(ownerOfWire(other), undefined);
});
