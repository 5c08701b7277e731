import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { UpgradeCause } from "../../../src/core/upgrade-cause.js";
import { childrenOf, eventually, program } from "../harness.js";
import { ask, load, Upgradable, web } from "./stage.js";

const generation = (number: number, more = "", service = ""): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: [{{web}}, "${number}"${service}]
    listeners: [http]
    env: { WEB_LOG: "{{dir}}/web.log" }
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.1 }
upgrade: { probationSeconds: 0.5, bootSeconds: 10 }
${more}
`;

test("pingora-entry upgrade replaces a generation, and every request is answered", async () => {
  await using stage = await Upgradable.start(generation(1));
  const { server, port } = stage;
  await server.phase("Running");
  const init = server.initPid();
  const stop = load(port);
  const { code, out, err } = await stage.upgrade(generation(2));
  assert.equal(code, 0, err + out + server.stderr);
  assert.match(out, /replaced after .* generation 2 serves/);
  await eventually(() => stage.said().includes("term 1"), { what: "end of generation 1" });
  await eventually(() => childrenOf(init).length === 2, { what: "one supervisor and one service" });
  const seen = await stop();
  assert.deepEqual([...seen.failed], []);
  assert.deepEqual([...seen.generations].sort(), [1, 2]);
  assert.equal(await ask(port), 2);
  const status = await server.phase("Running");
  assert.equal(status.generation, 2);
  assert.equal(status.lastUpgrade?.result, "completed");
  assert.equal(stage.journal().attempt?.state, "finalized");
  assert.equal(stage.journal().owner.generation, 2);
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0);
});

test("a service stays ready while the other generation is faster at every connection, and is found when it stands still for long", async () => {
  const hurried = (text: string) => text.replace("periodSeconds: 0.1", "periodSeconds: 0.1, timeoutSeconds: 0.5");
  await using stage = await Upgradable.start(hurried(generation(1)).replace("bootSeconds: 10", "bootSeconds: 60"));
  const { server, port } = stage;
  await server.phase("Running");
  const [, , pid] = readFileSync(join(server.dir, "web.log"), "utf8").trim().split(" ");
  const file = join(server.dir, "open");
  const upgrade = stage.upgrade(hurried(held(2, file)).replace("bootSeconds: 10", "bootSeconds: 60"));
  await eventually(async () => (await ask(port)) === 2, { what: "generation 2 accepts", timeoutMs: 20_000 });
  // it accepts nothing more, as one that is always second does; nobody can tell these apart
  process.kill(Number(pid), "SIGSTOP");
  const from = performance.now();
  await eventually(async () => (await server.ask("/readyz")).status !== 200, {
    what: "generation 1 found to stand still",
    timeoutMs: 30_000,
  });
  // 3 x 3 x (0.1 s + 0.5 s) are passed over; three failures alone take 1.5 s
  assert.ok(performance.now() - from > 5_000, `found after ${performance.now() - from} ms`);
  process.kill(Number(pid), "SIGCONT");
  await eventually(async () => (await server.ask("/readyz")).status === 200, { timeoutMs: 20_000 });
  writeFileSync(file, "");
  const { code, err } = await upgrade;
  assert.equal(code, 0, err + server.stderr);
});

test("pingora-entry upgrade can be repeated, and leaves nothing behind in the init", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const init = stage.server.initPid();
  const fds = () => readdirSync(`/proc/${init}/fd`).length;
  const stop = load(stage.port, 2);
  let before = 0;
  for (let number = 2; number <= 6; number++) {
    const { code, err } = await stage.upgrade(generation(number), "--wait");
    assert.equal(code, 0, err + stage.server.stderr);
    await eventually(() => childrenOf(init).length === 2, {
      what: `end of generation ${number - 1}`,
      timeoutMs: 20_000,
    });
    if (number === 2) before = fds();
  }
  assert.deepEqual([...(await stop()).failed], []);
  await eventually(async () => (await ask(stage.port)) === 6);
  await eventually(() => fds() <= before, { what: "no more descriptors than before" });
});

const failures: Readonly<
  Record<string, { readonly next: string; readonly reason: RegExp; readonly cause: UpgradeCause }>
> = {
  "dies at once": {
    next: generation(2, "", ', "100000", "10"').replace("readinessProbe:", "restart: never\n    readinessProbe:"),
    reason: /web failed|Failed/,
    cause: "service",
  },
  "is never ready": {
    next: generation(2, "", ', "100000"').replace("bootSeconds: 10", "bootSeconds: 1"),
    reason: /NEW: not ready within 1 s: service\/web: Starting/,
    cause: "unready",
  },
  "has a wrong configuration": {
    next: `servicez: {}\n`,
    reason: /unknown key; did you mean "services"/,
    cause: "check",
  },
  "names a program that is not there": {
    next: generation(2).replace("{{web}}", "/nowhere/program"),
    reason: /not found/,
    cause: "service",
  },
};

for (const [what, { next, reason, cause }] of Object.entries(failures)) {
  test(`pingora-entry upgrade is rolled back when the new generation ${what}`, async () => {
    await using stage = await Upgradable.start(generation(1).replace("bootSeconds: 10", "bootSeconds: 3"));
    await stage.server.phase("Running");
    const stop = load(stage.port, 2);
    const { code, err, out } = await stage.upgrade(next);
    assert.equal(code, 1, out + err + stage.server.stderr);
    assert.match(err, reason);
    const status = await stage.server.phase("Running");
    assert.equal(status.generation, 1);
    assert.equal(status.lastUpgrade?.cause, cause);
    const { body } = await stage.server.ask("/metrics");
    assert.ok(body.includes(`upgrade_attempts_total{result="rolled-back",reason="${cause}"} 1\n`), body);
    assert.equal((await stage.server.ask("/readyz")).status, 200);
    await eventually(() => childrenOf(stage.server.initPid()).length === 2, {
      what: "nothing left of the new generation",
    });
    const again = await stage.upgrade(generation(3));
    assert.equal(again.code, 0, again.err + stage.server.stderr);
    assert.deepEqual([...(await stop()).failed], []);
    await eventually(async () => (await ask(stage.port)) === 3, { what: "generation 3 answers" });
  });
}

test("pingora-entry upgrade needs no more descriptors than both generations' listeners and a few", async () => {
  const names = Array.from({ length: 300 }, (_, index) => `listener-${index}`);
  const config = `
