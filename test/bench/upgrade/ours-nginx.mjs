// nginx under pingora-entry, which hands it the sockets as an older nginx would.
import { join } from "node:path";
import { onPath } from "../bench.mjs";
import { startEntry } from "./entry.mjs";
import { end } from "./processes.mjs";
import { fromTemplate, nginxUser, startBackend } from "./services.mjs";

export const contender = {
  name: "ours-nginx",
  ours: true,
  /** loses no more kept connections than this one */
  losesLike: "nginx",
  missing: () => (onPath("nginx") ? undefined : "nginx is not installed (apt-get install nginx)"),
  async start(place) {
    const backend = await startBackend(place);
    const running = await startEntry(place, {
      passAs: "nginx",
      service: (folder, generation) => ({
        command: [
          onPath("nginx"),
          "-p",
          folder,
          "-e",
          join(folder, "nginx.log"),
          "-c",
          fromTemplate("nginx.conf", join(folder, "nginx.conf"), {
            ...place,
            // each generation has its own pid file: an old nginx removes its own when it ends
            dir: folder,
            generation,
            backend: backend.path,
            daemon: "off",
            user: nginxUser(),
          }),
        ],
        readinessProbe: { httpGet: { path: "/plain", listener: "http" } },
        stop: { signal: "SIGQUIT", graceSeconds: 4 },
      }),
    });
    return {
      ...running,
      async stop() {
        await running.stop();
        await end(backend.child);
      },
    };
  },
};
