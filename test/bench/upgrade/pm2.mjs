// pm2 reload in cluster mode, as its manual advises: the new process says "ready", the old one has time to end (SIGINT).
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../bench.mjs";
import { succeed, untilAnswers } from "./processes.mjs";
import { service } from "./services.mjs";

const peers = join(root, "build/peers");
const pm2 = join(peers, "node_modules/.bin/pm2");

export function install() {
  if (existsSync(pm2)) return;
  mkdirSync(peers, { recursive: true });
  execFileSync("npm", ["install", "--no-save", "--no-package-lock", "--prefix", peers, "pm2@7.0.4"], {
    stdio: "ignore",
    cwd: peers,
  });
}

export const contender = {
  name: "pm2",
  ours: false,
  missing: () => (existsSync(pm2) ? undefined : "pm2 is not installed (--install)"),
  async start(place) {
    const file = join(place.dir, "pm2.json");
    const write = (generation) =>
      writeFileSync(
        file,
        JSON.stringify({
          apps: [
            {
              name: "web",
              script: service("node-web.mjs"),
              exec_mode: "cluster",
              instances: 1,
              wait_ready: true,
              listen_timeout: 20_000,
              kill_timeout: 10_000,
              out_file: "/dev/null",
              error_file: join(place.dir, "pm2-error.log"),
              env: { GENERATION: String(generation), PORT: String(place.port), SOCKET: place.socket, LISTEN_FDS: "" },
            },
          ],
        }),
      );
    const env = { ...process.env, PM2_HOME: join(place.dir, "pm2"), HOME: place.dir, PM2_DISCRETE_MODE: "true" };
    const call = (...words) => succeed([pm2, ...words], { env, cwd: place.dir });
    write(1);
    await call("start", file);
    await untilAnswers("pm2's service", place.port);
    return {
      async upgrade(generation) {
        write(generation);
        await call("reload", file, "--update-env");
      },
      settled: async () => {},
      stop: () => call("kill"),
    };
  },
};