listeners:
${names.map((name) => `  ${name}: { tcp: "127.0.0.1:0" }`).join("\n")}
services:
  web: { command: [sleep, "1000"], listeners: [${names.join(", ")}] }
upgrade: { probationSeconds: 0.5, bootSeconds: 5 }
`;
  await using stage = await Upgradable.start(config, { under: ["prlimit", "--nofile=700:700"] });
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(config);
  assert.equal(code, 0, err + stage.server.stderr);
});

test("pingora-entry upgrade to a release for another architecture says what is wrong with it", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const path = join(stage.server.dir, "release");
  cpSync(dirname(program), path, { recursive: true });
  // e_machine of a machine that there is not
  writeSync(openSync(join(path, "addon.node"), "r+"), Buffer.from([0x34, 0x12]), 0, 2, 18);
  const { code, err } = await stage.upgrade(undefined, "--path", path);
  assert.equal(code, 1);
  assert.match(
    err,
    /exited with code 71 before it asked for the sockets: .*addon\.node is for another machine \(ELF 4660\), and this Node for \w+/,
  );
});

for (const [what, change, why] of [
  // as an init it says nothing of the state that it takes
  [
    "is another program",
    (init: string) => writeFileSync(init, "#!/bin/sh\nexit 1\n"),
    "it is no program of this machine",
  ],
  ["is not in the release", (init: string) => rmSync(init), "No such file or directory"],
] as const)
  test(`an init that cannot be replaced as the new one ${what} is told by status, and the upgrade is none the worse`, async () => {
    await using stage = await Upgradable.start(generation(1));
    const { server } = stage;
    await server.phase("Running");
    const path = join(server.dir, "release");
    cpSync(dirname(program), path, { recursive: true });
    change(join(path, "pingora-entry"));
    const { code, err } = await stage.upgrade(generation(2), "--path", path);
    assert.equal(code, 0, err);
    const warned = async () => (await server.status())?.lastUpgrade?.warnings.join();
    await eventually(warned, { what: "the warning" });
    assert.match(
      (await warned()) ?? "",
      new RegExp(`^the init could not be replaced by .*: ${why}.*; the old one goes on$`),
    );
    assert.match((await stage.cli("status")).out, /\n {2}warning: the init could not be replaced by /);
    assert.equal((await stage.upgrade(generation(3), "--wait")).code, 0);
  });

test("pingora-entry upgrade that is rolled back does not warn of a listener that is not closed", async () => {
  const more = (text: string) => text.replace("listeners: {", 'listeners: { old: { tcp: "127.0.0.1:0" },');
  await using stage = await Upgradable.start(more(generation(1)));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(failures["names a program that is not there"]?.next);
  assert.equal(code, 1);
  assert.doesNotMatch(err, /nobody claimed/);
  assert.match((await stage.upgrade(generation(2))).err, /nobody claimed listener "old"/);
});

/** Answers to /slow take so long. */
const slow = (number: number, ms: number) => generation(number).replace("env: {", `env: { SLOW_MS: "${ms}",`);

/** An upgrade to generation 2, which takes a slow request and fails then. @returns what the clients of both got, or will get */
async function failedWithRequests(stage: Upgradable, ms: number): Promise<Promise<number | string>[]> {
  await stage.server.phase("Running");
  const fatal = join(stage.server.dir, "fatal");
  const late = `  late:
    command: [/bin/sh, -c, "until [ -e ${fatal} ]; do sleep 0.05; done; exit 3"]
    restart: never
    readinessProbe: { exec: { command: ["false"] } }
upgrade:`;
  const upgrade = stage.upgrade(slow(2, ms).replace("upgrade:", late));
  const answers: Promise<number | string>[] = [];
  await eventually(
    () => {
      answers.push(ask(stage.port, "/slow"));
      return stage.said().includes("slow 2");
    },
    { what: "a slow request in the new generation", timeoutMs: 20_000 },
  );
  writeFileSync(fatal, "");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  assert.match(err, /late failed: exited with code 3/);
  return answers;
}

test("a new generation that failed and still answers makes room for the next one", async () => {
  await using stage = await Upgradable.start(slow(1, 100));
  const answers = await failedWithRequests(stage, 60_000);
  const { code, err } = await stage.upgrade(generation(3));
  assert.equal(code, 0, err);
  await eventually(() => childrenOf(stage.server.initPid()).length === 2, { what: "nothing left of generation 2" });
  assert.ok((await Promise.all(answers)).includes("ECONNRESET"));
});

test("what a new generation has accepted is answered, also when the upgrade is rolled back", async () => {
  await using stage = await Upgradable.start(slow(1, 1_500));
  const seen = await Promise.all(await failedWithRequests(stage, 1_500));
  assert.deepEqual([...new Set(seen)].sort(), [1, 2]);
  await eventually(() => childrenOf(stage.server.initPid()).length === 2, { what: "nothing left of generation 2" });
});

test("pingora-entry upgrade is busy while another one is under way, or waits for it", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const first = stage.upgrade(generation(2, "", ', "1000"'));
  await stage.step("old", "LEASE");
  const second = await stage.upgrade(generation(3));
  assert.equal(second.code, 75, second.err);
  assert.match(second.err, /another upgrade is under way|on probation|not in Running/);
  const { body } = await stage.server.ask("/metrics");
  assert.match(body, /upgrade_attempts_total\{result="busy",reason="busy"\} 1\n/);
  assert.equal((await first).code, 0);
  const third = stage.upgrade(generation(4), "--wait");
  assert.equal((await third).code, 0);
  await eventually(async () => (await ask(stage.port)) === 4);
});

/** A generation that is not ready before the file is there. */
const held = (number: number, file: string) =>
  generation(number).replace(
    "upgrade:",
    `  gate:
    command: [sleep, "1000"]
    stop: { signal: KILL }
    upgrade: { strategy: handover }
    readinessProbe: { exec: { command: [test, -e, ${file}] }, periodSeconds: 0.1 }
upgrade:`,
  );

/** `pingora-entry upgrade --wait` that has been told to wait. */
async function waiting(stage: Upgradable, text: string) {
  const conf = stage.config(`waiting-${Math.random()}.yaml`, text);
  const child = spawn(program, ["upgrade", "--socket", stage.server.socket, "--conf", conf, "--wait"]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part: string) => {
      said += part;
    });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, said }));
  await eventually(() => said.includes("wait  "), { what: "the command that waits" });
  return { child, ended };
}

test("pingora-entry upgrade --wait is not lost when the upgrade that it waits for replaces the generation", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const file = join(stage.server.dir, "open");
  const first = stage.upgrade(held(2, file));
  await stage.step("old", "PREPARING");
  const others = [await waiting(stage, generation(3)), await waiting(stage, generation(3))];
  writeFileSync(file, "");
  assert.equal((await first).code, 0);
  for (const { ended } of others) {
    const { code, said } = await ended;
    assert.equal(code, 0, said + stage.server.stderr);
    assert.match(said, /^wait .*generation 2 has replaced this one meanwhile: asked again\n(.*\n)*replaced after/m);
  }
  assert.equal((await stage.server.phase("Running")).generation, 4);
});

test("pingora-entry upgrade --wait is not lost when the supervisor dies that it was told to wait by", async () => {
  await using stage = await Upgradable.start(generation(1));
  const { pid } = await stage.server.phase("Running");
  const first = stage.upgrade(held(2, join(stage.server.dir, "never")));
  await stage.step("old", "PREPARING");
  const other = await waiting(stage, generation(3));
  process.kill(pid, "SIGKILL");
  assert.equal((await first).code, 1);
  const { code, said } = await other.ended;
  assert.equal(code, 0, said + stage.server.stderr);
  await eventually(async () => (await ask(stage.port)) === 3);
});

test("pingora-entry upgrade --wait that is interrupted while it waits has begun nothing, and does not say so", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const file = join(stage.server.dir, "open");
  const first = stage.upgrade(held(2, file));
  await stage.step("old", "PREPARING");
  const other = await waiting(stage, generation(3));
  other.child.kill("SIGINT");
  const { code, said } = await other.ended;
  assert.equal(code, 130);
  assert.doesNotMatch(said, /goes on/);
  writeFileSync(file, "");
  assert.equal((await first).code, 0);
});

test("a generation that drains when the other one ends has time for its last report", async () => {
  const config = (number: number, more = "") =>
    generation(number, "shutdown: { gracePeriodSeconds: 3, reserveSeconds: 1, lameDuckSeconds: 0 }", "")
      .replace("{ WEB_LOG", '{ SLOW_MS: "60000", WEB_LOG')
      .replace("upgrade: {", `${more}\nupgrade: { drainSeconds: 60,`);
  await using stage = await Upgradable.start(config(1));
  await stage.server.phase("Running");
  const slow = ask(stage.port, "/slow");
  await eventually(() => stage.said().includes("slow 1"), { what: "a request under way" });
  const wait = `while ! test -e ${stage.server.dir}/over; do sleep 0.1; done; exit 3`;
  const last = `  last: { command: [/bin/sh, -c, "${wait}"], restart: never }`;
  const { code, err } = await stage.upgrade(config(2, last));
  assert.equal(code, 0, err);
  writeFileSync(join(stage.server.dir, "over"), "");
  await slow;
  await stage.server.exited;
  assert.match(stage.server.stderr, /"listener":"http","drained":0,"cut":1,"killed":1/);
  assert.doesNotMatch(stage.server.stderr, /has not ended with the primary/);
});

test("SIGTERM in the middle of an upgrade stops both generations within the grace, with exit code 0", async () => {
  // it takes a while to end in favour of the new generation: as long as that READY lasts
  const slow = `[/bin/sh, -c, "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done"]`;
  const of = (number: number, more = "") =>
    generation(number, "shutdown: { gracePeriodSeconds: 8 }", more).replace(
      "services:",
      `services:\n  slow: { command: ${slow} }`,
    );
  for (const step of ["LEASE", "CLAIM", "READY", "COMMIT", "PROBATION"]) {
    await using stage = await Upgradable.start(of(1));
    const { server } = stage;
    await server.phase("Running");
    const upgrade = stage.upgrade(of(2, ', "200"'));
    await stage.step("old", step);
    const from = performance.now();
    server.signal("SIGTERM");
    const { code } = await server.exited;
    assert.equal(code, 0, `${step}: ${server.stderr}`);
    assert.ok(performance.now() - from < 8_000, step);
    const { code: told, out, err } = await upgrade;
    // from COMMIT on the probation begins within the look for the step, and in it it depends on who is faster to hear of it
    if ((step === "COMMIT" || step === "PROBATION") && told === 0) {
      assert.match(out, /replaced .*: generation 2 has the sockets, and ends, too: the server is being stopped/);
    } else {
      assert.equal(told, 1, `${step}: ${out}`);
      assert.match(err, /rolled back .*SIGTERM; generation 1 has the sockets, and is stopping/, step);
    }
  }
});

/** So long that it is not over by itself. */
const watched = generation(1).replace("probationSeconds: 0.5", "probationSeconds: 20");

test("a service is not restarted by request while its generation is on probation, which is not ended by that", async () => {
  await using stage = await Upgradable.start(generation(1).replace("probationSeconds: 0.5", "probationSeconds: 2"));
  await stage.server.phase("Running");
  const upgrade = stage.upgrade(generation(2));
  await stage.step("new", "PROBATION");
  const { code, err } = await stage.cli("restart", "web");
  assert.equal(code, 1);
  assert.match(err, /cannot restart "web": this generation is on probation, try again afterwards/);
  assert.equal((await upgrade).code, 0);
  assert.equal((await stage.cli("restart", "web")).code, 0);
});

test("a new generation that ends by itself in the probation says why", async () => {
  await using stage = await Upgradable.start(watched);
  await stage.server.phase("Running");
  const fatal = join(stage.server.dir, "fatal");
  const aside = `  aside:
    command: [/bin/sh, -c, "until [ -e ${fatal} ]; do sleep 0.05; done; exit 3"]
    restart: never
    required: false
    onFailure: shutdown
upgrade:`;
  const upgrade = stage.upgrade(generation(2).replace("upgrade:", aside));
  await stage.step("new", "PROBATION");
  writeFileSync(fatal, "");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  assert.match(err, /rolled back .*: NEW: service aside failed: exited with code 3; generation 1 serves on/);
  assert.equal((await stage.server.phase("Running")).lastUpgrade?.cause, "service");
});

test("pingora-entry upgrade says how it ended when the supervisor that was asked dies in the middle", async () => {
  await using stage = await Upgradable.start(generation(1));
  const { pid } = await stage.server.phase("Running");
  const upgrade = stage.upgrade(generation(2, "", ', "1000"'));
  await stage.step("old", "PREPARING");
  process.kill(pid, "SIGKILL");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err + stage.server.stderr);
  assert.match(
    err,
    /rolled back after .*: the supervisor of the running generation died meanwhile; generation 1 serves on/,
  );
  assert.equal(await ask(stage.port), 1);
});

test("pingora-entry upgrade that is interrupted says that the upgrade goes on, and it does", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const conf = stage.config("next.yaml", generation(2));
  const child = spawn(program, ["upgrade", "--socket", stage.server.socket, "--conf", conf]);
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = once(child, "close");
  await stage.step("old", "PREPARING");
  child.kill("SIGINT");
  const [code] = await ended;
  assert.equal(code, 130, err);
  assert.equal(err, "pingora-entry: the upgrade goes on; pingora-entry status tells how it ends\n");
  await eventually(async () => (await stage.server.status())?.lastUpgrade?.result === "completed");
});

test("a service with its own way is left alone when it has handed over, until its successor is started", async () => {
  const proxy = (number: number) => `
services:
  proxy:
    command: [/bin/sh, -c, 'echo "start ${number} $0" >> {{dir}}/web.log; trap "echo quit ${number} >> {{dir}}/web.log; exit 0" QUIT TERM; while :; do sleep 0.02; done']
    upgrade: { strategy: own, signal: QUIT, arguments: ["-u"] }
  single:
    command: [/bin/sh, -c, 'trap "sleep 1; exit 0" TERM; while :; do sleep 0.02; done']
    upgrade: { strategy: restart }
upgrade: { probationSeconds: 0.5, bootSeconds: 10 }
`;
  await using stage = await Upgradable.start(proxy(1));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(proxy(2));
  assert.equal(code, 0, err);
  await eventually(() => childrenOf(stage.server.initPid()).length === 3, { what: "the end of generation 1" });
  assert.deepEqual(stage.said(), ["start 1", "quit 1", "start 2"]);
});

/** What only one can have, and what does not end by itself. */
const stubborn = (bootSeconds: number) => `
services:
  q:
    command: [/bin/sh, -c, 'trap "" TERM; echo start q >> {{dir}}/web.log; while :; do sleep 0.05; done']
    upgrade: { strategy: restart }
    stop: { graceSeconds: 15 }
upgrade: { probationSeconds: 0.5, bootSeconds: ${bootSeconds} }
`;

test("a service that does not end when it is left to the new generation is killed in time for the upgrade", async () => {
  await using stage = await Upgradable.start(stubborn(4));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(stubborn(4));
  assert.equal(code, 0, err);
  await eventually(() => stage.said().length === 2, { what: "the one of generation 2" });
});

test("a service that had not ended when the new generation gave up is named, and starts again", async () => {
  await using stage = await Upgradable.start(stubborn(8));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(stubborn(2));
  assert.equal(code, 1, err);
  assert.match(err, /OLD did not go on within 2 s \(ready\): service q had not ended; generation 1 serves on/);
  await eventually(() => stage.said().length === 2, { what: "another one of generation 1", timeoutMs: 10_000 });
  const status = await stage.server.phase("Running");
  assert.equal(status.generation, 1);
});

test("the old generation counts no probe of the new one among the connections that it drained", async () => {
  // it accepts on for a while when it is told to end, so that it gets some of the new generation's probes
  const program = `
    const { createServer } = require("node:http");
    const server = createServer((_, response) => response.end("ok"));
    server.listen({ fd: 3 });
    if (process.argv[1] === "1") process.on("SIGTERM", () => setTimeout(() => process.exit(), 2000));`;
  const probed = (number: number) => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: [${process.execPath}, -e, '${program.replaceAll("\n", " ")}', "${number}"]
    listeners: [http]
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.05 }
    livenessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.05 }
upgrade: { probationSeconds: 0.5, bootSeconds: 10, drainSeconds: 10 }
`;
  await using stage = await Upgradable.start(probed(1));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(probed(2));
  assert.equal(code, 0, err);
  const report = await eventually(
    () =>
      stage.server.stderr.split("\n").find((line) => line.includes('"listener":"http"') && line.includes("drained")),
    { what: "the report of the old generation" },
  );
  const { drained, cut, exact } = JSON.parse(report);
  assert.deepEqual({ drained, cut, exact }, { drained: 0, cut: 0, exact: true });
});

