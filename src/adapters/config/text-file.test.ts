import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { errnoText } from "./expand.js";
import { NotUtf8, readTextFile } from "./text-file.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-text-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, "file");

test("readTextFile says where a file is not UTF-8", () => {
  for (const [bytes, offset, place] of [
    [[0xff], 0, "line 1, column 1"],
    [[0x61, 0x0a, 0xc3, 0xa4, 0x62, 0xe4, 0x0a], 4, "line 2, column 3"],
    [[0x61, 0xc3], 1, "line 1, column 2"],
  ] as const) {
    writeFileSync(path, Buffer.from(bytes));
    assert.throws(
      () => readTextFile(path),
      (error) => error instanceof NotUtf8 && error.offset === offset && errnoText(error) === `${place} is not UTF-8`,
    );
  }
  writeFileSync(path, "\ufeffgr\u00fcn \ufffd\n");
  assert.equal(readTextFile(path), "\ufeffgr\u00fcn \ufffd\n");
});

test("readTextFile refuses what could make it wait for ever, and takes pipes that are given by number", () => {
  const pipe = join(directory, "pipe");
  execFileSync("mkfifo", [pipe]);
  for (const each of [pipe, "/dev/zero"])
    assert.throws(
      () => readTextFile(each),
      (error) => /it is a pipe, a socket or a device/.test(errnoText(error)),
    );
  assert.equal(readTextFile("/dev/null"), "");
});
