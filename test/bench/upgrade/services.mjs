// The services under measure, and their configurations: templates with {{names}} in test/bench/upgrade/services.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, root, until } from "../bench.mjs";
import { start } from "./processes.mjs";

export const service = (file) => join(root, "test/bench/upgrade/services", file);

/** A folder of each generation: its path in a command line tells the generations' processes apart. */
export function folderOf(place, generation) {
  const folder = join(place.dir, `generation-${generation}-`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Writes a template's file for a generation. @returns its path */
export function fromTemplate(file, output, values) {
  const text = readFileSync(service(file), "utf8").replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (values[name] === undefined) throw new Error(`${file} wants ${name}`);
    return String(values[name]);
  });
  writeFileSync(output, text);
  return output;
}

export const nginxUser = () => (process.getuid?.() === 0 ? "user root;" : "");

/** The service behind a proxy; it stays through all upgrades. */
export async function startBackend(place) {
  const socketPath = join(place.dir, "backend.sock");
  const env = { ...process.env, SOCKET: socketPath, PORT: "", LISTEN_FDS: "" };
  const child = start([process.execPath, service("node-web.mjs")], { env, log: join(place.dir, "backend.log") });
  await until("the backend", async () => (await ask({ socketPath, path: "/plain" })) === 200);
  return { child, path: socketPath };
}
