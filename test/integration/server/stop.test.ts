import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { childrenOf, commandOf, descendantsOf, eventually, freePort, kill, startServer } from "../harness.js";

const three = `
services:
  migrate: { command: [{{service}}, -n, migrate, -x, "50:0"], type: oneshot }
  cache: { command: [{{service}}, -n, cache, -r, "100"], readinessProbe: { notify: true } }
  web: { command: [{{service}}, -n, web, -t, "200"], dependsOn: { migrate: completed, cache: ready } }
shutdown: { gracePeriodSeconds: 10, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

test("pingora-entry starts in dependency order, stops in reverse, exits 0 when SIGTERM arrives", async () => {
  await using server = startServer(three);
  await server.phase("Running");
  server.signal("SIGTERM");
  const { code } = await server.exited;
  assert.equal(code, 0, server.stderr);
  const events = server.lines().map(({ name, event }) => `${name} ${event}`);
  const order = ["migrate start", "migrate exit", "web start", "web term", "web exit", "cache term", "cache exit"];
  assert.deepEqual(
    events.filter((event) => order.includes(event)),
    order,
  );
  assert.ok(events.indexOf("cache ready") < events.indexOf("web start"), events.join());
});

test("pingora-entry kills at the deadline what ignores SIGTERM, never later than grace less reserve, and exits 143", async () => {
  await using server = startServer(`
services:
  deaf: { command: [{{service}}, -n, deaf, -i] }
  good: { command: [{{service}}, -n, good], dependsOn: [deaf] }
shutdown: { gracePeriodSeconds: 2, lameDuckSeconds: 0, reserveSeconds: 0.5 }
`);
  await server.phase("Running");
  const from = performance.now();
  server.signal("SIGTERM");
  const { code } = await server.exited;
  const took = performance.now() - from;
  assert.equal(code, 143, server.stderr);
  assert.ok(took >= 1_400 && took < 2_000, `took ${took} ms`);
});

test("pingora-entry kills at once when a second SIGTERM or SIGINT arrives", async () => {
  for (const second of ["SIGTERM", "SIGINT"] as const) {
    await using server = startServer(`
services:
  deaf: { command: [{{service}}, -n, deaf, -i] }
shutdown: { gracePeriodSeconds: 30, lameDuckSeconds: 0, reserveSeconds: 1 }
`);
    await server.phase("Running");
    server.signal("SIGTERM");
    await server.phase("ShutdownGracePeriod");
    const from = performance.now();
    server.signal(second);
    assert.equal((await server.exited).code, 143, server.stderr);
    assert.ok(performance.now() - from < 10_000);
  }
});

test("pingora-entry leaves no process behind when services leave children, detached or not", async () => {
  for (const flags of ["-c, '3'", "-c, '3', -d"]) {
    await using server = startServer(`
services:
  litter: { command: [{{service}}, -n, litter, ${flags}] }
shutdown: { gracePeriodSeconds: 3, lameDuckSeconds: 0, reserveSeconds: 1 }
`);
    await server.phase("Running");
    const left = await eventually(() => {
      const all = descendantsOf(server.initPid()).filter((pid) => commandOf(pid).includes("litter"));
      return all.length === 4 ? all : undefined;
    });
    server.signal("SIGTERM");
    const { code } = await server.exited;
    assert.equal(code, 143, server.stderr);
    assert.deepEqual(
      left.filter((pid) => commandOf(pid).includes("litter")),
      [],
    );
  }
});

test("pingora-entry restarts a crashing service with its leftovers gone, gives up at the limit, and exits with its code", async () => {
  await using server = startServer(`
services:
  crash:
    command: [{{service}}, -n, crash, -x, "20:7", -c, "1"]
    restart: { initialDelaySeconds: 0.05, limit: 3, windowSeconds: 60 }
`);
  const { code } = await server.exited;
  assert.equal(code, 7, server.stderr);
  const starts = server.lines().filter(({ event }) => event === "start");
  assert.equal(starts.length, 4);
});

test("pingora-entry exits with the main command's code, and stops the others first", async () => {
  await using server = startServer(
    `
services:
  side: { command: [{{service}}, -n, side] }
`,
    { args: ["--", "/bin/sh", "-c", "exit 42"] },
  );
  assert.equal((await server.exited).code, 42, server.stderr);
  assert.ok(server.lines().some(({ name, event }) => name === "side" && event === "exit"));
});

test("pingora-entry exits 127 or 126 and names the file when a required command cannot run", async () => {
  for (const [command, expected, words] of [
    ["/no/such/file", 127, "not found"],
    ["/etc/passwd", 126, "permission denied"],
  ] as const) {
    await using server = startServer(`
services:
  bad: { command: [${command}], restart: { policy: never } }
`);
    assert.equal((await server.exited).code, expected, server.stderr);
    assert.match(server.stderr, new RegExp(`${command}[^\\n]*${words}`));
  }
});

test("pingora-entry reports why it is not ready, and stops cleanly, while a service never gets ready", async () => {
  await using server = startServer(`
services:
  slow: { command: [{{service}}, -n, slow], readinessProbe: { tcpSocket: { port: 1 } } }
  after: { command: [{{service}}, -n, after], dependsOn: [slow] }
`);
  await server.phase("BootstrapComplete");
  const { status, body } = await eventually(async () => {
    const answer = await server.ask("/readyz?verbose");
    return answer.body.includes("refused") ? answer : undefined;
  });
  assert.equal(status, 503);
  assert.match(body, /waiting for slow to be ready/);
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0);
  assert.ok(!server.lines().some(({ name }) => name === "after"));
});

test("pingora-entry is unharmed by a service that closes its outputs or floods them", async () => {
  for (const flags of ["-q", "-o"]) {
    await using server = startServer(`
