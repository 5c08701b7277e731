import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { openSync } from "node:fs";
import { test } from "node:test";
import { program } from "../harness.js";

test("commands that print end with 71 when their output cannot be written, and with 0 when their reader has left", () => {
  const full = openSync("/dev/full", "w");
  for (const args of [["check"], ["check", "--json"], ["graph"], ["help"], ["version"]]) {
    const { status, stderr } = spawnSync(program, args, {
      env: { PATH: process.env.PATH },
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    assert.deepEqual(
      [status, stderr],
      [71, "pingora-entry: cannot write the output: no space left on device\n"],
      args[0],
    );
  }
  const left = spawnSync("sh", ["-c", `{ "$0" help; echo $? >&2; } | true`, program], { encoding: "utf8" });
  assert.equal(left.stderr, "0\n");
});
