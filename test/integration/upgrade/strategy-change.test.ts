import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../harness.js";
import { ask, load, Upgradable, webService } from "./stage.js";

/** What only one process can have: a lock, which a second one finds taken. */
const exclusive = (number: number, strategy: string, onTerm = "echo left $0 >> {{dir}}/web.log; exit 0") => `  queue:
    command:
      - /bin/sh
      - -c
      - 'exec 9> {{dir}}/lock; flock -n 9 || { echo "locked $0" >> {{dir}}/web.log; exit 9; }; echo "has $0" >> {{dir}}/web.log; trap "${onTerm}" TERM QUIT; while :; do sleep 0.02 9>&-; done'
      - "${number}"
    restart: { initialDelaySeconds: 0.1 }
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

/** Two of it may run: what each says when it starts, with its arguments, and when it ends. */
const shared = (number: number, strategy: string) => `services:
  queue:
    command:
      - /bin/sh
      - -c
      - 'echo "has-${number} $*" >> {{dir}}/web.log; trap "echo left-${number} >> {{dir}}/web.log; exit 0" TERM QUIT; while :; do sleep 0.02; done'
      - sh
    upgrade: { strategy: ${strategy}, signal: QUIT, arguments: ["-u"] }
upgrade: { probationSeconds: 0.5, bootSeconds: 10 }
`;

for (const [strategy, expected] of [
  ["handover", ["has-1", "left-1", "has-2", "has-3", "left-2"]],
  ["own", ["has-1", "left-1", "has-2", "has-3 -u", "left-2"]],
] as const)
  test(`what was restart, and is ${strategy} in both generations of the next upgrade, is that`, async () => {
    await using stage = await Upgradable.start(shared(1, "restart"));
    await stage.server.phase("Running");
    assert.equal((await stage.upgrade(shared(2, strategy))).code, 0);
    assert.equal((await stage.upgrade(shared(3, strategy), "--wait")).code, 0);
    await eventually(() => stage.said().length >= 5, { what: "the end of generation 2" });
    const said = stage.said().map((line) => line.trim());
    // the old one that hands over by itself ends when it likes
    assert.deepEqual(strategy === "own" ? said.sort() : said, strategy === "own" ? [...expected].sort() : expected);
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
  const both = (number: number, strategy: string, onTerm?: string, more = "") =>
    `${webService(number)}${exclusive(number, strategy, onTerm)}${more}upgrade: { probationSeconds: 20, bootSeconds: 10 }\n`;
  const failing = `  late: { command: [/bin/sh, -c, "while [ ! -e {{dir}}/fail ]; do sleep 0.02; done; exit 3"], restart: never }\n`;
  await using stage = await Upgradable.start(both(1, "handover"));
  await stage.server.phase("Running");
  const seen = load(stage.port, 2);
  const upgrade = stage.upgrade(both(2, "restart", "", failing));
  await eventually(() => stage.said().includes("has 2"));
  writeFileSync(join(stage.server.dir, "fail"), "");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  // told by the failure itself, or by the readiness that it ends
  assert.match(err, /service late failed|service\/late: Failed/);
  const queue = () => stage.said().filter((line) => /^(has|locked) /.test(line));
  await eventually(() => queue().length > 2, { what: "the queue of generation 1" });
  assert.deepEqual(queue(), ["has 1", "has 2", "has 1"], "it waited until that of the new generation was gone");
  assert.deepEqual([...(await seen()).failed], []);
  assert.equal(await ask(stage.port), 1);
});
