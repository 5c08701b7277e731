// A Python program that binds its port and path itself, and knows of nothing, under pingora-entry.
import { onPath } from "../bench.mjs";
import { startEntry } from "./entry.mjs";
import { service } from "./services.mjs";

export const contender = {
  name: "ours-python",
  ours: true,
  missing: () => (onPath("python3") ? undefined : "python3 is not installed"),
  start: (place) =>
    startEntry(place, {
      passAs: "adopt",
      service: (folder, generation) => ({
        command: ["python3", service("web.py"), String(place.port), place.socket, folder],
        env: { GENERATION: String(generation) },
        readinessProbe: { log: "^listening" },
        stop: { graceSeconds: 4 },
      }),
    }),
};
