import { key, mapOf, object } from "../shape.js";
import { listener } from "./listener.js";
import { envFilesShape, envShape, nameRule } from "./names.js";
import { pingoraIgnored, pingoraKeys } from "./pingora.js";
import { service } from "./service.js";
import { settings, topScalars } from "./settings.js";

/** What is more than scalars. */
export const structures = {
  services: key(mapOf(service, "a map of services", nameRule), { doc: "The programs to run, by name." }),
  listeners: key(mapOf(listener, "a map of listeners", nameRule), {
    doc: "Listening sockets, by name. They are bound before the services start and outlive them.",
  }),
  env: key(envShape, { doc: "Environment variables of every service.", secret: true }),
  envFiles: key(envFilesShape, { doc: "Files of NAME=value lines, for every service." }),
} as const;

/** The whole configuration file. */
export const root = object("configuration", {
  ...structures,
  shutdown: key(settings.shutdown, { doc: "How the container stops." }),
  readiness: key(settings.readiness, { doc: "What /readyz says." }),
  admin: key(settings.admin, { doc: "Where pingora-entry answers." }),
  log: key(settings.log, { doc: "pingora-entry's own log." }),
  bind: key(settings.bind, { doc: "Binding of listeners." }),
  upgrade: key(settings.upgrade, { doc: "Upgrades of pingora-entry and its services." }),
  kubernetes: key(settings.kubernetes, { doc: "Use of the Kubernetes API." }),
  ...topScalars,
  ...pingoraKeys,
});

/** Every key that may stand at the top level. */
export const rootKeys: readonly string[] = [...Object.keys(root.keys), ...Object.keys(pingoraIgnored)];
