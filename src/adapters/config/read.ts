import { suggest } from "../../core/suggest.js";
import { type Complaints, keyWord, meant, quote } from "./complaints.js";
import { expandScalar, type Surroundings } from "./expand.js";
import { type Format, Refused } from "./format.js";
import { type ConfigNode, isBlank, isNull, type MapNode, type Place, type ScalarNode } from "./node.js";
import type { ObjectShape, Shape, ShapeData } from "./shape.js";

/** Where each path of the configuration was written: its key (for list items: the item) and its value. Items that were refused have none. */
export type Places = Map<string, { readonly key: Place; readonly value: ConfigNode }>;

export interface Reading {
  readonly complaints: Complaints;
  readonly places: Places;
  readonly around: Surroundings;
}

/** The value with its defaults; undefined when it is not of this shape at all. What is wrong with its parts is complained about. */
export function read<T>(shape: Shape<T>, node: ConfigNode, path: string, reading: Reading): T | undefined {
  return readData(shape, node, path, reading, false) as T | undefined;
}

function readData(shape: ShapeData, node: ConfigNode, path: string, reading: Reading, secret: boolean): unknown {
  switch (shape.kind) {
    case "scalar":
      return readScalar(shape.format, node, path, reading, secret);
    case "nullable":
      return isNull(node) ? null : readData(shape.of, node, path, reading, secret);
    case "object":
      return isBlank(node) ? defaultsOf(shape) : readObject(shape, node, path, reading);
    case "list":
      return readList(shape, node, path, reading, secret);
    case "map":
      return readMap(shape, node, path, reading, secret);
    case "either": {
      const way = shape[node.kind];
      if (way !== undefined) return readData(way, node, path, reading, secret);
      wrongKind(node, path, ways(shape), reading.complaints);
      return undefined;
    }
  }
}

function readScalar<T>(
  format: Format<T>,
  node: ConfigNode,
  path: string,
  reading: Reading,
  secret: boolean,
): T | undefined {
  if (node.kind !== "scalar") {
    wrongKind(node, path, format.needs, reading.complaints);
    return undefined;
  }
  const expanded = expandScalar(node, path, reading.around, reading.complaints);
  if (expanded.broken === true) return undefined;
  const value: T | Refused | undefined = format.parse(expanded);
  if (value !== undefined && !(value instanceof Refused)) return value;
  refuseScalar(format, expanded, value instanceof Refused ? value : undefined, path, reading.complaints, secret);
  return undefined;
}

/** Complains about a scalar that its format did not take; secrets and what was expanded are not shown. */
export function refuseScalar(
  format: Format<unknown>,
  node: ScalarNode,
  refused: Refused | undefined,
  path: string,
  complaints: Complaints,
  secret: boolean,
): void {
  const hidden = secret || node.template !== undefined;
  if (refused !== undefined && !hidden) complaints.problem(node, path, refused.message, refused.hint);
  else complaints.problem(node, path, `${found(node, secret)} is not ${format.needs}`);
}

function found(node: ScalarNode, secret: boolean): string {
  if (node.template !== undefined)
    return `the value of ${quote(node.template)}${node.text === "" ? ", which is empty," : ""}`;
  if (secret) return "this value";
  if (node.value === null) return "nothing";
  return node.quoted || typeof node.value === "string" ? quote(node.text) : node.text;
}

const defaultsByShape = new WeakMap<ObjectShape, Record<string, unknown>>();

/** What an object without any key reads as. */
function defaultsOf(shape: ObjectShape): Record<string, unknown> {
  let defaults = defaultsByShape.get(shape);
  if (defaults === undefined) {
    defaults = Object.fromEntries(Object.entries(shape.keys).map(([name, { default: value }]) => [name, value]));
    defaultsByShape.set(shape, defaults);
  }
  return { ...defaults };
}

function readObject(
  shape: ObjectShape,
  node: ConfigNode,
  path: string,
  reading: Reading,
): Record<string, unknown> | undefined {
  if (node.kind !== "map") {
    wrongKind(node, path, `a map (${shape.title})`, reading.complaints);
    return undefined;
  }
  const result = defaultsOf(shape);
  let unknown = 0;
  for (const [name, entry] of node.entries) {
    const key = Object.hasOwn(shape.keys, name) ? shape.keys[name] : undefined;
    if (key === undefined) {
      unknown += 1;
      continue;
    }
    // nothing, or a null that takes back what an earlier file said: as if it were not written
    if (isNull(entry.value)) continue;
    const below = `${path}.${name}`;
    reading.places.set(below, entry);
    const value = readData(key.shape, entry.value, below, reading, key.secret === true);
    if (value !== undefined) result[name] = value;
  }
  if (unknown > 0) refuseUnknown(node, shape, path, reading.complaints);
  return result;
}

