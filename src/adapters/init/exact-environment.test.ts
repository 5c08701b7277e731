import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exactEnvironment } from "./exact-environment.js";

test("exactEnvironment gives back the bytes that Node has lost, and nothing that was set or removed since", () => {
  const directory = mkdtempSync(join(tmpdir(), "pingora-entry-environ-"));
  const file = join(directory, "environ");
  writeFileSync(
    file,
    Buffer.from("PLAIN=1\0ODD=a\xff\xc3\xa9\0REMOVED=\xfe\0REAL=\xef\xbf\xbd\0CHANGED=\xff\0", "latin1"),
  );
  const env = { PLAIN: "1", ODD: "a\ufffdé", REAL: "\ufffd", CHANGED: "new \ufffd", ADDED: "\ufffd" };
  assert.deepEqual(exactEnvironment(env, file), { ...env, ODD: "a\udcffé" });
  rmSync(directory, { recursive: true });
});

test("exactEnvironment reads nothing when nothing was lost", () => {
  assert.deepEqual(exactEnvironment({ A: "é" }, "/no/such/file"), { A: "é" });
});
