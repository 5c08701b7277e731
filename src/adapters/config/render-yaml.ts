import type { Configuration } from "./load-plan.js";
import { plainScalarValue } from "./plain-yaml.js";
import { root } from "./schema/root.js";
import type { ShapeData } from "./shape.js";

const hidden = "(hidden)";

/**
 * The resolved configuration as YAML that reads back as the same configuration. With `secrets: false`, values of variables, headers and
 * tokens are hidden: for people, logs and diagnostics.
 */
export function configurationYaml(configuration: Configuration, options: { readonly secrets: boolean }): string {
  const { ignored, ...rest } = configuration;
  const known = written(root, rest, false, options.secrets) as Record<string, unknown>;
  return emitMap({ ...known, ...ignored }, "");
}

/** The value in the words of the file: numbers that were sizes, modes and addresses as they are written. */
function written(shape: ShapeData, value: unknown, secret: boolean, secrets: boolean): unknown {
  if (value === undefined || value === null) return value;
  switch (shape.kind) {
    case "nullable":
      return written(shape.of, value, secret, secrets);
    case "scalar":
      if (secret && !secrets) return hidden;
      return shape.format.write === undefined ? value : shape.format.write(value as never);
    case "list":
      return (value as unknown[]).map((item) => written(shape.of, item, secret, secrets));
    case "map":
      return mapValues(value as object, (_, inner) => written(shape.of, inner, secret, secrets));
    case "object":
      return mapValues(value as object, (name, inner) => {
        const key = shape.keys[name];
        // a written default can say more than one that is not: mode has no meaning for a TCP listener
        return key === undefined || inner === key.default
          ? undefined
          : written(key.shape, inner, secret || key.secret === true, secrets);
      });
    case "either": {
      const way = Array.isArray(value) ? shape.list : typeof value === "object" ? shape.map : shape.scalar;
      return way === undefined ? value : written(way, value, secret, secrets);
    }
  }
}

function mapValues(value: object, change: (name: string, inner: unknown) => unknown): Record<string, unknown> {
  const entries = Object.entries(value).map(([name, inner]): [string, unknown] => [name, change(name, inner)]);
  return Object.fromEntries(entries.filter(([, inner]) => inner !== undefined));
}

function emitMap(map: Record<string, unknown>, indent: string): string {
  return Object.entries(map)
    .filter(([, value]) => value !== undefined && !isEmptyMap(value))
    .map(([name, value]) => `${indent}${scalarText(name)}:${emitValue(value, indent)}`)
    .join("");
}

/** What stands behind "key:", with its line's end. */
function emitValue(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== "object" || item === null))
      return ` [${value.map(scalarText).join(", ")}]\n`;
    return `\n${value.map((item) => `${indent}  -${emitItem(item, `${indent}  `)}`).join("")}`;
  }
  if (typeof value === "object" && value !== null)
    return `\n${emitMap(value as Record<string, unknown>, `${indent}  `)}`;
  return ` ${scalarText(value)}\n`;
}

function emitItem(item: unknown, indent: string): string {
  if (typeof item !== "object" || item === null || Array.isArray(item)) return emitValue(item, indent);
  return ` ${emitMap(item as Record<string, unknown>, `${indent}  `).trimStart()}`;
}

function isEmptyMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

function scalarText(value: unknown): string {
  if (typeof value !== "string") return String(value);
  // what looks like an expansion must come back as it is
  const literal = value.replace(/\$(?=[${])/g, "$$$$");
  const plain = /^[A-Za-z_/][A-Za-z0-9_/.-]*$/.test(literal) && typeof plainScalarValue(literal) === "string";
  return plain ? literal : JSON.stringify(literal);
}
