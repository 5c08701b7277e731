// HAProxy, master and worker: SIGUSR2 makes the master start anew with the new configuration; the new worker fetches the sockets from the
// old one. Twice: as it is, and with the option that keeps idle connections until their next request.
import { join } from "node:path";
import { childrenOf, onPath } from "../bench.mjs";
import { end, holds, listenerInode, noticed, start, untilAnswers } from "./processes.mjs";
import { fromTemplate, startBackend } from "./services.mjs";

const withOptions = (name, options) => ({
  name,
  ours: false,
  missing: () => (onPath("haproxy") ? undefined : "haproxy is not installed (apt-get install haproxy)"),
  async start(place) {
    const backend = await startBackend(place);
    const conf = join(place.dir, "haproxy.cfg");
    const write = (generation) =>
      fromTemplate("haproxy.cfg", conf, { ...place, generation, backend: backend.path, options });
    write(1);
    const master = start(
      [onPath("haproxy"), "-W", "-S", join(place.dir, "master.sock"), "-p", join(place.dir, "haproxy.pid"), "-f", conf],
      { log: join(place.dir, "haproxy.log") },
    );
    await untilAnswers("haproxy", place.port);
    return {
      async upgrade(generation) {
        write(generation);
        const inode = listenerInode(place.port);
        const old = childrenOf(master.pid);
        master.kill("SIGUSR2");
        await noticed("a new worker that alone accepts", () => {
          const holders = childrenOf(master.pid).filter((pid) => holds(pid, inode));
          return holders.length > 0 && !holders.some((pid) => old.includes(pid));
        });
      },
      settled: () => noticed("the old worker to end", () => childrenOf(master.pid).length === 1, 30_000),
      async stop() {
        await end(master, "SIGTERM");
        await end(backend.child);
      },
    };
  },
});

export const contender = withOptions("haproxy", "");
export const keepingIdle = withOptions("haproxy-idle", "option idle-close-on-response");
