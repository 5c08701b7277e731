import type { Source } from "../../core/entry-error.js";

/** Where text came from: a file, a variable, an option. Offsets in nodes count UTF-16 units of `text`. */
export interface Origin {
  /** as the user named it */
  readonly name: string;
  readonly text?: string;
}

export interface Place {
  readonly origin: Origin;
  readonly offset: number;
}

/** One value of the configuration with its place; what every layer is turned into before it is judged. */
export interface ScalarNode extends Place {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** the value as text, character by character as it was written: `0660`, `1.10`, `yes` */
  readonly text: string;
  /** what stood there before `${...}` was replaced. Only this may be printed: the value can be a secret */
  readonly template?: string;
  /** quoted, a block, or the result of an expansion: text, whatever it looks like */
  readonly quoted: boolean;
  /** its expansion failed, which was complained about: it reads as undefined, in silence */
  readonly broken?: true;
}

export interface ListNode extends Place {
  readonly kind: "list";
  readonly items: readonly ConfigNode[];
}

export interface MapEntry {
  readonly key: Place;
  readonly value: ConfigNode;
}

export interface MapNode extends Place {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, MapEntry>;
}

export type ConfigNode = ScalarNode | ListNode | MapNode;

export function scalar(value: ScalarNode["value"], text: string, place: Place, quoted = false): ScalarNode {
  return { kind: "scalar", value, text, quoted, origin: place.origin, offset: place.offset };
}

export function emptyMap(place: Place): MapNode {
  return { kind: "map", entries: new Map(), origin: place.origin, offset: place.offset };
}

/** `key:` with nothing behind it: says nothing, unlike a written null, which takes an earlier value back. */
export function isBlank(node: ConfigNode): boolean {
  return node.kind === "scalar" && node.value === null && node.text === "";
}

export function isNull(node: ConfigNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

const lineStarts = new WeakMap<Origin, number[]>();

/** Name, line and column; only the name for what has no text. */
export function placeOf(place: Place): Source {
  const { origin, offset } = place;
  if (origin.text === undefined) return { name: origin.name };
  let starts = lineStarts.get(origin);
  if (starts === undefined) {
    starts = [0];
    for (let at = origin.text.indexOf("\n"); at !== -1; at = origin.text.indexOf("\n", at + 1)) starts.push(at + 1);
    lineStarts.set(origin, starts);
  }
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { name: origin.name, line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}
