import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { childrenOf, eventually } from "../harness.js";
import { ask, Upgradable, webService } from "./stage.js";

/** `queue`: its program, in the shell; ready as long as there is no file "unready". */
const generation = (number: number, queue: string, more = ""): string => `${webService(number)}  queue:
    command: [/bin/sh, -c, '${queue}']
    restart: { limit: 0 }
    readinessProbe: { exec: { command: [/bin/sh, -c, "test ! -e {{dir}}/unready"] }, periodSeconds: 0.1, failureThreshold: 1 }
${more}
upgrade: { probationSeconds: 20, bootSeconds: 4 }
`;

/** Ends as soon as there is a file "fatal". */
const fragile = `
  fragile:
    command: [/bin/sh, -c, "until [ -e {{dir}}/fatal ]; do sleep 0.02; done; exit 3"]
    restart: never`;

/** An upgrade to `next`, which fails in the probation as soon as the old one's services have said `said`. */
async function rolledBack(
  stage: Upgradable,
  next = generation(2, "exec sleep 1000", fragile),
  said?: string,
): Promise<void> {
  await stage.server.phase("Running");
  const upgrade = stage.upgrade(next);
  await stage.step("new", "PROBATION");
  if (said !== undefined) await eventually(() => stage.said().includes(said), { what: said });
  writeFileSync(join(stage.server.dir, "fatal"), "");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  assert.match(err, /rolled back .*fragile/);
  assert.equal((await stage.server.phase("Running")).generation, 1);
}

const second = (does: string) =>
  generation(1, `if [ -e {{dir}}/mark ]; then ${does}; fi; touch {{dir}}/mark; exec sleep 1000`);

const unready = (stage: Upgradable, why: RegExp): Promise<unknown> =>
  eventually(
    async () => {
      const { status, body } = await stage.server.ask("/readyz?verbose");
      return status === 503 && why.test(body);
    },
    { what: `a /readyz that says ${why}` },
  );

test("a required service that fails when it is started again after a rollback is excused no more", async () => {
  await using stage = await Upgradable.start(second("exit 7"));
  await rolledBack(stage);
  await unready(stage, /\[-\]service\/queue .*Backoff: exited with code 7/);
  assert.match((await stage.server.ask("/metrics")).body, /^pingora_entry_ready 0$/m);
});

