import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "handover-model-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const cc = process.env.CC ?? "cc";
const has = (program: string, ...args: string[]) => spawnSync(program, args).error === undefined;
const skip = !has("spin", "-V")
  ? "spin is not installed"
  : !has(cc.split(" ")[0] ?? "cc", "--version")
    ? "there is no C compiler"
    : false;

interface Verdict {
  readonly errors: number;
  readonly states: number;
  readonly complete: boolean;
  readonly said: string;
}

/** Every interleaving of the model, compiled with these definitions. */
function check(...definitions: readonly string[]): Verdict {
  const at = mkdtempSync(join(folder, "run-"));
  copyFileSync("test/model/handover.pml", join(at, "handover.pml"));
  const run = (program: string, args: readonly string[]) => {
    const result = spawnSync(program, args, { cwd: at, encoding: "utf8", timeout: 300_000 });
    assert.equal(result.status, 0, `${program} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  run("spin", [...definitions, "-a", "handover.pml"]);
  const [compiler = "cc", ...flags] = cc.split(" ");
  run(compiler, [...flags, "-O2", "-w", "-DSAFETY", "-o", "pan", "pan.c"]);
  // a process that is stopped or killed ends anywhere: what has to have ended is asserted by the model itself
  const said = run(join(at, "pan"), ["-E", "-m100000"]);
  if (existsSync(join(at, "handover.pml.trail"))) {
    const trail = spawnSync("spin", ["-t", "-p", "-g", ...definitions, "handover.pml"], { cwd: at, encoding: "utf8" });
    return verdict(said, trail.stdout);
  }
  return verdict(said, "");
}

function verdict(said: string, trail: string): Verdict {
  return {
    errors: Number(/errors: (\d+)/.exec(said)?.[1] ?? Number.NaN),
    states: Number(/(\d+) states, stored/.exec(said)?.[1] ?? Number.NaN),
    complete: !/Search not completed|max search depth too small|out of memory/.test(said),
    said: said + trail.slice(-6000),
  };
}

for (const faults of [0, 1, 2, 3]) {
  test(`the protocol keeps its rules in every interleaving with ${faults} faults`, { skip }, () => {
    const { errors, states, complete, said } = check(`-DFAULTS=${faults}`);
    assert.equal(errors, 0, said);
    assert.ok(complete && states > 500, said);
    console.log(`${faults} faults: ${states} states`);
  });
}

test("the model reaches every place of both sides and of both restarts", { skip }, () => {
  const { said } = check("-DFAULTS=2");
  for (const side of ["Old", "OldAgain", "New", "NewAgain", "Judge"])
    assert.match(said, new RegExp(`unreached in proctype ${side}\\n\\t\\(0 of`), said);
});

for (const [mutation, rule] of [
  ["NO_JOURNAL_LOCK", "the journal is compared and written without its lock"],
  ["TAKE_BACK_BLINDLY", "OLD takes back without reading the journal"],
  ["CLOSE_EARLY", "OLD closes its listeners at COMMIT"],
  ["NO_LOCK_WITH_COMMIT", "the lock does not go with COMMIT"],
] as const) {
  test(`the model finds the fault when ${rule}`, { skip }, () => {
    const { errors, said } = check("-DFAULTS=1", `-D${mutation}`);
    assert.ok(errors > 0 && /assertion violated/.test(said), said);
  });
}
