import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadPlan } from "../../src/adapters/config/load-plan.js";
import { EntryError } from "../../src/core/entry-error.js";
import { problemText } from "../../src/core/problem-text.js";
import { inputOf } from "./case-files.js";

const root = join(process.cwd(), "test/config/wrong");
/** UPDATE_GOLDEN=1 writes what is said now; read it as an operator at night would, then commit it. */
const update = process.env.UPDATE_GOLDEN === "1";

for (const name of readdirSync(root).sort()) {
  test(`loadPlan refuses ${name} with its golden text`, async () => {
    const directory = join(root, name);
    const text = await refusal(directory);
    const golden = join(directory, "expected.txt");
    if (update) writeFileSync(golden, text);
    assert.equal(text, readFileSync(golden, "utf8"));
  });
}

async function refusal(directory: string): Promise<string> {
  try {
    await loadPlan(inputOf(directory));
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    assert.equal(error.reason, "config");
    assert.ok(error.problems.length > 0);
    return problemText("pingora-entry", error);
  }
  throw new Error("was accepted");
}
