import assert from "node:assert/strict";
import { test } from "node:test";
import { loadPlan } from "../../../src/adapters/config/load-plan.js";
import { EntryError } from "../../../src/core/entry-error.js";
import type { Plan } from "../../../src/core/plan.js";
import { problemText } from "../../../src/core/problem-text.js";
import { filesOf } from "../../config/case-files.js";
import { corpus, mutate } from "../../config/mutations.js";
import { randomOf } from "../../config/random.js";

/** FUZZ_SECONDS and FUZZ_SEED make a longer run from another beginning: FUZZ_SECONDS=600 FUZZ_SEED=7 node scripts/test.mjs test/fuzz/config */
const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const firstSeed = Number(process.env.FUZZ_SEED ?? 1);
const env = { HOME: "/root", SECRET: "never-to-be-printed-4711", PORT: "8080", PINGORA_ENTRY_LOG_LEVEL: "info" };
const files = filesOf("test/config");

/** True when it was accepted. Anything but an EntryError of the configuration, or a plan that contradicts itself, fails the test. */
async function isAccepted(text: string, command: readonly string[]): Promise<boolean> {
  try {
    const { plan } = await loadPlan({ env, files, texts: [{ name: "fuzz.yaml", text }], options: { command } });
    soundPlan(plan);
    return true;
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    assert.equal(error.reason, "config");
    assert.ok(error.problems.length > 0);
    const said = problemText("pingora-entry", error);
    assert.ok(!said.includes(env.SECRET), said);
    assert.ok(
      !/undefined|\[object|NaN\b/.test(said.replaceAll(JSON.stringify(text), "")) ||
        /undefined|\[object|NaN/i.test(text),
      said,
    );
    for (const { source } of error.problems) {
      if (source?.line === undefined) continue;
      const lines = text.split("\n");
      assert.ok(source.line >= 1 && source.line <= lines.length + 1 && (source.column ?? 0) >= 1, said);
    }
    return false;
  }
}

function soundPlan(plan: Plan): void {
  const names = plan.services.map((service) => service.name);
  assert.deepEqual([...plan.waves.flat()].sort(), [...names].sort());
  const waveOf = new Map(plan.waves.flatMap((wave, i) => wave.map((name): [string, number] => [name, i])));
  const listeners = new Set(plan.listeners.map((listener) => listener.name));
  for (const service of plan.services) {
    assert.ok((service.process?.command.length ?? 0) > 0);
    assert.ok(service.stop.steps.length > 0);
    for (const need of Object.keys(service.dependsOn))
      assert.ok((waveOf.get(need) ?? 1e9) < (waveOf.get(service.name) ?? -1));
    for (const name of service.listeners) assert.ok(listeners.has(name));
  }
  JSON.stringify(plan, (_, value) => {
    if (typeof value === "number") assert.ok(Number.isFinite(value));
    return value;
  });
}

test("loadPlan gives a sound plan or an EntryError for damaged configurations", async () => {
  const texts = corpus();
  const until = performance.now() + seconds * 1000;
  let accepted = 0;
  for (let seed = firstSeed; seed < firstSeed + 3_000 || performance.now() < until; seed++) {
    const random = randomOf(seed);
    const text = mutate(random.pick(texts), texts, random);
    const command = random.chance(0.1) ? ["./main"] : [];
    try {
      if (await isAccepted(text, command)) accepted += 1;
    } catch (error) {
      throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
  assert.ok(accepted > 20, `only ${accepted} were accepted`);
});

test("loadPlan gives a plan or an EntryError for random bytes", async () => {
  for (let seed = firstSeed; seed < firstSeed + 500; seed++) {
    const random = randomOf(seed);
    const bytes = Buffer.from(
      Array.from({ length: random.below(300) }, () => (random.chance(0.7) ? 32 + random.below(95) : random.below(256))),
    );
    await isAccepted(bytes.toString(random.chance(0.5) ? "utf8" : "latin1"), []);
  }
});

test("loadPlan refuses nesting and length that were made to exhaust it, quickly", async () => {
  const from = performance.now();
  const deep = [
    "[".repeat(100_000),
    "{a: ".repeat(50_000),
    "- ".repeat(50_000),
    `${"a:\n ".repeat(1)}${" ".repeat(3)}${"? ".repeat(20_000)}`,
  ];
  for (const text of [
    ...deep,
    "x".repeat(2_000_000),
    `a: "${"\\".repeat(200_001)}`,
    `k: ${"&a ".repeat(10_000)}`,
    "services: {".repeat(20_000),
  ]) {
    assert.equal(await isAccepted(text, []), false, text.slice(0, 20));
  }
  assert.ok(performance.now() - from < 20_000);
});
