// V8's code caches beside the bundles: a start, and both sides of an upgrade, compile nothing (docs/adr/0004).
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const out = resolve(import.meta.dirname, "..", "dist", "bin");
const program = join(out, "pingora-entry");
const cacheOf = (bundle) => join(out, `${bundle}.${process.version}-${process.arch}.cache`);

export const cachesAreFresh = () => {
  const cache = cacheOf("main.cjs");
  return existsSync(cache) && statSync(cache).mtimeMs >= statSync(join(out, "main.cjs")).mtimeMs;
};

const configuration = (dir) => `listeners: { local: { unix: ${join(dir, "local.sock")} } }
services:
  first: { command: [sleep, "100"], readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 } }
  main: { command: [sleep, "100"], listeners: [local], dependsOn: { first: ready } }
admin: { tcp: "127.0.0.1:0", socket: ${join(dir, "control.sock")} }
upgrade: { directory: ${join(dir, "upgrade")}, probationSeconds: 1 }
shutdown: { gracePeriodSeconds: 3, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

async function until(what, holds) {
  const deadline = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(20);
  }
}

/** Each generation writes the caches when it ends, on top of what it found when it began: so the third, which ends last, starts after the first has ended. */
async function threeGenerations(dir) {
  const config = join(dir, "config.yaml");
  const socket = join(dir, "control.sock");
  writeFileSync(config, configuration(dir));
  const env = { ...process.env, PINGORA_ENTRY_WRITE_CODE_CACHE: "1" };
  const server = spawn(program, ["run", "-c", config], { env, stdio: "ignore" });
  const ended = new Promise((done) => server.on("exit", done).on("error", done));
  const succeeds = (...words) => spawnSync(program, [...words, "--socket", socket], { stdio: "ignore" }).status === 0;
  const upgrade = () => {
    if (!succeeds("upgrade", "--wait")) throw new Error("an upgrade failed");
  };
  try {
    await until("a server that is ready", () => succeeds("healthcheck"));
    upgrade();
    await until("the first caches", () => existsSync(cacheOf("admin.cjs")));
    upgrade();
    server.kill("SIGTERM");
    await ended;
  } finally {
    server.kill("SIGKILL");
  }
}

export async function buildCaches() {
  for (const bundle of ["main.cjs", "admin.cjs"]) rmSync(cacheOf(bundle), { force: true });
  const dir = mkdtempSync(join(tmpdir(), "pingora-entry-cache-"));
  try {
    await threeGenerations(dir);
  } catch (error) {
    console.error(`notice: the code cache is not whole, starts will be slower (${error.message})`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
