// A Node service that takes its sockets by LISTEN_FDS, under pingora-entry.

import { startEntry } from "./entry.mjs";
import { service } from "./services.mjs";

export const description = {
  passAs: "systemd",
  service: (folder, generation) => ({
    command: [process.execPath, service("node-web.mjs"), folder],
    env: { GENERATION: String(generation) },
    readinessProbe: { log: "^listening" },
    stop: { graceSeconds: 4 },
  }),
};

export const contender = {
  name: "ours-node",
  ours: true,
  loses: 0,
  missing: () => undefined,
  start: (place) => startEntry(place, description),
};
