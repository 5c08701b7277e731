import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { planOf, serviceSpec } from "../../test/fakes/fake-server.js";
import { EntryError } from "../core/entry-error.js";
import { checkCommand } from "./check.js";
import type { Command, Io } from "./command.js";
import { drainPlan } from "./drain-plan.js";
import { graphCommand } from "./graph.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-check-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const good = join(directory, "good.yaml");
writeFileSync(
  good,
  `listeners:
  http: { tcp: "0.0.0.0:8080" }
services:
  migrate: { command: [no-such-program-here], type: oneshot }
  cache: { command: [/bin/sh] }
  web:
    command: [node, server.js]
    dependsOn: { migrate: completed, cache: ready }
    listeners: [http]
    instances: 2
    readinessProbe: { httpGet: { path: /healthz, listener: http } }
    stop: { graceSeconds: 10 }
shutdown: { gracePeriodSeconds: 25, lameDuckSeconds: 5 }
`,
);
const bad = join(directory, "bad.yaml");
writeFileSync(bad, "services:\n  web: { command: ./web, dependsOn: [wbe] }\n");

async function said(
  command: Command,
  args: readonly string[],
  colour = false,
): Promise<{ text: string; code: number }> {
  const out: string[] = [];
  const io: Io = {
    out: (text) => void out.push(text),
    err: (text) => void out.push(text),
    env: { PATH: process.env.PATH },
    colour,
    width: 80,
    signal: new AbortController().signal,
  };
  const code = await command.run(args, io);
  return { text: out.join(""), code };
}

test("check prints start waves, listeners, and a shutdown plan whose sum is the grace", async () => {
  const { text, code } = await said(checkCommand, ["-c", good]);
  assert.equal(code, 0);
  assert.equal(
    text,
    `${good}

start
  wave 1  migrate  done at exit 0
          cache    ready once it runs
  wave 2  web x 2  after migrate completed, cache ready; ready by http 127.0.0.1:8080/healthz

listeners
  http  tcp 0.0.0.0:8080  web  systemd

stop
  at  0 s  for  5 s  lame duck: serving on while the endpoints forget this pod
  at  5 s  for 10 s  web
  at 15 s  for  9 s  migrate, cache
  at 24 s  for  1 s  reserve: kill what is left, report
  5 + 10 + 9 + 1 = 25 s of the 25 s that the pod grants (terminationGracePeriodSeconds)

end of this generation in an upgrade
  before the new generation owns: cache (strategy restart: only one can have it)
  at 0 s  for 10 s  web
  10 s of the 24 s that a replaced generation has (upgrade.drainSeconds)

warnings
  ${good}:4:23: services.migrate.command: "no-such-program-here" is in no directory of PATH here

valid: 3 services in 2 waves
`,
  );
});

test("check puts CMD behind all others and colours only when that is welcome", async () => {
  const { text } = await said(checkCommand, ["-c", good, "--", "/bin/true", "--json"], true);
  assert.match(text, /wave 3 {2}main .*web ready/);
  assert.ok(text.includes("\u001b[1mstart\u001b[22m"));
  assert.ok(!(await said(checkCommand, ["-c", good])).text.includes("\u001b"));
});

test("check throws the problems of a wrong configuration, and prints them as JSON with --json", async () => {
  await assert.rejects(
    said(checkCommand, ["-c", bad]),
    (error) => error instanceof EntryError && error.exitCode === 78,
  );
  const { text, code } = await said(checkCommand, ["-c", bad, "--json"]);
  assert.equal(code, 78);
  const { valid, problems } = JSON.parse(text);
  assert.equal(valid, false);
  assert.deepEqual(problems[0].source, { name: bad, line: 2, column: 38 });
});

test("check --json has the waves and a shutdown plan for programs", async () => {
  const { valid, waves, shutdown } = JSON.parse((await said(checkCommand, ["--json", "--conf", good])).text);
  assert.equal(valid, true);
  assert.deepEqual(waves, [["migrate", "cache"], ["web"]]);
  assert.equal(shutdown.sumSeconds, 25);
  assert.deepEqual(
    shutdown.waves.map((wave: { killAtSeconds: number }) => wave.killAtSeconds),
    [15, 24],
  );
});

test("check shows how the waves fit upgrade.drainSeconds, and nothing of it where upgrades are off", async () => {
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const services = `services:
  db: { command: [/bin/sh], upgrade: { strategy: handover }, stop: { graceSeconds: 20 } }
  web: { command: [/bin/sh], dependsOn: [db], upgrade: { strategy: handover }, stop: { graceSeconds: 20 } }
  queue: { command: [/bin/sh] }
shutdown: { gracePeriodSeconds: 60 }
`;
  const tight = write("tight.yaml", `${services}upgrade: { drainSeconds: 30 }\n`);
  const { text } = await said(checkCommand, ["-c", tight]);
  assert.ok(
    text.includes(`
end of this generation in an upgrade
  before the new generation owns: queue (strategy restart: only one can have it)
  at  0 s  for 15 s  web
  at 15 s  for 15 s  db
  15 + 15 = 30 s of the 30 s that a replaced generation has (upgrade.drainSeconds)
  10 s too short for the configured graces: every wave gets less
`),
    text,
  );
  assert.deepEqual(JSON.parse((await said(checkCommand, ["--json", "-c", tight])).text).upgrade, {
    drainSeconds: 30,
    stoppedBefore: ["queue"],
    waves: [
      { services: ["web"], graceSeconds: 15, killAtSeconds: 15 },
      { services: ["db"], graceSeconds: 15, killAtSeconds: 30 },
    ],
    missingSeconds: 10,
  });
  const single = write("single.yaml", "services:\n  queue: { command: [/bin/sh] }\n");
  assert.match((await said(checkCommand, ["-c", single])).text, /after: nothing is left to end/);
  // a library's server without a control socket
  assert.equal(drainPlan(planOf([serviceSpec("web")])), undefined);
});

test("check and graph refuse arguments they do not know as usage", async () => {
  for (const [command, args] of [
    [checkCommand, ["file.yaml"]],
    [checkCommand, ["--verbose"]],
    [graphCommand, ["--format", "svg"]],
    [graphCommand, ["--format", "constructor"]],
  ] as const) {
    await assert.rejects(said(command, args), (error) => error instanceof EntryError && error.exitCode === 64);
  }
});

test("graph prints the same edges as text, dot, mermaid and JSON", async () => {
  assert.equal(
    (await said(graphCommand, ["-c", good])).text,
    "1  migrate  oneshot\n   cache\n2  web      after migrate completed, cache ready; on http\n",
  );
  assert.match((await said(graphCommand, ["-c", good, "-f", "dot"])).text, /"cache" -> "web" \[label="ready"\];/);
  assert.match((await said(graphCommand, ["-c", good, "-f", "mermaid"])).text, /s1 -->\|ready\| s2/);
  assert.deepEqual(JSON.parse((await said(graphCommand, ["-c", good, "-f", "json"])).text).edges, [
    { from: "migrate", to: "web", condition: "completed" },
    { from: "cache", to: "web", condition: "ready" },
  ]);
});

test("usage of check and graph fits a screen", () => {
  for (const { usage } of [checkCommand, graphCommand]) {
    const lines = usage.split("\n");
    assert.ok(lines.length <= 24);
    for (const line of lines) assert.ok(line.length <= 80, `${line.length}: ${line}`);
  }
});