/** Keeps a slow request open with the generation that answers now. */
async function holdRequest(stage: Upgradable, number: number): Promise<Socket> {
  const socket = connect(stage.port, "127.0.0.1").on("error", () => {});
  socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually(() => stage.said().includes(`slow ${number}`), { what: `a request with generation ${number}` });
  return socket;
}

test("status lists every generation that still ends its services, also of a restarted supervisor, until it is gone", async () => {
  const three = (number: number) =>
    slow(number, 100_000).replace("bootSeconds: 10", "bootSeconds: 10, drainSeconds: 100, maxGenerations: 3");
  await using stage = await Upgradable.start(three(1));
  const { server } = stage;
  const pids = [(await server.phase("Running")).pid];
  const requests: Socket[] = [];
  try {
    for (const number of [1, 2]) {
      requests.push(await holdRequest(stage, number));
      const { code, err } = await stage.upgrade(three(number + 1));
      assert.equal(code, 0, err);
      pids.push((await server.phase("Running")).pid);
    }
    const draining = async () =>
      ((await server.status())?.draining ?? []).map(({ generation, pid, connections }) => [
        generation,
        pid,
        connections,
      ]);
    const wanted = (connections?: number) => JSON.stringify([1, 2].map((each, i) => [each, pids[i], connections]));
    await eventually(async () => JSON.stringify(await draining()) === wanted(1), {
      what: "both, with a connection each",
    });
    const { out } = await stage.cli("status");
    for (const number of [1, 2])
      assert.match(
        out,
        new RegExp(
          `generation ${number} ends its services, pid ${pids[number - 1]}, 1 connection open, killed in 1m[34]\\ds`,
        ),
      );

    process.kill(pids[2] ?? 0, "SIGKILL");
    await eventually(async () => (await server.status())?.supervisorRestarts === 1, { what: "another supervisor" });
    assert.equal(JSON.stringify(await draining()), wanted());
    const waiting = stage.upgrade(three(4), "--wait");
    requests[0]?.destroy();
    const { code, err } = await waiting;
    assert.equal(code, 0, err);
    await eventually(async () => JSON.stringify((await draining()).map(([each]) => each)) === "[2]", {
      what: "only one",
    });
    requests[1]?.destroy();
    await eventually(async () => (await draining()).length === 0, { what: "none" });
  } finally {
    for (const socket of requests) socket.destroy();
  }
});

