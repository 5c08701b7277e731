import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { childrenOf, eventually } from "../harness.js";
import { Upgradable, webService } from "./stage.js";

/** `fragile` ends as soon as there is a file "fatal". */
const generation = (
  number: number,
  fragile = false,
): string => `${webService(number)}${fragile ? '  fragile: { command: [/bin/sh, -c, "until [ -e {{dir}}/fatal ]; do sleep 0.02; done; exit 3"], restart: never }' : ""}
upgrade: { probationSeconds: 3 }
pid_file: "{{dir}}/pid"
terminationMessagePath: "{{dir}}/last"
shutdown: { lameDuckSeconds: 0 }
`;

async function rollBack(stage: Upgradable): Promise<void> {
  const upgrade = stage.upgrade(generation(9, true));
  await stage.step("new", "PROBATION");
  writeFileSync(join(stage.server.dir, "fatal"), "");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  await stage.server.phase("Running");
}

test("generations that end leave the pid file and the last words to the one that goes on", async () => {
  await using stage = await Upgradable.start(generation(1));
  const { server } = stage;
  const [pidFile, last] = ["pid", "last"].map((name) => join(server.dir, name)) as [string, string];
  await server.phase("Running");
  const isOfInit = () => readFileSync(pidFile, "utf8") === `${server.initPid()}\n`;
  await rollBack(stage);
  const alone = () => childrenOf(server.initPid()).length === 2;
  await eventually(alone, { what: "the end of the one that failed" });
  assert.ok(isOfInit() && !existsSync(last));
  assert.equal((await stage.upgrade(generation(2))).code, 0);
  await eventually(alone, { what: "the end of the one that was replaced" });
  assert.ok(isOfInit() && !existsSync(last));

  server.signal("SIGTERM");
  await server.exited;
  assert.equal(JSON.parse(readFileSync(last, "utf8")).cause, "SIGTERM");
  assert.ok(!existsSync(pidFile));
});

test("a candidate that is refused writes no last words of the container", async () => {
  const last = join(mkdtempSync(join(tmpdir(), "pe-last-")), "last");
  const env = { PINGORA_ENTRY_TERMINATION_MESSAGE_PATH: last };
  await using stage = await Upgradable.start(generation(1).replace(/^terminationMessagePath.*$/m, ""), { env });
  await stage.server.phase("Running");
  writeFileSync(last, "");
  const { code, err } = await stage.upgrade("services: { web: { comand: [x] } }\n");
  assert.equal(code, 1);
  assert.match(err, /comand/);
  assert.equal(readFileSync(last, "utf8"), "");
});

test("histograms go on where they were when an upgrade is rolled back", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const count = async () => {
    const { body } = await stage.server.ask("/metrics");
    return /^pingora_entry_service_ready_seconds_count\{service="web"\} (\d+)$/m.exec(body)?.[1];
  };
  assert.equal(await count(), "1");
  await rollBack(stage);
  assert.equal(await count(), "1");
});
