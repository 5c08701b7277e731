// `npm start`: runs examples/local in the foreground and prints where the status page is. Ctrl-C stops it in order, another one at once; closing the terminal, in order.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

// not a command before this one: a shell in between would keep the signals that npm passes on
await import("./setup.mjs");

const root = resolve(import.meta.dirname, "..");

function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.on("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

function ready(port) {
  return new Promise((done) => {
    get({ port, host: "127.0.0.1", path: "/readyz" }, (response) => {
      response.resume();
      done(response.statusCode === 200);
    }).on("error", () => done(false));
  });
}

const [web, admin] = [process.env.PORT ?? (await freePort()), process.env.ADMIN_PORT ?? (await freePort())];
// from here to the handlers nothing is awaited: no signal finds a folder or a child and nobody who ends them
const dir = mkdtempSync(join(tmpdir(), "pingora-entry-"));
const env = { ...process.env, EXAMPLE_DIR: dir, PORT: String(web), ADMIN_PORT: String(admin) };
const child = spawn(join(root, "dist/bin/pingora-entry"), ["run", "-c", "examples/local/config.yaml"], {
  cwd: root,
  env,
  stdio: "inherit",
  // out of the terminal's foreground group: Ctrl-C comes to this script, which asks for a graceful stop first
  detached: true,
});

// one Ctrl-C comes twice, from the terminal and from npm, which gets it as well and passes it on: what follows at once is not another
const sameMs = 500;
let askedAt;
process.on("SIGINT", () => {
  if (askedAt === undefined) child.kill("SIGTERM");
  else if (performance.now() - askedAt > sameMs) child.kill("SIGINT");
  askedAt ??= performance.now();
});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill("SIGTERM"));
// a terminal that was closed takes no words any more
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
child.on("exit", (code, signal) => {
  rmSync(dir, { recursive: true, force: true });
  process.exit(signal ? 1 : code);
});

while (child.exitCode === null && !(await ready(admin))) await new Promise((wake) => setTimeout(wake, 50));
if (child.exitCode === null) {
  console.log(`
  the service        http://127.0.0.1:${web}/
  the status page    http://127.0.0.1:${admin}/
  ask it             dist/bin/pingora-entry status --socket ${join(dir, "control.sock")}
  stop it            Ctrl-C
`);
}
