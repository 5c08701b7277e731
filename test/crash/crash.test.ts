// The crash matrix itself, on a stand-in that is right, and on one for each way to be wrong.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const patient = ["--settle-ms", "20000", "--upgrade-ms", "30000"];

function run(flaw: string, ...words: string[]) {
  const limits = words.length > 0 ? patient : ["--settle-ms", "4000", "--upgrade-ms", "8000", "--next-ms", "2000"];
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["test/crash/run.mjs", "--fake", flaw, "--random", "0", ...limits, ...words],
    { encoding: "utf8", timeout: 120_000, env: { ...process.env, NODE_OPTIONS: "" } },
  );
  return { output: `${stdout}${stderr}`, status };
}

test("crash matrix passes when the product is right", () => {
  const { output, status } = run("none", "--only", "one,kill,new,READY");
  assert.match(output, /2 passed, 0 failed/);
  assert.match(output, /all steps are told/);
  assert.equal(status, 0);
});

test("crash matrix says hit and rolled back when it killed a candidate", () => {
  const { output } = run("none", "--only", "one,kill,new,supervisor,COMMIT");
  assert.match(output, /one kill new supervisor COMMIT +yes +failed +r1 .* done +ok/);
});

const flaws: readonly [name: string, flaw: string, complaint: RegExp][] = [
  ["connections are refused for a moment", "rebinds", /\d+ refused \(\w+: E/],
  ["two generations answer", "both", /not one owner within 4 s: r1 (still accepts|answers), r2 owns/],
  ["nobody holds the owner's lock", "lock", /nobody holds the owner's lock/],
  ["the journal is not decided", "journal", /the journal says committed/],
  ["the requester hears nothing", "deaf", /the requester heard nothing for 8 s/],
  ["the next upgrade is refused", "once", /the next upgrade ended with 75/],
];
for (const [name, flaw, complaint] of flaws)
  test(`crash matrix fails when ${name}`, () => {
    const { output, status } = run(flaw);
    assert.match(output, complaint);
    assert.equal(status, 1);
  });

test("crash matrix fails when one death takes all with it", () => {
  const { output, status } = run("fragile", "--only", "one,kill,new,supervisor,READY");
  assert.match(output, /one kill new supervisor READY: .*(refused|not one owner|next upgrade)/);
  assert.match(output, /0 passed, 1 failed/);
  assert.equal(status, 1);
});
