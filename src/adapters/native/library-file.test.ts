import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { libraryProblem } from "./library-file.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-library-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("libraryProblem tells a library that is cut off, is none, or is for another machine", () => {
  const whole = readFileSync("dist/bin/addon.node");
  const other = Buffer.from(whole);
  // e_machine of a machine that there is not
  other.writeUInt16LE(0x1234, 18);
  const cases: readonly (readonly [string, Uint8Array, RegExp | undefined])[] = [
    ["whole", whole, undefined],
    ["one byte less", whole.subarray(0, -1), /less is not whole: it has \d+ bytes, at least \d+ are needed$/],
    ["half", whole.subarray(0, whole.length >> 1), /half is not whole: /],
    ["empty", whole.subarray(0, 0), /empty is not whole: it has 0 bytes, at least 64 are needed$/],
    ["zeros", Buffer.alloc(whole.length), /zeros is no library$/],
    ["other", other, /other is for another machine \(ELF 4660\), and this Node for \w+: a release for/],
  ];
  for (const [name, bytes, expected] of cases) {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    const problem = libraryProblem(path);
    if (expected === undefined) assert.equal(problem, undefined);
    else assert.match(problem ?? "", expected);
  }
  assert.equal(libraryProblem(join(directory, "none")), undefined, "the loader says so");
});