test("an older generation that ends while the next one gets ready is not listed by that one, and not in its way", async () => {
  const two = (number: number, readyMs = "0") =>
    slow(number, 100_000)
      .replace(`"${number}"]`, `"${number}", "${readyMs}"]`)
      .replace("bootSeconds: 10", "bootSeconds: 10, drainSeconds: 100, maxGenerations: 3");
  await using stage = await Upgradable.start(two(1));
  const { server } = stage;
  await server.phase("Running");
  const requests = [await holdRequest(stage, 1)];
  try {
    assert.equal((await stage.upgrade(two(2))).code, 0);
    requests.push(await holdRequest(stage, 2));
    const upgrade = stage.upgrade(two(3, "1500"));
    await stage.step("old", "PREPARING", 2);
    requests[0]?.destroy();
    const { code, err } = await upgrade;
    assert.equal(code, 0, err);
    await eventually(
      async () => JSON.stringify((await server.status())?.draining?.map((each) => each.generation)) === "[2]",
    );
    const next = await stage.upgrade(two(4));
    assert.equal(next.code, 0, next.err);
  } finally {
    for (const socket of requests) socket.destroy();
  }
});

test("a oneshot that is skipped in an upgrade says so, also to the supervisor after this one, and runs when it is told to", async () => {
  const with1 = (number: number) =>
    generation(number).replace(
      "services:",
      `services:
  migrate: { command: [/bin/sh, -c, "echo migrate ${number} >> {{dir}}/web.log"], type: oneshot, upgrade: { onUpgrade: skip } }`,
    );
  await using stage = await Upgradable.start(with1(1));
  const { server } = stage;
  const migrate = async () => (await server.status())?.services.find(({ name }) => name === "migrate");
  await server.phase("Running");
  assert.equal((await migrate())?.reason, "exited with code 0");
  const before = Date.now();
  assert.equal((await stage.upgrade(with1(2))).code, 0);
  const { pid } = await server.phase("Running");
  const skipped = await migrate();
  assert.deepEqual(
    [skipped?.state, skipped?.ready, skipped?.reason],
    ["Stopped", true, "skipped in this upgrade (onUpgrade: skip)"],
  );
  assert.ok((skipped?.since ?? 0) >= before);
  process.kill(pid, "SIGKILL");
  await eventually(async () => ((await server.status())?.pid ?? pid) !== pid, { what: "the next supervisor" });
  assert.equal((await migrate())?.reason, skipped?.reason);
  assert.deepEqual(
    stage.said().filter((line) => line.startsWith("migrate")),
    ["migrate 1"],
  );
  assert.equal((await stage.cli("start", "migrate")).code, 0);
  assert.equal((await migrate())?.reason, "exited with code 0");
});

