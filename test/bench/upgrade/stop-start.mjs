// No upgrade at all: the service is stopped and started again. Only when named (--only): it shows that the harness sees what is lost.
import { join } from "node:path";
import { end, start, untilAnswers } from "./processes.mjs";
import { service } from "./services.mjs";

export const contender = {
  name: "stop-start",
  ours: false,
  control: true,
  missing: () => undefined,
  async start(place) {
    const begin = async (generation) => {
      const env = { ...process.env, GENERATION: String(generation), PORT: String(place.port), SOCKET: place.socket };
      const child = start([process.execPath, service("node-web.mjs")], { env, log: join(place.dir, "service.log") });
      await untilAnswers("the service", place.port);
      return child;
    };
    let child = await begin(1);
    return {
      async upgrade(generation) {
        // as an impatient script does it
        await end(child, "SIGTERM", 500);
        child = await begin(generation);
      },
      settled: async () => {},
      stop: () => end(child),
    };
  },
};
