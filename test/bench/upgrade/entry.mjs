// pingora-entry under the load: its configuration, its start and stop, and the one place that knows how an upgrade is asked for.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, program, until } from "../bench.mjs";
import { end, noticed, runningWith, start, succeed, untilAnswers } from "./processes.mjs";
import { folderOf } from "./services.mjs";

/** Ends with 0 when the new generation is the owner for good. */
export const upgradeCommand = ({ conf, socket, path }) => [
  program,
  "upgrade",
  ...(path === undefined ? [] : ["--path", path]),
  "--conf",
  conf,
  "--wait",
  ...["--socket", socket],
];

export const controlSocket = (place) => place.control ?? join(place.dir, "control.sock");

/**
 * `service`: (folder, generation) => { command, env, ... } as the configuration writes it. `drainSeconds`: three quarters of the usual
 * ones, for a program that adopts its sockets, are longer than a stream.
 */
export function configuration(place, { passAs, service, drainSeconds = 5, upgrade = {} }, generation) {
  const folder = folderOf(place, generation);
  // not in the folder: the init keeps its command line, and who runs with the folder is how the end of a generation is seen
  const conf = join(place.dir, `entry-${generation}.yaml`);
  // JSON is YAML
  const text = JSON.stringify({
    listeners: {
      http: { tcp: `127.0.0.1:${place.port}`, passAs },
      local: { unix: place.socket, passAs },
    },
    services: { web: { listeners: ["http", "local"], ...service(folder, generation) } },
    admin: { tcp: "off", socket: controlSocket(place) },
    upgrade: {
      directory: join(place.dir, "upgrade"),
      ...(place.probationSeconds === undefined ? {} : { probationSeconds: place.probationSeconds }),
      drainSeconds,
      release: `r${generation}`,
      ...upgrade,
    },
    shutdown: { gracePeriodSeconds: 30, lameDuckSeconds: 0 },
    terminationMessagePath: "off",
  });
  writeFileSync(conf, text);
  return conf;
}

export async function startEntry(place, description, env = {}) {
  const socket = controlSocket(place);
  const conf = configuration(place, description, 1);
  const child = start([program, "run", "-c", conf], {
    log: join(place.dir, "entry.log"),
    env: { ...process.env, ...env },
  });
  await until(
    "readiness of pingora-entry",
    async () => {
      if (child.exitCode !== null) throw new Error(`pingora-entry ended with ${child.exitCode}`);
      return (await ask({ socketPath: socket, path: "/readyz" })) === 200;
    },
    30_000,
  );
  await untilAnswers("the service", place.port);
  let current = 1;
  return {
    child,
    async upgrade(generation) {
      const conf = configuration(place, description, generation);
      const command = upgradeCommand({ conf, socket, path: place.releaseOf?.(generation) });
      await succeed(command);
      current = generation;
    },
    settled: () =>
      noticed(
        "the old generation to end",
        () => !runningWith(join(place.dir, `generation-${current - 1}-`)),
        40_000,
        250,
      ),
    stop: () => end(child, "SIGTERM", 40_000),
  };
}
