// A longer run: FUZZ_SECONDS=600 node scripts/test.mjs test/fuzz/init
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { httpSeeds, optionSeeds, orderSeeds, procSeeds } from "./seeds.js";

const seconds = Number(process.env.FUZZ_SECONDS ?? 2);
const folder = mkdtempSync(join(tmpdir(), "init-fuzz-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const init = resolve("src/native/init");
const common = ["-std=c11", "-g", "-O1", "-fno-sanitize-recover=all", "-I", init];
const sanitizers = "address,undefined";

const targets = [
  { name: "http", seeds: httpSeeds, sources: ["http.c"] },
  { name: "options", seeds: optionSeeds, sources: ["options.c", "number.c"] },
  // it includes proc.c, with the system calls replaced
  { name: "proc", seeds: procSeeds, sources: ["number.c"] },
  {
    name: "orders",
    seeds: orderSeeds,
    sources: ["frame.c", "number.c", "orders.c", "spawn_order.c", "children.c", "held.c", "inbox.c", "report.c"],
  },
];

function compile(
  target: (typeof targets)[number],
  compiler: string,
  flags: readonly string[],
  more: readonly string[],
): string | undefined {
  const output = join(folder, `${target.name}-${compiler}`);
  const sources = [
    resolve("test/fuzz/init", `${target.name}_fuzz.c`),
    ...target.sources.map((file) => join(init, file)),
    ...more,
  ];
  const result = spawnSync(compiler, [...common, ...flags, "-o", output, ...sources], { encoding: "utf8" });
  return result.status === 0 ? output : undefined;
}

function writeSeeds(name: string, seeds: readonly Buffer[]): string[] {
  mkdirSync(join(folder, name));
  return seeds.map((bytes, index) => {
    const file = join(folder, name, String(index));
    writeFileSync(file, bytes);
    return file;
  });
}

const env = { ...process.env, ASAN_OPTIONS: "detect_leaks=0" };

for (const target of targets) {
  test(`the ${target.name} target stands mutated input for ${seconds} s`, () => {
    const files = writeSeeds(target.name, target.seeds);
    const guided = compile(target, "clang", [`-fsanitize=fuzzer,${sanitizers}`], []);
    const plain =
      guided ??
      compile(target, process.env.CC ?? "cc", [`-fsanitize=${sanitizers}`], [resolve("test/fuzz/init/standalone.c")]);
    assert.ok(plain, "neither clang nor cc can compile it");
    const args = guided
      ? [
          `-max_total_time=${seconds}`,
          "-max_len=4096",
          `-artifact_prefix=${folder}/`,
          "-print_final_stats=1",
          join(folder, target.name),
        ]
      : [String(seconds), ...files];
    const { status, stderr, stdout } = spawnSync(plain, args, {
      env,
      encoding: "utf8",
      timeout: (seconds + 60) * 1000,
    });
    assert.equal(status, 0, `${stderr.slice(-4000)}\n${stdout}`);
    console.log(`${target.name}: ${/number_of_executed_units: +(\d+)/.exec(stderr)?.[1] ?? stdout.trim()} inputs`);
  });

  test(`the ${target.name} target runs without libFuzzer`, () => {
    const plain = compile(
      target,
      process.env.CC ?? "cc",
      [`-fsanitize=${sanitizers}`],
      [resolve("test/fuzz/init/standalone.c")],
    );
    assert.ok(plain);
    const seeds = target.seeds.map((_, index) => join(folder, target.name, String(index)));
    const { status, stderr } = spawnSync(plain, ["1", ...seeds], { env, encoding: "utf8", timeout: 60_000 });
    assert.equal(status, 0, stderr.slice(-4000));
  });
}
