// nginx's own upgrade: USR2 starts a new master on the inherited sockets, WINCH ends the old workers, QUIT the old master.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { childrenOf, onPath } from "../bench.mjs";
import { alive, end, holds, listenerInode, noticed, start, untilAnswers } from "./processes.mjs";
import { fromTemplate, nginxUser, startBackend } from "./services.mjs";

function pidIn(file) {
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  return pid > 0 ? pid : undefined;
}

export const contender = {
  name: "nginx",
  ours: false,
  missing: () => (onPath("nginx") ? undefined : "nginx is not installed (apt-get install nginx)"),
  async start(place) {
    const backend = await startBackend(place);
    const conf = join(place.dir, "nginx.conf");
    const write = (generation) =>
      fromTemplate("nginx.conf", conf, {
        ...place,
        generation,
        backend: backend.path,
        daemon: "on",
        user: nginxUser(),
      });
    const pidFile = join(place.dir, "nginx.pid");
    const log = join(place.dir, "nginx.log");
    write(1);
    start([onPath("nginx"), "-p", place.dir, "-c", conf, "-e", log], { log });
    await untilAnswers("nginx", place.port);
    let previous;
    return {
      async upgrade(generation) {
        write(generation);
        const inode = listenerInode(place.port);
        const old = await noticed("nginx's pid file", () => pidIn(pidFile));
        previous = old;
        process.kill(old, "SIGUSR2");
        const fresh = await noticed("the new master", () => {
          const pid = pidIn(pidFile);
          return pid !== old && pid !== undefined && childrenOf(pid).length > 0 ? pid : undefined;
        });
        const workers = childrenOf(old).filter((pid) => pid !== fresh);
        process.kill(old, "SIGWINCH");
        await noticed("the old workers to accept no more", () => !workers.some((pid) => holds(pid, inode)));
        process.kill(old, "SIGQUIT");
      },
      settled: () => noticed("the old master to end", () => previous === undefined || !alive(previous), 30_000),
      async stop() {
        const pid = pidIn(pidFile);
        if (pid !== undefined) {
          process.kill(pid, "SIGTERM");
          await noticed("nginx to end", () => !alive(pid));
        }
        await end(backend.child);
      },
    };
  },
};
