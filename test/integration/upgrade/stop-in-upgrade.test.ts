import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, freePort, startServer } from "../harness.js";
import { ask, load, Upgradable, web } from "./stage.js";

const lameDuckMs = 1_500;

/** `boot`: ms until the web service of the generation is ready; `q`: a service that only one generation can have, which cleans up for 1 s */
const generation = (number: number, { boot = 0, q = false, probation = 20 } = {}): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: [{{web}}, "${number}", "${boot}"]
    listeners: [http]
    env: { WEB_LOG: "{{dir}}/web.log" }
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.1 }
${q ? `  q: { command: [/bin/sh, -c, "trap 'sleep 1; touch {{dir}}/clean-${number}; exit 0' TERM; while :; do sleep 0.05; done"], upgrade: { strategy: restart } }` : ""}
upgrade: { probationSeconds: ${probation}, bootSeconds: 20 }
shutdown: { gracePeriodSeconds: 10, lameDuckSeconds: ${lameDuckMs / 1000}, reserveSeconds: 1 }
`;

for (const [what, stop] of [
  ["SIGTERM", async (stage: Upgradable) => stage.server.signal("SIGTERM")],
  [
    "a preStop hook and SIGTERM",
    async (stage: Upgradable) => {
      const from = performance.now();
      assert.equal((await stage.cli("prestop")).code, 0);
      assert.ok(performance.now() - from > lameDuckMs - 100, "the hook returns when the lame duck is over");
      stage.server.signal("SIGTERM");
    },
  ],
] as const)
  test(`${what} while a new generation gets ready is a lame duck, in which nobody is refused`, async () => {
    await using stage = await Upgradable.start(generation(1));
    const { server } = stage;
    await server.phase("Running");
    const upgrade = stage.upgrade(generation(2, { boot: 15_000 }));
    await stage.step("old", "PREPARING");
    const seen = load(stage.port);
    const from = performance.now();
    void stop(stage);
    await server.phase("GracefulTerminate");
    await eventually(() => performance.now() - from > lameDuckMs - 300, { what: "nearly the end of the lame duck" });
    assert.deepEqual([...(await seen()).failed], []);
    assert.equal((await server.exited).code, 0, server.stderr);
    assert.equal((await upgrade).code, 1);
  });

test("a preStop hook in the probation is the new generation's lame duck, and the upgrade goes on", async () => {
  await using stage = await Upgradable.start(generation(1, { q: true }));
  const { server } = stage;
  await server.phase("Running");
  const upgrade = stage.upgrade(generation(2, { q: true }));
  await stage.step("new", "PROBATION");
  const seen = load(stage.port);
  const from = performance.now();
  const { code, out } = await stage.cli("prestop");
  assert.equal(code, 0, out);
  assert.ok(performance.now() - from > lameDuckMs - 100, "the hook returns when the lame duck is over");
  assert.deepEqual([...(await seen()).failed], []);
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0, server.stderr);
  assert.doesNotMatch(server.stderr, /"killed":\["/);
  assert.ok(existsSync(join(server.dir, "clean-2")), "what only one can have had its time");
  await upgrade;
});

test("SIGTERM in the probation is a lame duck, and leaves what only the new generation has the time of its stop", async () => {
  await using stage = await Upgradable.start(generation(1, { q: true }));
  const { server } = stage;
  await server.phase("Running");
  const upgrade = stage.upgrade(generation(2, { q: true }));
  await eventually(() => server.stderr.split("q/0 Starting -> Ready").length === 3, {
    what: "q of the new generation",
  });
  const seen = load(stage.port);
  const from = performance.now();
  server.signal("SIGTERM");
  await eventually(() => performance.now() - from > lameDuckMs - 300, { what: "nearly the end of the lame duck" });
  assert.deepEqual([...(await seen()).failed], []);
  assert.equal((await server.exited).code, 0, server.stderr);
  assert.ok(existsSync(join(server.dir, "clean-2")), server.stderr);
  await upgrade;
});

test("a new generation in a container of its own that is told to stop in the probation leaves the old one serving", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pe-stop-"));
  const port = await freePort();
  const config = (number: number): string =>
    generation(number)
      .replaceAll("{{port}}", String(port))
      .replaceAll("{{web}}", `${process.execPath}, ${web}`)
      .replaceAll("{{dir}}", directory)
      .replace("upgrade: {", `upgrade: { directory: ${directory},`);
  try {
    await using first = startServer(config(1));
    await first.phase("Running");
    await using second = startServer(config(2), { env: { PINGORA_ENTRY_UPGRADE: "one" } });
    await eventually(() => second.stderr.includes('"step":"PROBATION"'), { what: "the probation", timeoutMs: 20_000 });
    second.signal("SIGTERM");
    await second.exited;
    assert.equal((await first.phase("Running")).generation, 1);
    assert.equal(await ask(port), 1);
    assert.equal((await first.ask("/readyz")).status, 200);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

for (const [when, probation, reached] of [
  ["in the probation", 20, '"step":"PROBATION"'],
  ["while it drains", 0.3, '"step":"FINALIZE"'],
] as const)
  test(`an old generation whose container is stopped ${when} ends, and leaves the paths of its sockets to the new one`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "pe-stop-"));
    const path = join(directory, "web.sock");
    const config = (number: number): string => `
listeners: { local: { unix: ${path} } }
services:
  web: { command: [${process.execPath}, ${web}, "${number}"], listeners: [local] }
  slow: { command: [/bin/sh, -c, "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done"], upgrade: { strategy: handover } }
upgrade: { directory: ${directory}, probationSeconds: ${probation}, standby: true }
shutdown: { gracePeriodSeconds: 10, lameDuckSeconds: 0 }
`;
    try {
      await using first = startServer(config(1));
      await first.phase("Running");
      await using second = startServer(config(2), { env: { PINGORA_ENTRY_UPGRADE: "one" } });
      await eventually(() => first.stderr.includes(reached), { what: reached, timeoutMs: 20_000 });
      first.signal("SIGTERM");
      assert.equal((await first.exited).code, 0, first.stderr);
      assert.ok(existsSync(path), "the path is the new generation's");
      assert.equal((await second.ask("/readyz")).status, 200);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
