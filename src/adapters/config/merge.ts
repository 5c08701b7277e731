import { type ConfigNode, isBlank, type MapEntry, type MapNode } from "./node.js";

/** A later layer over an earlier one: maps key by key, all else is replaced; `key:` without a value changes nothing. */
export function mergeMaps(base: MapNode, over: MapNode): MapNode {
  const entries = new Map<string, MapEntry>(base.entries);
  for (const [name, entry] of over.entries) {
    const below = base.entries.get(name);
    entries.set(name, below === undefined ? entry : { key: entry.key, value: mergeNodes(below.value, entry.value) });
  }
  return { kind: "map", entries, origin: over.origin, offset: over.offset };
}

function mergeNodes(base: ConfigNode, over: ConfigNode): ConfigNode {
  if (isBlank(over)) return base;
  return base.kind === "map" && over.kind === "map" ? mergeMaps(base, over) : over;
}
