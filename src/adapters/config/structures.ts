import { mainName, placeFor } from "./compile/scene.js";
import { emptyMap, isNull, type MapNode } from "./node.js";
import { type Reading, read } from "./read.js";
import type { WrittenListener } from "./schema/listener.js";
import { structures } from "./schema/root.js";
import { service as serviceShape, type WrittenService } from "./schema/service.js";
import type { Shape } from "./shape.js";

/** What is more than scalars, with its defaults, not yet judged. */
export interface Structures {
  readonly services: Readonly<Record<string, WrittenService>>;
  readonly listeners: Readonly<Record<string, WrittenListener>>;
  readonly env: Readonly<Record<string, string | null>> | readonly string[] | undefined;
  readonly envFiles: string | readonly string[] | undefined;
}

/** Services, listeners and variables; `command` is the command line's, and makes or completes main. */
export function readStructures(root: MapNode, command: readonly string[], reading: Reading): Structures {
  const { complaints, places } = reading;
  const part = <T>(name: keyof typeof structures, shape: Shape<T>): T | undefined => {
    const entry = root.entries.get(name);
    if (entry === undefined || isNull(entry.value)) return undefined;
    places.set(name, entry);
    return read(shape, entry.value, name, reading);
  };
  const listeners = part("listeners", structures.listeners.shape as Shape<Record<string, WrittenListener>>) ?? {};
  const services = part("services", structures.services.shape as Shape<Record<string, WrittenService>>) ?? {};
  if (command.length > 0 && places.has(`services.${mainName}.command`)) {
    const at = `services.${mainName}.command`;
    complaints.problem(
      placeFor(places, at),
      at,
      `main has a command here and on the command line (${command[0]})`,
      "give one of them, or rename the service",
    );
  }
  const commanded = command.length > 0 && services[mainName] === undefined ? withMain(services, reading) : services;
  return {
    listeners,
    services: commanded,
    env: part("env", structures.env.shape as Shape<NonNullable<Structures["env"]>>),
    envFiles: part("envFiles", structures.envFiles.shape as Shape<NonNullable<Structures["envFiles"]>>),
  };
}

/** main as the command line asks for it: a service with nothing but defaults. */
function withMain(services: Structures["services"], reading: Reading): Structures["services"] {
  const { places } = reading;
  if (places.has(`services.${mainName}`)) return services;
  const place = { origin: { name: "the command line" }, offset: 0 };
  const node = emptyMap(place);
  places.set(`services.${mainName}`, { key: place, value: node });
  const main = read(serviceShape as Shape<WrittenService>, node, `services.${mainName}`, reading);
  return main === undefined ? services : { ...services, [mainName]: main };
}
