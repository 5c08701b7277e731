import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Loaded, loadPlan } from "../../src/adapters/config/load-plan.js";
import { configurationYaml } from "../../src/adapters/config/render-yaml.js";
import { problemSentence } from "../../src/core/problem-text.js";
import { inputOf } from "./case-files.js";

const root = join(process.cwd(), "test/config/good");
/** UPDATE_GOLDEN=1 writes the plans as they are now; format them, and read the difference before you commit it. */
const update = process.env.UPDATE_GOLDEN === "1";

function golden({ plan, warnings, notices }: Loaded): unknown {
  const said = { warnings: warnings.map(problemSentence), notices: notices.map(problemSentence) };
  // as JSON has it: without what is undefined
  return JSON.parse(JSON.stringify({ plan, ...said }));
}

for (const name of readdirSync(root).sort()) {
  const directory = join(root, name);

  test(`loadPlan makes the expected plan of ${name}`, async () => {
    const found = golden(await loadPlan(inputOf(directory)));
    const path = join(directory, "expected.json");
    if (update) writeFileSync(path, JSON.stringify(found, null, 2));
    assert.deepEqual(found, JSON.parse(readFileSync(path, "utf8")));
  });

  test(`configurationYaml of ${name} reads back as the same plan`, async () => {
    const input = inputOf(directory);
    const { plan, configuration, fingerprint } = await loadPlan(input);
    const text = configurationYaml(configuration, { secrets: true });
    const pod = input.env.KUBERNETES_SERVICE_HOST;
    // main's command is the command line's, and not in the text
    const { conf: _, ...options } = input.options ?? {};
    const env = pod === undefined ? {} : { KUBERNETES_SERVICE_HOST: pod };
    const again = await loadPlan({ ...input, env, options, texts: [{ name: "again.yaml", text }] });
    assert.deepEqual(again.plan, plan, text);
    assert.equal((await loadPlan(input)).fingerprint(), fingerprint());
  });
}
