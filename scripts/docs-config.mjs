// Prints docs/reference/configuration.md and config.schema.json from the configuration's schema. `--check`: fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadTs } from "./load-ts.mjs";

const root = resolve(import.meta.dirname, "..");
const { configJsonSchema } = await loadTs("src/adapters/config/reference/json-schema.ts");
const { configurationPage } = await loadTs("src/adapters/config/reference/page.ts");

const files = {
  "config.schema.json": `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  "configuration.md": configurationPage(),
};
for (const [name, text] of Object.entries(files)) {
  const path = join(root, "docs/reference", name);
  if (process.argv.includes("--check")) {
    let found = "";
    try {
      found = readFileSync(path, "utf8");
    } catch {}
    if (found === text) continue;
    process.exitCode = 1;
    console.error(`docs/reference/${name} differs from the source: run node scripts/docs-config.mjs`);
  } else writeFileSync(path, text);
}
