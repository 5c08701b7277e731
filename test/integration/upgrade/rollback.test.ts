import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../harness.js";
import { Upgradable } from "./stage.js";

/** `queue`: its program, in the shell; ready as long as there is no file "unready". */
const generation = (number: number, queue: string, more = ""): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: [{{web}}, "${number}"]
    listeners: [http]
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.1 }
  queue:
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

/** An upgrade whose new generation fails in the probation. */
async function rolledBack(stage: Upgradable): Promise<void> {
  await stage.server.phase("Running");
  const upgrade = stage.upgrade(generation(2, "exec sleep 1000", fragile));
  await stage.step("new", "PROBATION");
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
