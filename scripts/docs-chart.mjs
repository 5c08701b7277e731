// Keeps the chart in step: values.schema.json takes services, listeners and the rest of the configuration file from its own schema (all but
// `strings` and `probeTiming` of its definitions); README.md takes its table from the comments of values.yaml. `--check`: fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isMap, parseDocument } from "yaml";
import { loadTs } from "./load-ts.mjs";

const root = resolve(import.meta.dirname, "..");
const chart = join(root, "charts/pingora-entry");
const { configJsonSchema } = await loadTs("src/adapters/config/reference/json-schema.ts");

function valuesSchema(text) {
  const schema = JSON.parse(text);
  const { properties, definitions, patternProperties } = configJsonSchema();
  // the chart has values of its own for these
  const { services, listeners, shutdown: _, ...rest } = properties;
  const { strings, probeTiming } = schema.definitions;
  schema.definitions = {
    strings,
    probeTiming,
    services,
    listeners,
    restOfConfiguration: { type: "object", additionalProperties: false, properties: rest, patternProperties },
    ...definitions,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** [{ path, comment, value }] of what a comment beginning with "# --" stands before */
function documented(map, prefix) {
  return map.items.flatMap(({ key, value }, index) => {
    const path = `${prefix}${key.value}`;
    // the first comment of a map is the map's own
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    const said = comment
      ?.split("\n")
      .map((line) => line.trim())
      .filter((line) => line.startsWith("-- "))
      .at(-1);
    if (said !== undefined) return [{ path, comment: said.slice(3), value: JSON.stringify(value.toJSON()) }];
    return isMap(value) ? documented(value, `${path}.`) : [];
  });
}

function readme(text, values) {
  const rows = documented(parseDocument(values).contents, "").map(
    ({ path, comment, value }) => `| \`${path}\` | \`${value}\` | ${comment} |`,
  );
  const table = `| value | default | meaning |\n|---|---|---|\n${rows.join("\n")}\n`;
  return text.replace(/(<!-- values -->\n)[\s\S]*?(<!-- \/values -->)/, (_, begin, end) => `${begin}${table}${end}`);
}

const read = (name) => readFileSync(join(chart, name), "utf8");
const files = {
  "values.schema.json": valuesSchema(read("values.schema.json")),
  "README.md": readme(read("README.md"), read("values.yaml")),
};
for (const [name, text] of Object.entries(files)) {
  if (!process.argv.includes("--check")) writeFileSync(join(chart, name), text);
  else if (read(name) !== text) {
    process.exitCode = 1;
    console.error(`charts/pingora-entry/${name} differs from its source: run node scripts/docs-chart.mjs`);
  }
}