test("a required service that is started again after a rollback is excused until bootSeconds are over, and no longer", async () => {
  await using stage = await Upgradable.start(second("touch {{dir}}/unready; exec sleep 1000"));
  await rolledBack(stage);
  const { status, body } = await stage.server.ask("/readyz?verbose");
  assert.equal(status, 200, body);
  assert.match(body, /service\/queue ok \(starts again after an upgrade that was rolled back; Starting: /);
  await unready(stage, /\[-\]service\/queue .*Starting: /);
});

test("a required service that was ready again after a rollback counts from then on", async () => {
  await using stage = await Upgradable.start(second("exec sleep 1000"));
  await rolledBack(stage);
  assert.equal((await stage.server.ask("/readyz")).status, 200);
  await eventually(async () => (await stage.server.status())?.services.every(({ ready }) => ready), {
    what: "every service ready again",
  });
  writeFileSync(join(stage.server.dir, "unready"), "");
  await unready(stage, /\[-\]service\/queue .*Starting: /);
});

test("a rollback starts nothing that had ended, or that waits", async () => {
  const others = `
  once: { command: [/bin/mkdir, "{{dir}}/once"], restart: never, required: false, onFailure: shutdown }
  broken: { command: [/bin/sh, -c, "echo broken 1 >> {{dir}}/web.log; exit 3"], restart: never, required: false, onFailure: ignore }
  job: { command: [/bin/sleep, "1000"], type: oneshot, required: false }
  waiter: { command: [/bin/sleep, "1000"], dependsOn: { job: completed }, required: false }`;
  await using stage = await Upgradable.start(generation(1, "exec sleep 1000", others));
  await rolledBack(stage);
  await eventually(
    async () => (await stage.server.status())?.services.every(({ required, ready }) => ready || !required),
    {
      what: "every required service ready again",
    },
  );
  const services = (await stage.server.status())?.services ?? [];
  assert.deepEqual(
    services.map(({ name, state, instances }) => [name, state, instances[0]?.restarts]),
    [
      ["web", "Ready", 0],
      ["queue", "Ready", 1],
      ["once", "Stopped", 0],
      ["broken", "Failed", 0],
      ["job", "Starting", 0],
      ["waiter", "Waiting", 0],
    ],
  );
  assert.match(services.at(-1)?.reason ?? "", /^waiting for job to be completed/);
  assert.equal(stage.said().filter((line) => line === "broken 1").length, 1);
});

/** A service with an upgrade of its own; it accepts for so long after it has handed over. */
const own = (number: number, restart: string, stopMs: number, more = ""): string => `
services:
  proxy:
    command: [${process.execPath}, ${resolve("test/fixtures/hands-over.mjs")}, "${number}", "{{port}}", "{{dir}}", "${stopMs}"]
    restart: ${restart}
    readinessProbe: { tcpSocket: { host: 127.0.0.1, port: {{port}} }, periodSeconds: 0.1 }
    upgrade: { strategy: own, arguments: ["-u"] }
${more}
upgrade: { probationSeconds: 20, bootSeconds: 10, drainSeconds: 60 }
`;

/** Process ids of those who said it. */
const pidsOf = (stage: Upgradable, said: string): number[] =>
  readFileSync(join(stage.server.dir, "web.log"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith(`${said} `))
    .map((line) => Number(line.split(" ")[2]));

const go = (stage: Upgradable): void => writeFileSync(join(stage.server.dir, "go"), "");

for (const restart of ["always", "on-failure", "never"]) {
  test(`a process that had been told to hand over by itself is replaced at a rollback, and may answer what it has, with restart ${restart}`, async () => {
    await using stage = await Upgradable.start(own(1, restart, 0));
    const { server, port } = stage;
    await server.phase("Running");
    const slow = ask(port, "/slow");
    await eventually(() => stage.said().includes("slow 1"), { what: "a request with the old process" });
    await rolledBack(stage, own(2, restart, 0, fragile), "closed 1");
    const status = await server.status();
    assert.equal(status?.services.find(({ name }) => name === "proxy")?.excused, undefined);
    await eventually(async () => (await ask(port)) === 1, { what: "a new process that answers" });
    await eventually(async () => (await server.ask("/readyz")).status === 200, { what: "ready" });
    assert.equal(stage.said().includes("end 1"), false, "nobody waited for the end of the old one");
    go(stage);
    assert.equal(await slow, 1);
    await eventually(() => stage.said().includes("end 1"), { what: "the end of the old process" });
    await eventually(() => childrenOf(server.initPid()).length === 2, { what: "one supervisor and one process" });
    const [first, second] = pidsOf(stage, "start 1");
    assert.deepEqual([first], pidsOf(stage, "end 1"));
    const proxy = (await server.status())?.services.find(({ name }) => name === "proxy");
    assert.deepEqual([proxy?.state, proxy?.instances[0]?.pid], ["Ready", second]);
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0);
  });
}

test("what replaces a process that still accepts at a rollback is tried again until the address is free", async () => {
  await using stage = await Upgradable.start(own(1, "never", 1_000));
  const { server, port } = stage;
  await rolledBack(stage, own(2, "never", 1_000, fragile), "took 2");
  assert.ok(!stage.said().includes("closed 1"), "it still accepts");
  await eventually(() => stage.said().includes("closed 1"), { what: "the old process no longer accepts" });
  await eventually(async () => (await ask(port)) === 1, { what: "a new process that answers" });
  await eventually(async () => (await server.status())?.services[0]?.state === "Ready", { what: "ready" });
  assert.ok(pidsOf(stage, "start 1").length > 2, "more than one try");
});

test("a supervisor that follows one that died while its services made room replaces them, and starts them again", async () => {
  // so that it takes until there is a file "go"
  const single = `
  single:
    command: [/bin/sh, -c, 'trap "until [ -e {{dir}}/go ]; do sleep 0.02; done; exit 0" TERM; while :; do sleep 0.02; done']
    upgrade: { strategy: restart }`;
  await using stage = await Upgradable.start(own(1, "on-failure", 0, single));
  const { server, port } = stage;
  const { pid } = await server.phase("Running");
  const upgrade = stage.upgrade(own(2, "on-failure", 0, single));
  await eventually(() => stage.said().includes("quit 1"), { what: "that the old process is told" });
  process.kill(pid, "SIGKILL");
  assert.equal((await upgrade).code, 1);
  await eventually(() => pidsOf(stage, "start 1").length > 1, { what: "another process", timeoutMs: 20_000 });
  go(stage);
  await eventually(async () => (await server.status())?.services.every(({ ready }) => ready), { what: "ready again" });
  assert.equal(await ask(port), 1);
});

test("a process that had been told to hand over by itself ends with the server", async () => {
  await using stage = await Upgradable.start(own(1, "always", 0));
  const { server, port } = stage;
  await rolledBack(stage, own(2, "always", 0, fragile), "closed 1");
  await eventually(async () => (await ask(port)) === 1, { what: "a new process that answers" });
  const pids = pidsOf(stage, "start 1");
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0));
});

test("a new generation that never accepts is not ready by the answers of an old one that closes its connections at once", async () => {
  const said =
    'require("node:net").createServer((c) => c.on("error", () => {}).end("1", () => c.destroy())).listen({ fd: 3 })';
  const hasty = (command: string) => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: ${command}
    listeners: [http]
    readinessProbe: { tcpSocket: { listener: http }, periodSeconds: 1 }
upgrade: { probationSeconds: 1, bootSeconds: 4 }
`;
  await using stage = await Upgradable.start(hasty(JSON.stringify([process.execPath, "-e", said])));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(hasty('[sleep, "1000"]'));
  assert.equal(code, 1, err);
  assert.match(err, /rolled back .*not ready within 4 s: service\/web: .*(closed for 1 s before|others accepted)/);
  assert.equal((await stage.server.phase("Running")).generation, 1);
});
