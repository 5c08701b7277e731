import type { Problem } from "../../core/entry-error.js";
import type { BoundListener } from "../../runtime/ports.js";
import { hostAndPort } from "./address-text.js";

const pattern = /\{\{\s*listeners\.([^{}]+)\.([A-Za-z]+)\s*\}\}/g;

export interface PlaceholderSource {
  /** by name: every listener there is; address parts may be asked of any */
  readonly known: ReadonlyMap<string, BoundListener>;
  /** by name: the number in the service of those that it gets */
  readonly targets: ReadonlyMap<string, number>;
}

/** The address as a client would write it: "127.0.0.1:80", "[::1]:80", a path. */
export function listenerAddress(listener: BoundListener): string {
  return listener.path ?? hostAndPort(listener.host ?? "", listener.port ?? 0);
}

/**
 * Fills `{{listeners.NAME.fd}}`, `.port`, `.host`, `.path` and `.address`. What cannot be filled stays, and is added to `problems`;
 * `place` says where it stands (`command[2]`, `env.URL`).
 */
export function fillPlaceholders(text: string, source: PlaceholderSource, place: string, problems: Problem[]): string {
  return text.replace(pattern, (whole: string, name: string, part: string) => {
    const value = partOf(name, part, source);
    if ("message" in value) problems.push({ path: place, message: `cannot fill ${whole}: ${value.message}` });
    return "message" in value ? whole : value.text;
  });
}

function partOf(
  name: string,
  part: string,
  { known, targets }: PlaceholderSource,
): { text: string } | { message: string } {
  const listener = known.get(name);
  if (listener === undefined) return { message: `there is no listener "${name}"` };
  switch (part) {
    case "fd": {
      const target = targets.get(name);
      if (target === undefined)
        return { message: `the service does not get listener "${name}"; add it to its listeners` };
      return { text: String(target) };
    }
    case "address":
      return { text: listenerAddress(listener) };
    case "port":
    case "host":
    case "path": {
      const value = listener[part];
      return value === undefined
        ? { message: `listener "${name}" at ${listenerAddress(listener)} has no ${part}` }
        : { text: String(value) };
    }
    default:
      return { message: `"${part}" is not one of fd, port, host, path, address` };
  }
}