const oneshots = (number: number, ...lines: string[]) =>
  generation(number).replace("services:", ["services:", ...lines.map((line) => `  ${line}`)].join("\n"));
const says = (name: string, number: number, then = "exit 0", more = "") =>
  `${name}: { command: [/bin/sh, -c, "echo ${name} ${number} >> {{dir}}/web.log; ${then}"], type: oneshot, required: false, onFailure: ignore, restart: never, upgrade: { onUpgrade: skip }${more} }`;

test("a oneshot that the old generation has not completed runs in the new one, whatever onUpgrade says", async () => {
  const config = (number: number, ...more: string[]) =>
    oneshots(
      number,
      says("done", number),
      says("broken", number, number === 1 ? "exit 3" : "exit 0"),
      says("after", number, "exit 0", ", dependsOn: { broken: completed }"),
      ...more,
    );
  await using stage = await Upgradable.start(config(1));
  await stage.server.phase("Running");
  const jobs = () => stage.said().filter((line) => /^(done|broken|after|added)/.test(line));
  await eventually(() => jobs().length === 2, { what: "the first runs" });
  const completed = async () => {
    await eventually(
      async () => (await stage.server.status())?.services.every(({ type, ready }) => ready || type !== "oneshot"),
      { what: "all oneshots completed" },
    );
  };
  for (const number of [2, 3]) {
    const { code, err } = await stage.upgrade(config(number, says("added", number)), "--wait");
    assert.equal(code, 0, err);
    await eventually(async () => (await stage.server.status())?.generation === number, {
      what: "the new one's answer",
    });
    await completed();
  }
  assert.deepEqual(jobs().sort(), ["added 2", "after 2", "broken 1", "broken 2", "done 1"]);
});

