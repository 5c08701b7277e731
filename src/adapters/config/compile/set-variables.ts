import type { ListenerSpec } from "../../../core/plan.js";
import { quote } from "../complaints.js";
import type { WrittenService } from "../schema/service.js";
import { itemPaths, placeFor, type Scene } from "./scene.js";

/** Variables that are set for each process, whatever the configuration says, with who sets them. */
export type SetVariables = ReadonlyMap<string, string>;

/** Set for every process by the protocols they belong to. */
export const setForAll: SetVariables = new Map(
  [
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "PINGORA_ENTRY_CHANNEL",
    "PINGORA_ENTRY_ID",
    "PINGORA_ENTRY_INSTANCE",
    "PINGORA_ENTRY_SERVICE",
  ].map((name) => [name, "pingora-entry"]),
);

/** Of these a program, a shell or its loader expects something else than a descriptor (POSIX 8.3, ld.so(8)). */
const known = ["HOME", "IFS", "LD_LIBRARY_PATH", "LD_PRELOAD", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "USER"];

/** Why no listener can be passed by a variable of this name; undefined: one can. */
export function whyNoDescriptor(name: string): string | undefined {
  if (known.includes(name)) return "programs expect something else in it";
  if (setForAll.has(name) || name.startsWith("PINGORA_ENTRY_") || name === "NGINX")
    return "pingora-entry itself sets it";
  return undefined;
}

/** With those of the service's listeners; two that set the same, or one that env sets for all services, are complained about. */
export function setForService(
  written: WrittenService,
  path: string,
  listeners: readonly string[],
  { complaints, places, listeners: specs, sharedEnv }: Scene,
): SetVariables {
  const result = new Map(setForAll);
  const item = itemPaths(places, `${path}.listeners`);
  for (const name of listeners) {
    const at = item(written.listeners?.indexOf(name) ?? 0);
    const owner = `listener ${quote(name)}`;
    for (const variable of variablesOf(specs.get(name))) {
      // the listener has been complained about
      if (whyNoDescriptor(variable) !== undefined) continue;
      const shared = Object.hasOwn(sharedEnv, variable) ? "the env of all services" : undefined;
      const rival = result.get(variable) ?? shared;
      if (rival !== undefined)
        complaints.problem(
          placeFor(places, at),
          at,
          `${owner} sets ${variable}, and so does ${rival}`,
          "give the listener another envName",
        );
      if (!result.has(variable)) result.set(variable, owner);
    }
  }
  return result;
}

function variablesOf(listener: ListenerSpec | undefined): string[] {
  return listener?.passAs === "env" ? [listener.envName, `${listener.envName}_ADDR`] : [];
}
