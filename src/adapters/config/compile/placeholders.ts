import type { ProcessSpec } from "../../../core/plan.js";
import { suggest } from "../../../core/suggest.js";
import { meant } from "../complaints.js";
import { namesUnder, placeFor, type Scene } from "./scene.js";

const pattern = /\{\{\s*listeners\.([^{}]+)\.([A-Za-z]+)\s*\}\}/g;
const parts = ["fd", "port", "host", "path", "address"];

/** `{{listeners.NAME.fd}}` and the like are filled when a process starts; what never can be is refused now. */
export function refusePlaceholders(process: ProcessSpec, own: readonly string[], path: string, scene: Scene): void {
  for (const [i, word] of process.command.entries()) refuseIn(word, `${path}.command[${i}]`, own, scene);
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== null) refuseIn(value, `${path}.env.${name}`, own, scene);
  }
}

function refuseIn(text: string, path: string, own: readonly string[], scene: Scene): void {
  if (!text.includes("{{")) return;
  for (const [whole, name = "", part = ""] of text.matchAll(pattern)) {
    const [why, hint] = whyNot(name, part, own, scene);
    if (why !== undefined)
      scene.complaints.problem(placeFor(scene.places, path), path, `cannot fill ${whole}: ${why}`, hint);
  }
}

function whyNot(
  name: string,
  part: string,
  own: readonly string[],
  { listeners, places }: Scene,
): readonly [string?, (string | undefined)?] {
  const listener = listeners.get(name);
  if (listener === undefined) {
    // one that is there but was refused has been complained about
    const names = namesUnder(places, "listeners");
    return names.includes(name) ? [] : [`there is no listener "${name}"`, meant(suggest(name, names))];
  }
  if (!parts.includes(part)) return [`"${part}" is not one of ${parts.join(", ")}`, meant(suggest(part, parts))];
  if (part === "fd" && !own.includes(name))
    return [`the service does not get listener "${name}"`, "add it to its listeners"];
  const { kind } = listener.address;
  const missing = kind === "unix" ? part === "port" || part === "host" : part === "path";
  return missing ? [`a ${kind} listener has no ${part}`] : [];
}
