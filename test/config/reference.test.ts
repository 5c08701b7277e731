import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { loadPlan } from "../../src/adapters/config/load-plan.js";
import { configJsonSchema } from "../../src/adapters/config/reference/json-schema.js";
import { configurationPage } from "../../src/adapters/config/reference/page.js";
import { filesOf, inputOf } from "./case-files.js";

const root = process.cwd();
const page = readFileSync(join(root, "docs/reference/configuration.md"), "utf8");

test("docs/reference is what the schema says; if not, run node scripts/docs-config.mjs", () => {
  assert.equal(page, configurationPage());
  assert.deepEqual(
    JSON.parse(readFileSync(join(root, "docs/reference/config.schema.json"), "utf8")),
    configJsonSchema(),
  );
});

for (const [i, [, block = ""]] of [...page.matchAll(/```yaml\n(.*?)```/gs)].entries()) {
  test(`loadPlan takes yaml block ${i + 1} of the reference without a warning`, async () => {
    const { plan, warnings } = await loadPlan({
      env: {},
      files: filesOf("test/config"),
      texts: [{ name: "block.yaml", text: block }],
    });
    assert.ok(plan.services.length > 0);
    assert.deepEqual(warnings, []);
  });
}

for (const name of readdirSync(join(root, "test/config/good")).sort()) {
  test(`configJsonSchema accepts good/${name}`, async () => {
    const input = inputOf(join(root, "test/config/good", name));
    for (const path of (await loadPlan(input)).files) {
      const value: unknown = parse(input.files?.readText(path) ?? "", { merge: true });
      assert.deepEqual(mistakes(configJsonSchema() as Schema, value, ""), [], path);
    }
  });
}

test("configJsonSchema accepts what loadPlan accepts: numbers and words as text, nothing, null, empty sections", async () => {
  const text = [
    "services: { web: { command: ./web, instances: '2', required: 'true', startTimeoutSeconds: '1.5', env:, stop:, restart: null } }",
    "listeners:",
    "shutdown: { gracePeriodSeconds: '40', lameDuckSeconds: null }",
    "kubernetes: { enabled: false }",
    "log: {}",
    "admin:",
    "threads: '1'",
  ].join("\n");
  await loadPlan({ env: {}, files: filesOf("test/config"), texts: [{ name: "t.yaml", text }] });
  assert.deepEqual(mistakes(configJsonSchema() as Schema, parse(text), ""), []);
  assert.deepEqual(mistakes(configJsonSchema() as Schema, null, ""), []);
});

test("configJsonSchema refuses what an editor should underline", () => {
  const schema = configJsonSchema() as Schema;
  const wrong = [
    { service: {} },
    { services: { web: { comand: "x" } } },
    { services: { web: { command: "x", restart: "sometimes" } } },
    { services: { web: { command: "x", instances: 0 } } },
    { services: { web: { command: "x", readinessProbe: { httpGet: { port: 99999 } } } } },
    { shutdown: { gracePeriodSeconds: "30s" } },
    { listeners: { http: { tcp: [80] } } },
    { services: { "a b": { command: "x" } } },
  ];
  for (const value of wrong) assert.notDeepEqual(mistakes(schema, value, ""), [], JSON.stringify(value));
});

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
  readonly propertyNames?: { readonly pattern: string };
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

const whole = configJsonSchema() as Schema;

/** As much of draft-7 as our schema uses. */
function mistakes(schema: Schema, value: unknown, path: string): string[] {
  const found: string[] = [];
  if (schema.$ref !== undefined) {
    const target = whole.definitions?.[schema.$ref.replace("#/definitions/", "")];
    return target === undefined ? [`${path}: ${schema.$ref} is not defined`] : mistakes(target, value, path);
  }
  if (schema.anyOf !== undefined && !schema.anyOf.some((way) => mistakes(way, value, path).length === 0))
    found.push(`${path}: fits no way`);
  for (const way of schema.allOf ?? []) found.push(...mistakes(way, value, path));
  if (
    schema.type !== undefined &&
    ![schema.type].flat().includes(typeOf(value)) &&
    !([schema.type].flat().includes("number") && typeOf(value) === "integer")
  ) {
    found.push(`${path}: is ${typeOf(value)}`);
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) found.push(`${path}: is not one of ${schema.enum}`);
  if (schema.const !== undefined && schema.const !== value) found.push(`${path}: is not ${schema.const}`);
  if (typeof value === "string" && schema.pattern !== undefined && !new RegExp(schema.pattern).test(value))
    found.push(`${path}: pattern`);
  if (typeof value === "string" && value.length < (schema.minLength ?? 0)) found.push(`${path}: too short`);
  if (typeof value === "number" && (value < (schema.minimum ?? value) || value > (schema.maximum ?? value)))
    found.push(`${path}: range`);
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) found.push(`${path}: too few`);
    for (const [i, item] of value.entries())
      if (schema.items !== undefined) found.push(...mistakes(schema.items, item, `${path}[${i}]`));
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      if (schema.propertyNames !== undefined && !new RegExp(schema.propertyNames.pattern).test(name))
        found.push(`${path}.${name}: name`);
      const pattern = Object.entries(schema.patternProperties ?? {}).find(([source]) =>
        new RegExp(source).test(name),
      )?.[1];
      const property = schema.properties?.[name] ?? pattern ?? schema.additionalProperties;
      if (property === false) found.push(`${path}.${name}: unknown`);
      else if (property !== undefined) found.push(...mistakes(property, inner, `${path}.${name}`));
    }
  }
  return found;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}
