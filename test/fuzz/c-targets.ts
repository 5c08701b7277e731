import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";

/** `test/fuzz/FOLDER/NAME_fuzz.c` with these sources of `src/native/FOLDER`. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  readonly sources: readonly string[];
  readonly flags?: readonly string[];
}

const seconds = Number(process.env.FUZZ_SECONDS ?? 3);
/** What a run found to reach more of a target is merged into its corpus (libFuzzer's only). */
const keep = process.env.FUZZ_KEEP === "1";
const common = ["-std=c11", "-g", "-O1", "-fno-sanitize-recover=all"];
const sanitizers = "address,undefined";
const standalone = resolve("test/fuzz/standalone.c");
const env = { ...process.env, ASAN_OPTIONS: "detect_leaks=0" };

/** What earlier runs have found: `test/fuzz/corpus/PART/NAME`. */
function keptCorpus(part: string, name: string) {
  const folder = resolve("test/fuzz/corpus", part, name);
  const files = existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
  return { folder, files };
}

/** Tests that run each target for FUZZ_SECONDS: with libFuzzer where clang has it, and once without. */
export function fuzz(part: string, targets: readonly FuzzTarget[]): void {
  const folder = mkdtempSync(join(tmpdir(), `${part}-fuzz-`));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const native = resolve("src/native", part);

  function compile(target: FuzzTarget, compiler: string, flags: readonly string[], more: readonly string[]) {
    const output = join(folder, `${target.name}-${compiler}`);
    const sources = [
      resolve("test/fuzz", part, `${target.name}_fuzz.c`),
      ...target.sources.map((file) => join(native, file)),
      ...more,
    ];
    const arguments_ = [...common, ...(target.flags ?? []), "-I", native, ...flags, "-o", output, ...sources];
    return spawnSync(compiler, arguments_, { encoding: "utf8" }).status === 0 ? output : undefined;
  }

  const compilePlain = (target: FuzzTarget) =>
    compile(target, process.env.CC ?? "cc", [`-fsanitize=${sanitizers}`], [standalone]);

  for (const target of targets) {
    const corpus = join(folder, target.name);
    mkdirSync(corpus);
    const kept = keptCorpus(part, target.name);
    const seeds = target.seeds.map((bytes, index) => {
      const file = join(corpus, String(index));
      writeFileSync(file, bytes);
      return file;
    });
    const files = [...seeds, ...kept.files];

    test(`the ${target.name} target stands mutated input for ${seconds} s`, () => {
      const guided = compile(target, "clang", [`-fsanitize=fuzzer,${sanitizers}`], []);
      const program = guided ?? compilePlain(target);
      assert.ok(program, "neither clang nor cc can compile it");
      const options = [`-max_total_time=${seconds}`, "-max_len=4096", `-artifact_prefix=${folder}/`];
      const args = guided
        ? [...options, "-print_final_stats=1", corpus, ...(kept.files.length > 0 ? [kept.folder] : [])]
        : [String(seconds), ...files];
      const { status, stderr, stdout } = spawnSync(program, args, {
        env,
        encoding: "utf8",
        timeout: (seconds + 60) * 1000,
        // a long run says much; more than that would end it
        maxBuffer: 2 ** 30,
      });
      assert.equal(status, 0, `${stderr.slice(-4000)}\n${stdout}`);
      if (keep && guided) {
        mkdirSync(kept.folder, { recursive: true });
        assert.equal(spawnSync(guided, ["-merge=1", kept.folder, corpus], { env, maxBuffer: 2 ** 30 }).status, 0);
      }
      console.log(`${target.name}: ${/number_of_executed_units: +(\d+)/.exec(stderr)?.[1] ?? stdout.trim()} inputs`);
    });

    test(`the ${target.name} target runs without libFuzzer`, () => {
      const program = compilePlain(target);
      assert.ok(program);
      const { status, stderr } = spawnSync(program, ["1", ...files], { env, encoding: "utf8", timeout: 60_000 });
      assert.equal(status, 0, stderr.slice(-4000));
    });
  }
}
