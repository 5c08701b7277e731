// A Python program that binds its port and path itself, and knows of nothing, under pingora-entry.
import { execFileSync } from "node:child_process";
import { onPath } from "../bench.mjs";
import { startEntry } from "./entry.mjs";
import { service } from "./services.mjs";

/** Itself, where `python3` is a version manager's script: no container has one. */
const interpreter = () =>
  execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();

export const description = (place) => ({
  passAs: "adopt",
  service: (folder, generation) => ({
    command: [interpreter(), service("web.py"), String(place.port), place.socket, folder],
    env: { GENERATION: String(generation) },
    readinessProbe: { log: "^listening" },
    stop: { graceSeconds: 4 },
  }),
});

export const contender = {
  name: "ours-python",
  ours: true,
  missing: () => (onPath("python3") ? undefined : "python3 is not installed"),
  start: (place) => startEntry(place, description(place)),
};
