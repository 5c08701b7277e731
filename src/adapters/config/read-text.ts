import type { Complaints } from "./complaints.js";
import type { ConfigNode, Origin } from "./node.js";
import { readPlainYaml } from "./plain-yaml.js";
import { readYaml } from "./yaml-document.js";

/** YAML 1.2 (JSON is YAML). Undefined for a text without a document; unreadable for one that is no YAML, which is complained about. */
export async function readText(
  origin: Origin & { readonly text: string },
  complaints: Complaints,
): Promise<ConfigNode | "unreadable" | undefined> {
  return readPlainYaml(origin) ?? readYaml(await import("yaml"), origin, complaints);
}