test("an upgrade waits for a oneshot that it would skip, and is busy until then", async () => {
  const slow = (number: number) =>
    oneshots(
      number,
      says("slow", number, "until [ -e {{dir}}/go ]; do sleep 0.02; done; echo end 0 >> {{dir}}/web.log"),
    );
  await using stage = await Upgradable.start(slow(1));
  const { server } = stage;
  await server.phase("Running");
  await eventually(() => stage.said().includes("slow 1"), { what: "that it runs" });
  const busy = await stage.upgrade(slow(2));
  assert.equal(busy.code, 75);
  assert.match(busy.err, /oneshot slow still runs \(onUpgrade: skip\)/);
  const waiting = stage.upgrade(slow(2), "--wait");
  writeFileSync(join(server.dir, "go"), "");
  assert.equal((await waiting).code, 0);
  assert.deepEqual(
    stage.said().filter((line) => /^(slow|end) /.test(line)),
    ["slow 1", "end 0"],
  );
});

test("a oneshot that still runs, and that only the new configuration skips, keeps the old generation", async () => {
  const config = (number: number) => oneshots(number, says("slow", number, "exec sleep 1000"));
  await using stage = await Upgradable.start(config(1).replace("onUpgrade: skip", "onUpgrade: run"));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(config(2));
  assert.equal(code, 1);
  assert.match(err, /rolled back .*: NEW: oneshot slow still runs in the old generation/);
  assert.equal((await stage.server.phase("Running")).generation, 1);
  assert.deepEqual(
    stage.said().filter((line) => line.startsWith("slow")),
    ["slow 1"],
  );
});

