import type { Format } from "./format.js";

/**
 * The configuration's schema as data. Reading, convict's schema, the published JSON Schema and the reference page are all made from it.
 * `T` is what reading a value of this shape produces.
 */
export type Shape<T> = ShapeData & { readonly produces?: T };

export type ShapeData =
  | { readonly kind: "scalar"; readonly format: Format<unknown> }
  | { readonly kind: "list"; readonly of: ShapeData; readonly what: string; readonly least: number }
  | { readonly kind: "map"; readonly of: ShapeData; readonly what: string; readonly names: NameRule }
  | ObjectShape
  /** at most one way per kind of YAML value */
  | { readonly kind: "either"; readonly scalar?: ShapeData; readonly list?: ShapeData; readonly map?: ShapeData }
  /** a written null (or nothing) has a meaning of its own here */
  | { readonly kind: "nullable"; readonly of: ShapeData };

export interface ObjectShape {
  readonly kind: "object";
  /** heading in the reference: "service", "probe" */
  readonly title: string;
  readonly keys: Readonly<Record<string, KeyData>>;
  /** what to say of keys that people know from elsewhere and that are not here */
  readonly absent?: Readonly<Record<string, string>>;
}

/** What a map's keys may look like. */
export interface NameRule {
  readonly pattern: RegExp;
  readonly needs: string;
}

export interface KeyNotes {
  /** one or two sentences for an operator; the first stands alone in editors */
  readonly doc: string;
  readonly default?: unknown;
  /** the default in words when it is no constant */
  readonly defaultText?: string;
  readonly unit?: string;
  readonly since?: string;
  readonly examples?: readonly unknown[];
  /** pingora's own name for the same thing, accepted at the top level */
  readonly pingora?: string;
  /** never printed */
  readonly secret?: true;
  /** other programs' words for it, to suggest it by */
  readonly also?: readonly string[];
}

export interface KeyData extends KeyNotes {
  readonly shape: ShapeData;
}

export type Key<T> = KeyData & { readonly produces?: T };

type Keys = Readonly<Record<string, KeyData>>;
type FieldOf<K> = K extends { readonly produces?: { readonly is: infer T } } ? T : unknown;
export type ObjectOf<K extends Keys> = { readonly [N in keyof K]: FieldOf<K[N]> };

export function scalarOf<T>(format: Format<T>): Shape<T> {
  return { kind: "scalar", format };
}

export function listOf<T>(of: Shape<T>, what: string, least = 0): Shape<readonly T[]> {
  return { kind: "list", of, what, least };
}

export function mapOf<T>(of: Shape<T>, what: string, names: NameRule): Shape<Readonly<Record<string, T>>> {
  return { kind: "map", of, what, names };
}

export function object<K extends Keys>(
  title: string,
  keys: K,
  absent: Readonly<Record<string, string>> = {},
): ObjectShape & { readonly keys: K; readonly produces?: ObjectOf<K> } {
  return { kind: "object", title, keys, absent };
}

export function either<A = never, B = never, C = never>(ways: {
  readonly scalar?: Shape<A>;
  readonly list?: Shape<B>;
  readonly map?: Shape<C>;
}): Shape<A | B | C> {
  return { kind: "either", ...ways };
}

export function nullable<T>(of: Shape<T>): Shape<T | null> {
  return { kind: "nullable", of };
}

/** A key that may be left out: its default, or undefined, is read instead. */
export function key<T>(shape: Shape<T>, notes: KeyNotes & { readonly default: T }): Key<{ readonly is: T }>;
export function key<T>(shape: Shape<T>, notes: KeyNotes): Key<{ readonly is: T | undefined }>;
export function key(shape: ShapeData, notes: KeyNotes): KeyData {
  return { shape, ...notes };
}
