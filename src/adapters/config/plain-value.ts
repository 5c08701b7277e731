import type { ConfigNode } from "./node.js";

/** The node as JavaScript data, without places. */
export function plainValue(node: ConfigNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plainValue);
  return Object.fromEntries([...node.entries].map(([name, { value }]) => [name, plainValue(value)]));
}