test("a oneshot that waits for its next try begins it when the upgrade is over, not beside the new generation's", async () => {
  const config = (number: number, more = "") =>
    oneshots(
      number,
      says("migrate", number, "exit 3").replace("restart: never", "restart: { initialDelaySeconds: 1, limit: 0 }"),
      more,
    );
  await using stage = await Upgradable.start(config(1));
  await stage.server.phase("Running");
  const tries = (number: number) => stage.said().filter((line) => line === `migrate ${number}`).length;
  await eventually(() => tries(1) > 0, { what: "the first try" });
  const fails = `late: { command: [/bin/sh, -c, "sleep 3; exit 3"], restart: never, readinessProbe: { exec: { command: [/bin/false] } }, upgrade: { strategy: handover } }`;
  const upgrade = stage.upgrade(config(2, fails));
  await stage.step("old", "PREPARING");
  const before = tries(1);
  await eventually(() => tries(2) > 1, { what: "two tries of the new generation" });
  assert.equal(tries(1), before);
  assert.equal((await upgrade).code, 1);
  await eventually(() => tries(1) > before, { what: "the old generation's next try" });
});

test("what an operator has stopped stays so in the new generations, until it is started there", async () => {
  const config = (number: number) =>
    oneshots(
      number,
      `queue: { command: [/bin/sh, -c, "echo queue ${number} >> {{dir}}/web.log; exec sleep 1000"] }`,
      `aside: { command: [/bin/sh, -c, "exec sleep 1000"], dependsOn: [queue] }`,
    );
  await using stage = await Upgradable.start(config(1));
  const { server } = stage;
  await server.phase("Running");
  assert.equal((await stage.cli("stop", "queue")).code, 0);
  const services = async () =>
    Object.fromEntries((await server.status())?.services.map((each) => [each.name, each]) ?? []);
  assert.equal((await services()).queue?.held, true);
  for (const number of [2, 3]) {
    const { code, err } = await stage.upgrade(config(number), "--wait");
    assert.equal(code, 0, err);
    await eventually(async () => (await server.status())?.generation === number, { what: "the new one's answer" });
    const { queue, aside } = await services();
    assert.deepEqual(
      [queue?.state, queue?.held, queue?.reason, aside?.state],
      ["Stopped", true, "stopped by request before the upgrade", "Ready"],
    );
    assert.equal((await server.ask("/readyz")).status, 503, "as before");
  }
  const { pid } = await server.phase("Running");
  process.kill(pid, "SIGKILL");
  await eventually(async () => ((await server.status())?.pid ?? pid) !== pid, { what: "the next supervisor" });
  assert.equal((await services()).queue?.reason, "stopped by request before the upgrade");
  assert.equal((await stage.cli("start", "queue")).code, 0);
  assert.equal((await server.ask("/readyz")).status, 200);
  assert.equal((await services()).queue?.held, undefined);
  assert.deepEqual(
    stage.said().filter((line) => line.startsWith("queue")),
    ["queue 1", "queue 3"],
  );
});

test("a unix listener whose path is not there, as in another container, is bound by the new generation", async () => {
  const config = `
listeners: { local: { unix: "{{dir}}/web.sock" } }
services:
  web: { command: [{{web}}, "1"], listeners: [local] }
upgrade: { probationSeconds: 0.2, bootSeconds: 10 }
`;
  await using stage = await Upgradable.start(config);
  await stage.server.phase("Running");
  const path = join(stage.server.dir, "web.sock");
  rmSync(path);
  const { code, err } = await stage.upgrade(config);
  assert.equal(code, 0, err);
  assert.ok(statSync(path).isSocket());
  assert.match(stage.server.stderr, /nobody here claims listener .{1,2}local/);
});

test("a unix listener is the same one however its path is written", async () => {
  const at = (path: string) => `
listeners: { local: { unix: "{{dir}}/${path}" } }
services: { web: { command: [{{web}}, "1"], listeners: [local] } }
upgrade: { probationSeconds: 0.2, bootSeconds: 5 }
`;
  await using stage = await Upgradable.start(at("web.sock"));
  await stage.server.phase("Running");
  symlinkSync(".", join(stage.server.dir, "link"));
  for (const path of ["link/web.sock", "web.sock"]) {
    const { code, err } = await stage.upgrade(at(path), "--wait");
    assert.equal(code, 0, err);
  }
  assert.doesNotMatch(stage.server.stderr, /nobody here claims/);
});