services:
  odd: { command: [{{service}}, -n, odd, ${flags}], output: prefix }
shutdown: { gracePeriodSeconds: 5, lameDuckSeconds: 0, reserveSeconds: 1 }
`);
    server.child.stdout?.pause();
    await server.phase("Running");
    const from = performance.now();
    assert.equal((await server.ask("/readyz")).status, 200);
    assert.ok(performance.now() - from < 500);
    server.signal("SIGTERM");
    assert.ok([0, 143].includes((await server.exited).code ?? -1), server.stderr.slice(-2_000));
  }
});

test("pingora-entry ends with the services when they all have ended by themselves", async () => {
  await using server = startServer(`
services:
  one: { command: [{{service}}, -n, one, -x, "50:0"], type: oneshot }
  two: { command: [{{service}}, -n, two, -x, "80:0"], type: oneshot }
`);
  assert.equal((await server.exited).code, 0, server.stderr);
  assert.deepEqual(childrenOf(server.initPid()), []);
});

test("pingora-entry tells what an exec probe wrote in the container, not on TCP", async () => {
  const port = await freePort();
  await using server = startServer(`
services:
  db:
    command: [{{service}}, -n, db]
    readinessProbe: { exec: [sh, -c, "echo password hunter2 refused >&2; exit 1"], periodSeconds: 1 }
admin: { tcp: "127.0.0.1:${port}", socket: "{{dir}}/control.sock" }
log: { format: json }
`);
  const inside = await eventually(async () => {
    const { body } = await server.ask("/readyz");
    return body.includes("exit code 1") ? body : undefined;
  });
  assert.match(inside, /service\/db failed: Starting: readiness probe: exit code 1: password hunter2 refused\n/);
  for (const path of ["/readyz", "/status", "/"]) {
    const text = await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    assert.match(text, /exit code 1/);
    assert.doesNotMatch(text, /hunter2/);
  }
});

test("pingora-entry ends 200 services that ignore SIGTERM, all in one wave, before the grace is over, with last words", async () => {
  const names = Array.from({ length: 200 }, (_, n) => `deaf-${n}`);
  const command = '[sh, -c, "trap : TERM; while :; do sleep 1; done"]';
  await using server = startServer(`
services:
${names.map((name) => `  ${name}: { command: ${command}, required: false }`).join("\n")}
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0 }
terminationMessagePath: "{{dir}}/last"
`);
  await eventually(async () => (await server.status())?.services.every(({ state }) => state === "Ready"), {
    timeoutMs: 60_000,
  });
  const from = performance.now();
  server.signal("SIGTERM");
  const { code } = await server.exited;
  const took = performance.now() - from;
  assert.equal(code, 143);
  assert.ok(took < 4_000, `took ${took} ms`);
  const words = JSON.parse(readFileSync(join(server.dir, "last"), "utf8"));
  assert.deepEqual([words.exitCode, words.cause, words.killed.length], [143, "SIGTERM", 20]);
});
test("pingora-entry fills placeholders in exec probes and stop commands and in their environment", async () => {
  await using server = startServer(`
listeners:
  http: { tcp: "127.0.0.1:0" }
services:
  web:
    command: [{{service}}, -n, web]
    listeners: [http]
    env: { ADDRESS: "http://{{listeners.http.address}}/" }
    readinessProbe: { exec: [/bin/sh, -c, 'echo "$0 $ADDRESS" > {{dir}}/probed', "{{listeners.http.port}}"] }
    stop: { command: [/bin/sh, -c, 'echo "$0 $ADDRESS" > {{dir}}/stopped', "{{listeners.http.port}}"] }
`);
  await server.phase("Running");
  server.signal("SIGTERM");
  const probed = readFileSync(join(server.dir, "probed"), "utf8");
  assert.match(probed, /^(\d+) http:\/\/127\.0\.0\.1:\1\/\n$/);
  const stopped = await eventually(
    () => existsSync(join(server.dir, "stopped")) && readFileSync(join(server.dir, "stopped"), "utf8"),
  );
  assert.equal(stopped, probed);
  assert.equal((await server.exited).code, 0, server.stderr);
});

test("pingora-entry says which limit could not be set, and what the most is", async () => {
  // root may raise limits unless this capability is taken from it
  const less = process.getuid?.() === 0 ? "setpriv --bounding-set -sys_resource" : "";
  await using server = startServer(
    `
services:
  a: { command: [/bin/true], limits: { core: 0, nofile: 1024 }, restart: never }
`,
    { under: ["sh", "-c", `ulimit -n 512 && exec ${less} "$@"`, "sh"] },
  );
  assert.equal((await server.exited).code, 126, server.stderr);
  assert.match(server.stderr, /cannot set the limit nofile to 1024: the container's hard limit is 512/);
});

test("pingora-entry leaves no unix socket behind after a stop, also when its supervisor was killed before", async () => {
  for (const killed of [false, true]) {
    await using server = startServer(`
listeners: { app: { unix: "{{dir}}/app.sock" } }
services:
  a: { command: [{{service}}, -n, a], listeners: [app] }
`);
    await server.phase("Running");
    assert.deepEqual(sockets(server.dir), ["app.sock", "control.sock"]);
    if (killed) {
      const before = await eventually(() => server.supervisor());
      kill(before);
      await eventually(async () => server.supervisor() !== before && (await server.ask("/readyz")).status === 200);
    }
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0, server.stderr);
    assert.deepEqual(sockets(server.dir), []);
  }
});

function sockets(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(".sock"))
    .sort();
}
