import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { leaveRefusal, refusalFile, takeRefusal } from "./refusal-file.js";

const directory = mkdtempSync(join(tmpdir(), "refusal-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const leave = (path: string, text: string) => leaveRefusal(text, { PINGORA_ENTRY_REFUSAL: path });

test("a refusal is taken once, and is nobody else's to read", () => {
  const path = refusalFile(directory, "a1");
  leave(path, "cannot use it: 2 problems\n  1:1  a\n");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(takeRefusal(path), "cannot use it: 2 problems\n  1:1  a");
  assert.equal(existsSync(path), false);
  assert.equal(takeRefusal(path), undefined);
});

test("a refusal goes nowhere without an order, or when its file is there already or leads elsewhere", () => {
  leaveRefusal("x", {});
  const precious = join(directory, "precious");
  writeFileSync(precious, "as it was");
  const link = refusalFile(directory, "a2");
  symlinkSync(precious, link);
  for (const path of [precious, link]) leave(path, "x");
  assert.equal(readFileSync(precious, "utf8"), "as it was");
  assert.equal(takeRefusal(link), undefined);
});

test("a refusal that nobody ends, and one that is too long, are no obstacle", () => {
  const pipe = refusalFile(directory, "a3");
  execFileSync("mkfifo", [pipe]);
  assert.equal(takeRefusal(pipe), undefined);
  const long = refusalFile(directory, "a4");
  leave(long, "y".repeat(1024 * 1024));
  assert.equal(takeRefusal(long)?.length, 64 * 1024);
});