test("the mode of a unix listener is the new generation's after COMMIT, and the old one's again after a rollback", async () => {
  const folder = (mode: string, more = "") => `
listeners: { local: { unix: "{{dir}}/web.sock", mode: "${mode}" } }
services:
  web: { command: [{{web}}, "1"], listeners: [local] }
${more}
upgrade: { probationSeconds: 1, bootSeconds: 10 }
`;
  await using stage = await Upgradable.start(folder("0666"));
  await stage.server.phase("Running");
  const mode = () => (statSync(join(stage.server.dir, "web.sock")).mode & 0o777).toString(8);
  assert.equal((await stage.upgrade(folder("0600"))).code, 0);
  assert.equal(mode(), "600");
  const lost = `  late: { command: [/bin/sh, -c, "sleep 0.3; exit 3"], restart: { policy: never }, upgrade: { strategy: restart } }`;
  const { code, err } = await stage.upgrade(folder("0640", lost), "--wait");
  assert.equal(code, 1, err);
  assert.equal(mode(), "600");
});

test("a new generation that ends before it is decided who owns leaves the paths of the sockets alone", async () => {
  const listening = (more = "") => `
listeners: { local: { unix: "{{dir}}/web.sock" } }
services:
  web: { command: [{{web}}, "1"], listeners: [local] }
${more}
upgrade: { probationSeconds: 1, bootSeconds: 10 }
`;
  await using stage = await Upgradable.start(listening());
  await stage.server.phase("Running");
  const old = stage.server.supervisor() ?? 0;
  const late = `  late: { command: [/bin/sh, -c, "sleep 0.3; exit 3"], restart: { policy: never }, upgrade: { strategy: restart } }`;
  const upgrade = stage.upgrade(listening(late));
  await stage.step("new", "COMMIT");
  process.kill(old, "SIGSTOP");
  await eventually(() => stage.server.stderr.includes('"to":"Terminated"'), { what: "the end of generation 2" });
  // what the init makes of its end is there before the old one goes on
  await eventually(() => childrenOf(stage.server.initPid()).length === 2, { what: "nothing left of generation 2" });
  process.kill(old, "SIGCONT");
  const { code, err } = await upgrade;
  assert.equal(code, 1, err);
  assert.equal((await stage.upgrade(listening())).code, 0, "the old one serves on");
  assert.ok(existsSync(join(stage.server.dir, "web.sock")));
  assert.ok(existsSync(stage.server.socket));
});

test("with standby, as in a pod, a generation that was replaced under its own init ends, and makes room for the next upgrade", async () => {
  const standing = (number: number) => generation(number).replace("upgrade: {", "upgrade: { standby: true,");
  await using stage = await Upgradable.start(standing(1));
  await stage.server.phase("Running");
  for (const next of [2, 3]) {
    const { code, out, err } = await stage.upgrade(standing(next), "--wait");
    assert.equal(code, 0, `${out}${err}`);
  }
  assert.equal(stage.journal().owner.generation, 3);
});

test("an upgrade whose configuration moves the control socket meets the old generation where that one is", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const moved = join(stage.server.dir, "moved", "control.sock");
  const conf = join(stage.server.dir, "moved.yaml");
  const text = generation(2)
    .replaceAll("{{port}}", `${stage.port}`)
    .replaceAll("{{web}}", `${process.execPath}, ${web}`)
    .replaceAll("{{dir}}", stage.server.dir);
  writeFileSync(conf, `${text}admin: { tcp: "off", socket: ${moved} }\n`);
  const { code, err } = await stage.cli("upgrade", "--conf", conf);
  assert.equal(code, 0, err);
  assert.equal(stage.journal().owner.generation, 2);
  await eventually(async () => (await ask(stage.port)) === 2);
});

test("an upgrade whose configuration names another directory is refused before anything of it runs", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(
    generation(2).replace("upgrade: {", "upgrade: { directory: {{dir}}/elsewhere,"),
  );
  assert.equal(code, 1);
  assert.match(err, /upgrade\.directory is "\S+elsewhere", that of the running/);
  assert.deepEqual(stage.said(), ["start 1"]);
});

test("an upgrade in a directory that cannot be used any more is refused, with the reason", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  chmodSync(join(stage.server.dir, "upgrade"), 0o777);
  const { code, err } = await stage.upgrade(generation(2));
  assert.equal(code, 1);
  assert.match(err, /cannot use the upgrade directory .*: everybody may write/);
  assert.deepEqual(stage.said(), ["start 1"]);
});

test("a candidate that is refused leaves nothing in the upgrade directory", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const directory = join(stage.server.dir, "upgrade");
  rmSync(join(directory, "journal.lock"));
  mkdirSync(join(directory, "journal.lock"));
  const { code, err } = await stage.upgrade(generation(2));
  assert.equal(code, 1);
  assert.match(err, /cannot write \S+journal\.json/);
  await eventually(() => childrenOf(stage.server.initPid()).length === 2, { what: "the end of the candidate" });
  await eventually(() => !readdirSync(directory).some((name) => name.startsWith("refusal-")), {
    what: "its words taken away",
  });
});