/** Complains about every key that is not known, with what was probably meant. */
export function refuseUnknown(node: MapNode, shape: ObjectShape, path: string, complaints: Complaints): void {
  const known = Object.keys(shape.keys);
  for (const [name, entry] of node.entries) {
    if (Object.hasOwn(shape.keys, name)) continue;
    const near = keyMeant(name, shape);
    const fallback = known.length <= 8 ? `known are ${known.join(", ")}` : undefined;
    const absent = shape.absent !== undefined && Object.hasOwn(shape.absent, name) ? shape.absent[name] : undefined;
    const hint = absent ?? meant(near) ?? fallback;
    complaints.problem(entry.key, path === "" ? keyWord(name) : `${path}.${keyWord(name)}`, "unknown key", hint);
  }
}

/** The key that someone who wrote `name` probably meant. */
export function keyMeant(name: string, shape: ObjectShape): string | undefined {
  const plain = name.toLowerCase().replace(/[-_]/g, "");
  const same = Object.entries(shape.keys).find(([, key]) => key.also?.some((word) => word.toLowerCase() === plain));
  return same?.[0] ?? suggest(name, Object.keys(shape.keys));
}

function readList(
  shape: Extract<ShapeData, { kind: "list" }>,
  node: ConfigNode,
  path: string,
  reading: Reading,
  secret: boolean,
): unknown[] | undefined {
  if (node.kind !== "list") {
    wrongKind(node, path, shape.what, reading.complaints);
    return undefined;
  }
  if (node.items.length < shape.least) {
    reading.complaints.problem(node, path, `the list is empty, ${shape.what} is needed`);
    return undefined;
  }
  return node.items.flatMap((item, i) => {
    const below = `${path}[${i}]`;
    const value = readData(shape.of, item, below, reading, secret);
    // only what was read has a place: itemPaths counts by it
    if (value === undefined) return [];
    reading.places.set(below, { key: item, value: item });
    return [value];
  });
}

function readMap(
  shape: Extract<ShapeData, { kind: "map" }>,
  node: ConfigNode,
  path: string,
  reading: Reading,
  secret: boolean,
): Record<string, unknown> | undefined {
  if (isBlank(node)) return {};
  if (node.kind !== "map") {
    wrongKind(node, path, shape.what, reading.complaints);
    return undefined;
  }
  const result: [string, unknown][] = [];
  for (const [name, entry] of node.entries) {
    const below = `${path}.${name}`;
    // a written null takes back what an earlier file said
    if (shape.of.kind !== "nullable" && isNull(entry.value) && !isBlank(entry.value)) continue;
    reading.places.set(below, entry);
    if (!shape.names.pattern.test(name)) {
      reading.complaints.problem(entry.key, path, `${quote(name)} cannot be a name here: ${shape.names.needs}`);
      continue;
    }
    const value = readData(shape.of, entry.value, below, reading, secret);
    if (value !== undefined) result.push([name, value]);
  }
  return Object.fromEntries(result);
}

/** Complains about a map where a text belongs, and the like. */
export function wrongKind(node: ConfigNode, path: string, needs: string, complaints: Complaints): void {
  const is = node.kind === "scalar" ? found(node, true) : `a ${node.kind}`;
  const what = node.kind === "scalar" && node.template === undefined && node.value !== null ? "a single value" : is;
  const colon = node.kind === "scalar" && !node.quoted && /^[\w-]+:\S/.test(node.text);
  complaints.problem(
    node,
    path,
    `found ${what}, ${needs} is needed`,
    colon ? 'is there a space missing after ":"?' : undefined,
  );
}

function ways(shape: Extract<ShapeData, { kind: "either" }>): string {
  return [shape.scalar, shape.list, shape.map]
    .flatMap((way) => (way === undefined ? [] : [describe(way)]))
    .join(" or ");
}

function describe(shape: ShapeData): string {
  if (shape.kind === "scalar") return shape.format.needs;
  if (shape.kind === "list" || shape.kind === "map") return shape.what;
  return shape.kind === "object" ? `a map (${shape.title})` : "a value";
}
