import convict from "convict";
import type { Complaints } from "./complaints.js";
import { expandScalar } from "./expand.js";
import { type Format, Refused, type Written } from "./format.js";
import { isNull, type MapNode, type ScalarNode, scalar } from "./node.js";
import { type Places, type Reading, refuseScalar, refuseUnknown, wrongKind } from "./read.js";
import { type PingoraSettings, pingoraKeys } from "./schema/pingora.js";
import { type Settings, settings, type TopScalars, topScalars } from "./schema/settings.js";
import type { KeyData } from "./shape.js";

export type AllSettings = Settings & TopScalars & PingoraSettings;

interface Setting {
  /** "shutdown.gracePeriodSeconds" */
  readonly path: string;
  readonly key: KeyData;
  readonly format: Format<unknown>;
  /** the variable that beats the files */
  readonly variable: string;
}

/** Every scalar setting, in the order of the schema. */
export const allSettings: readonly Setting[] = [
  ...Object.entries(settings).flatMap(([section, { keys }]) =>
    Object.entries(keys).map(([name, key]) => setting(`${section}.${name}`, key)),
  ),
  ...Object.entries({ ...topScalars, ...pingoraKeys }).map(([name, key]) => setting(name, key)),
];

function setting(path: string, key: KeyData): Setting {
  if (key.shape.kind !== "scalar") throw new Error(`${path} is no scalar`);
  return { path, key, format: key.shape.format, variable: variableOf(path) };
}

/** admin.prestopToken -> PINGORA_ENTRY_ADMIN_PRESTOP_TOKEN */
export function variableOf(path: string): string {
  const words = path.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll(".", "_");
  return `PINGORA_ENTRY_${words.toUpperCase()}`;
}

/**
 * Scalars of all layers through convict: defaults < `root` < variables. An empty variable counts as not set.
 * Places of what was given are added to `places`.
 */
export function readSettings(root: MapNode, { around, complaints, places }: Reading): AllSettings {
  const { env } = around;
  const given = new Map<string, ScalarNode>();
  for (const { path } of allSettings) {
    const node = written(root, path, complaints, places);
    const expanded = node === undefined ? undefined : expandScalar(node, path, around, complaints);
    if (expanded !== undefined && expanded.broken !== true) given.set(path, expanded);
  }
  for (const [section, shape] of Object.entries(settings)) {
    const node = root.entries.get(section)?.value;
    if (node?.kind === "map") refuseUnknown(node, shape, section, complaints);
    else if (node !== undefined && !isNull(node)) wrongKind(node, section, "a map", complaints);
  }
  const variables: Record<string, string> = {};
  for (const { path, variable } of allSettings) {
    const value = env[variable];
    if (value === undefined || value === "") continue;
    variables[variable] = value;
    const node = scalar(value, value, { origin: { name: variable }, offset: 0 }, true);
    given.set(path, node);
    places.set(path, { key: node, value: node });
  }

  const config = convict(schemaFor(given, complaints) as convict.Schema<Record<string, unknown>>, {
    env: variables,
    args: [],
  });
  config.load(nest(given));
  try {
    // what is wrong goes to `complaints` with its place; convict's own summary has none
    config.validate({ allowed: "warn", output: () => {} });
  } catch {
    return withoutNull(
      convict(schemaFor(new Map(), complaints) as convict.Schema<Record<string, unknown>>, {
        env: {},
        args: [],
      }).getProperties(),
    );
  }
  return withoutNull(config.getProperties());
}

function written(root: MapNode, path: string, complaints: Complaints, places: Places): ScalarNode | undefined {
  const [first = "", second] = path.split(".");
  const outer = root.entries.get(first);
  const entry =
    second === undefined ? outer : outer?.value.kind === "map" ? outer.value.entries.get(second) : undefined;
  if (entry === undefined) return undefined;
  if (isNull(entry.value)) return undefined;
  places.set(path, entry);
  if (entry.value.kind === "scalar") return entry.value;
  const format = allSettings.find((candidate) => candidate.path === path)?.format;
  wrongKind(entry.value, path, format?.needs ?? "a single value", complaints);
  return undefined;
}

/** convict's schema, made from ours; refusals are routed to `complaints`. */
function schemaFor(given: ReadonlyMap<string, ScalarNode>, complaints: Complaints): Record<string, unknown> {
  const schema: Record<string, Record<string, unknown>> = {};
  for (const { path, key, format, variable } of allSettings) {
    register(format);
    const item = {
      doc: key.doc,
      format: format.name,
      default: key.default ?? null,
      nullable: true,
      env: variable,
      refuse: (refused: Refused | undefined) => {
        const node = given.get(path);
        if (node !== undefined) refuseScalar(format, node, refused, path, complaints, key.secret === true);
      },
    };
    const [first = "", second] = path.split(".");
    if (second === undefined) schema[first] = item;
    else schema[first] = { ...schema[first], [second]: item };
  }
  return schema;
}

const registered = new Set<string>();

function register(format: Format<unknown>): void {
  if (registered.has(format.name)) return;
  registered.add(format.name);
  convict.addFormat({
    name: format.name,
    coerce: (value: string) => {
      const parsed = format.parse(asWritten(value));
      return parsed === undefined || parsed instanceof Refused ? value : parsed;
    },
    validate: (value: unknown, item: object) => {
      const parsed = format.parse(asWritten(value));
      if (parsed !== undefined && !(parsed instanceof Refused)) return;
      (item as { readonly refuse?: (refused: Refused | undefined) => void }).refuse?.(parsed);
      throw new Error(`must be ${format.needs}`);
    },
  });
}

function asWritten(value: unknown): Written {
  return { value: value as Written["value"], text: String(value), quoted: typeof value === "string" };
}

/** Texts, so that convict converts each by its format whatever YAML took it for. */
function nest(given: ReadonlyMap<string, ScalarNode>): Record<string, unknown> {
  const nested: Record<string, Record<string, unknown> | string> = {};
  for (const [path, node] of given) {
    const [first = "", second] = path.split(".");
    if (second === undefined) nested[first] = node.text;
    else nested[first] = { ...(nested[first] as Record<string, unknown> | undefined), [second]: node.text };
  }
  return nested;
}

function withoutNull(properties: Record<string, unknown>): AllSettings {
  const clean = (value: unknown): unknown => {
    if (value === null) return undefined;
    if (typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, clean(inner)]));
  };
  return clean(properties) as AllSettings;
}
