import type { ServiceSpec } from "../../../core/plan.js";
import { suggest } from "../../../core/suggest.js";
import { meant } from "../complaints.js";
import { itemPaths, namesUnder, placeFor, type Scene } from "./scene.js";

const pattern = /\{\{\s*listeners\.([^{}]+)\.([A-Za-z]+)\s*\}\}/g;
const parts = ["fd", "port", "host", "path", "address"];

/**
 * `{{listeners.NAME.fd}}` and the like are filled when a process starts, in the command and the environment of a service, in its exec probes and
 * in its stop command; what never can be is refused now.
 */
export function refusePlaceholders(spec: Omit<ServiceSpec, "dependsOn">, path: string, scene: Scene): void {
  const own = spec.listeners;
  const words = (command: readonly string[], at: string, fds: readonly string[] | undefined): void => {
    const item = itemPaths(scene.places, at);
    for (const [i, word] of command.entries()) refuseIn(word, item(i), fds, scene);
  };
  words(spec.process?.command ?? [], `${path}.command`, own);
  for (const [name, value] of Object.entries(spec.process?.env ?? {})) {
    if (value !== null) refuseIn(value, `${path}.env.${name}`, own, scene);
  }
  for (const kind of ["readinessProbe", "livenessProbe", "startupProbe"] as const) {
    const action = spec[kind]?.action;
    const at = `${path}.${kind}.exec`;
    const list = scene.places.has(`${at}.command`) ? `${at}.command` : at;
    if (action?.kind === "exec") words(action.command, list, undefined);
  }
  words(spec.stop.command ?? [], `${path}.stop.command`, undefined);
}

/** `own`: the listeners whose descriptors the process gets; undefined for one that never gets any. */
function refuseIn(text: string, path: string, own: readonly string[] | undefined, scene: Scene): void {
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
  own: readonly string[] | undefined,
  { listeners, places }: Scene,
): readonly [string?, (string | undefined)?] {
  const listener = listeners.get(name);
  if (listener === undefined) {
    // one that is there but was refused has been complained about
    const names = namesUnder(places, "listeners");
    return names.includes(name) ? [] : [`there is no listener "${name}"`, meant(suggest(name, names))];
  }
  if (!parts.includes(part)) return [`"${part}" is not one of ${parts.join(", ")}`, meant(suggest(part, parts))];
  if (part === "fd" && own === undefined)
    return ["only the service itself gets file descriptors", "ask for its port, path or address"];
  if (part === "fd" && !own?.includes(name))
    return [`the service does not get listener "${name}"`, "add it to its listeners"];
  const { kind } = listener.address;
  const missing = kind === "unix" ? part === "port" || part === "host" : part === "path";
  return missing ? [`a ${kind} listener has no ${part}`] : [];
}
