// What a rejected generation has changed of the sockets that it shared: O_NONBLOCK belongs to the socket, for all who have it.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { blocks, eventually, kill } from "../harness.js";
import { ask, load, Upgradable } from "./stage.js";

const waits = resolve("test/fixtures/waits.py");

const generation = (command: string, more = "", listener = ""): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}"${listener} } }
services:
  web:
    command: [${command}]
    listeners: [http]
    restart: { limit: 0 }
${more}
upgrade: { probationSeconds: 1, bootSeconds: 20 }
`;
/** As it is, its service is not started twice. */
const failing = (...parts: Parameters<typeof generation>) => generation(...parts).replace("{ limit: 0 }", "never");
const waiting = `python3, ${waits}, "1"`;
const changing = (on: "on" | "off", wait = "") => `python3, ${waits}, mode, "${on}", "{{dir}}", "${wait}"`;

const has = (stage: Upgradable, file: string) =>
  eventually(() => existsSync(join(stage.server.dir, file)), { what: file, timeoutMs: 20_000 });

const webOf = async (stage: Upgradable) => (await stage.server.status())?.services[0]?.instances[0]?.pid;

/** The old service was never in need of another process, and answers. */
async function unharmed(stage: Upgradable, blocking = true): Promise<void> {
  await eventually(async () => blocks(await webOf(stage)) === blocking, { what: `blocking: ${blocking}` });
  for (let i = 0; i < 3; i++) assert.equal(await ask(stage.port), 1, stage.server.stderr);
  const status = await stage.server.status();
  assert.deepEqual([status?.generation, status?.phase], [1, "Running"]);
  assert.equal(status?.services[0]?.instances[0]?.restarts, 0);
  assert.equal((await stage.server.ask("/readyz")).status, 200);
}

for (const [mode, old] of [
  ["off", waiting],
  ["on", `{{web}}, "1"`],
] as const)
  test(`a rollback puts back O_NONBLOCK that a rejected generation has turned ${mode === "on" ? "off" : "on"}`, async () => {
    await using stage = await Upgradable.start(generation(old));
    await stage.server.phase("Running");
    await eventually(async () => (await ask(stage.port)) === 1, { what: "an answer" });
    const { code, err } = await stage.upgrade(failing(changing(mode)));
    assert.equal(code, 1, err + stage.server.stderr);
    assert.match(err, /web.*exited with code 3/);
    await unharmed(stage, mode === "off");
    const next = await stage.upgrade(undefined);
    assert.equal(next.code, 0, next.err);
  });

test("a rollback puts back the length of the queue", async () => {
  const queue = (port: number): Promise<number> =>
    new Promise((done, failed) => {
      get({ host: "127.0.0.1", port, agent: false }, (response) => {
        response.setEncoding("utf8").on("data", (text: string) => done((JSON.parse(text) as { queue: number }).queue));
      }).on("error", failed);
    });
  await using stage = await Upgradable.start(generation(waiting, "", ", backlog: 37"));
  await stage.server.phase("Running");
  assert.equal(await queue(stage.port), 37);
  assert.equal((await stage.upgrade(failing("/bin/false", "", ", backlog: 1"))).code, 1);
  assert.equal(await queue(stage.port), 37);
});

test("a supervisor that follows one that died while it had lent its sockets puts them back", async () => {
  await using stage = await Upgradable.start(generation(waiting));
  const { pid } = await stage.server.phase("Running");
  const helper = `
  helper:
    command: [/bin/sleep, "1000"]
    upgrade: { strategy: handover }
    readinessProbe: { exec: { command: [/bin/false] }, periodSeconds: 0.1 }`;
  const upgrade = stage.upgrade(generation(changing("off"), helper).replace("limit: 0", "initialDelaySeconds: 30"));
  await has(stage, "changed");
  kill(pid);
  const { code, err } = await upgrade;
  assert.equal(code, 1, err + stage.server.stderr);
  await stage.server.phase("Running");
  await unharmed(stage);
});

test("what is left of a rejected generation changes nothing for good", async () => {
  const late = `
  late:
    command: [${changing("off", "late")}]
    listeners: [http]`;
  await using stage = await Upgradable.start(generation(waiting));
  const { server } = stage;
  await server.phase("Running");
  const broken = "/bin/sh, -c, 'until [ -e {{dir}}/waits ]; do sleep 0.02; done; exit 3'";
  assert.equal((await stage.upgrade(failing(broken, late))).code, 1);
  writeFileSync(join(server.dir, "late"), "");
  await has(stage, "changed");
  await unharmed(stage);
});

test("an event loop of a rejected generation answers what it has accepted, though the old one's socket blocks again", async () => {
  const fragile = `
  fragile:
    command: [/bin/sh, -c, "until [ -e {{dir}}/fatal ]; do sleep 0.02; done; exit 3"]
    restart: never
    upgrade: { strategy: handover }`;
  await using stage = await Upgradable.start(generation(waiting));
  const { server, port } = stage;
  await server.phase("Running");
  const next = generation(`python3, ${waits}, loop, "2", "{{dir}}"`, fragile);
  const upgrade = stage.upgrade(next.replace("probationSeconds: 1", "probationSeconds: 20"));
  await stage.step("new", "PREPARING");
  // until one is the new generation's
  const slow: Promise<number | string>[] = [];
  await eventually(() => {
    slow.push(ask(port, "/slow"));
    return existsSync(join(server.dir, "slow"));
  });
  const stop = load(port, 2);
  writeFileSync(join(server.dir, "fatal"), "");
  assert.equal((await upgrade).code, 1);
  writeFileSync(join(server.dir, "go"), "");
  assert.ok((await Promise.all(slow)).includes(2), server.stderr);
  await eventually(async () => blocks(await webOf(stage)) === true, { what: "a socket that blocks" });
  assert.deepEqual([...(await stop()).failed], []);
});
