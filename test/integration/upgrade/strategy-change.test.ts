import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../harness.js";
import { ask, load, Upgradable, webService } from "./stage.js";

/** What only one process can have: a folder, which a second one finds and ends with 9. */
const exclusive = (number: number, strategy: string) => `  queue:
    command:
      - /bin/sh
      - -c
      - 'mkdir {{dir}}/lock || exit 9; echo "has $0" >> {{dir}}/web.log; trap "rmdir {{dir}}/lock; echo left $0 >> {{dir}}/web.log; exit 0" TERM QUIT; while :; do sleep 0.02; done'
      - "${number}"
    restart: never
    upgrade: { strategy: ${strategy}, signal: QUIT, arguments: ["-u"] }
`;

const queueAlone = (number: number, strategy: string) => `services:
${exclusive(number, strategy)}upgrade: { probationSeconds: 0.5, bootSeconds: 10 }
`;

for (const [old, next] of [
  ["handover", "restart"],
  ["restart", "handover"],
  ["own", "restart"],
  ["own", "handover"],
  ["restart", "own"],
  ["handover", "own"],
] as const)
  test(`a service of strategy ${old} has ended before that of strategy ${next} starts in the new generation`, async () => {
    await using stage = await Upgradable.start(queueAlone(1, old));
    await stage.server.phase("Running");
    const { code, err } = await stage.upgrade(queueAlone(2, next));
    assert.equal(code, 0, err);
    assert.deepEqual(stage.said(), ["has 1", "left 1", "has 2"]);
    assert.match(
      stage.server.stderr,
      new RegExp(`queue has strategy ${next}, and ${old} in the old generation: the old one is stopped before`),
    );
  });

test("a service that takes over by itself is told so only when one of the old generation hands over", async () => {
  const withProxy = (number: number) =>
    `${queueAlone(number, "restart").replace(
      "upgrade: { probation",
      `  proxy:
    command: [/bin/sh, -c, 'echo "proxy $0" >> {{dir}}/web.log; exec sleep 1000']
    upgrade: { strategy: own, arguments: ["-u"] }
upgrade: { probation`,
    )}`;
  await using stage = await Upgradable.start(queueAlone(1, "restart"));
  await stage.server.phase("Running");
  assert.equal((await stage.upgrade(withProxy(2))).code, 0);
  await eventually(() => stage.said().some((line) => line.startsWith("proxy")));
  assert.ok(!stage.said().includes("proxy -u"), "nobody hands over to it");
  assert.equal((await stage.upgrade(withProxy(3), "--wait")).code, 0);
  await eventually(() => stage.said().includes("proxy -u"));
});

test("a service that was stopped because the new generation has it as restart starts again when that is rolled back", async () => {
  const both = (number: number, strategy: string, more = "") =>
    `${webService(number)}${exclusive(number, strategy)}${more}upgrade: { probationSeconds: 20, bootSeconds: 10 }\n`;
  const failing = `  late: { command: [/bin/sh, -c, "while [ ! -e {{dir}}/fail ]; do sleep 0.02; done; exit 3"], restart: never }\n`;
  await using stage = await Upgradable.start(both(1, "handover"));
  await stage.server.phase("Running");
  const seen = load(stage.port, 2);
  const upgrade = stage.upgrade(both(2, "restart", failing));
  await eventually(() => stage.said().includes("has 2"));
  writeFileSync(join(stage.server.dir, "fail"), "");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  assert.match(err, /service\/late: Failed/);
  const queue = () => stage.said().filter((line) => /^(has|left) /.test(line));
  await eventually(() => queue().length === 5, { what: "the queue of generation 1" });
  assert.deepEqual(queue(), ["has 1", "left 1", "has 2", "left 2", "has 1"]);
  assert.deepEqual([...(await seen()).failed], []);
  assert.equal(await ask(stage.port), 1);
});
