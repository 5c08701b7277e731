import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Snapshot } from "../../../src/core/snapshot.js";
import { eventually, kill, program, type Running, startServer } from "../harness.js";
import { runClient, startClient } from "./run-client.js";

const config = `
services:
  cache: { command: [{{service}}, -n, cache], output: prefix }
  web:
    command: [sh, -c, 'echo hello from web; echo "{\\"a\\":1}" >&2; exec {{dir}}/service -n web -l {{dir}}/log']
    dependsOn: [cache]
    instances: 2
    output: json
  quiet: { command: [{{service}}, -n, quiet] }
  missing: { command: [/no/such/program], required: false, onFailure: ignore, restart: { policy: never } }
  broken: { command: [sh, -c, "exit 3"], required: false, onFailure: ignore, restart: { policy: never } }
shutdown: { gracePeriodSeconds: 10, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

function start(): Running {
  return startServer(
    config.replaceAll("{{dir}}/service", "{{service}}").replaceAll("{{service}} -n web -l {{dir}}/log", "sleep 1000"),
  );
}

describe("a running instance", () => {
  let server: Running;
  before(async () => {
    server = start();
    await server.phase("Running");
  });
  after(() => server.end());

  test("status shows phase, readiness and services, and --json the snapshot", async () => {
    await eventually(async () =>
      (await server.status())?.services.every(({ state, required }) => required || state === "Failed"),
    );
    const { code, out, err } = await runClient(server.socket, "status");
    assert.equal(code, 0, err);
    assert.match(out, /^Running for \d.*, ready\n/);
    assert.match(out, /^web +Ready +yes +0 +- /m);
    assert.match(out, /^ {2}web\/1 +Ready +0 +\d+ /m);
    assert.match(out, /^broken +Failed +no \(optional\) .*exited with code 3/m);
    assert.ok(!out.includes("\u001b"), "colours where there is no terminal");
    const json = JSON.parse((await runClient(server.socket, "status", "--json")).out) as Snapshot;
    assert.equal(json.phase, "Running");
    assert.deepEqual(json.services.map(({ name }) => name).sort(), ["broken", "cache", "missing", "quiet", "web"]);
  });

  test("logs shows the last lines of one service or of all, and follows", async () => {
    const one = await runClient(server.socket, "logs", "web", "-n", "1");
    assert.equal(one.out.split("\n").length, 2, one.err);
    const all = await runClient(server.socket, "logs", "--json");
    const lines = all.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { service: string; stream: string; text: string });
    assert.equal(lines.filter(({ service, text }) => service === "web" && text === "hello from web").length, 2);
    assert.equal(lines.filter(({ stream, text }) => stream === "stderr" && text === '{"a":1}').length, 2);
    assert.match(
      (await runClient(server.socket, "logs", "-t")).out,
      /^\d{4}-\d\d-\d\dT[\d:.]+Z \[web\] hello from web$/m,
    );

    const follower = startClient(server.socket, ["logs", "-f", "-n", "0", "web"]);
    // it follows when new lines arrive; until then the service is restarted again
    await eventually(
      async () => {
        await runClient(server.socket, "restart", "web");
        return follower.out().includes("hello from web");
      },
      { what: "a followed line" },
    );
    follower.child.kill("SIGINT");
    assert.equal((await follower.ended).code, 0);
  });

  test("logs says why there is nothing when a service's output is inherited", async () => {
    const { code, err } = await runClient(server.socket, "logs", "quiet");
    assert.equal(code, 1);
    assert.match(err, /the output of "quiet" is not kept/);
    assert.equal((await runClient(server.socket, "logs", "nobody")).code, 64);
  });

  test("logs -f ends when its reader has gone away", async () => {
    const command = `timeout -s KILL 20 ${program} logs -f --socket ${server.socket} web | head -n 1; echo \${PIPESTATUS[0]}`;
    // it can notice only when there is something more to write
    const shell = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    shell.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    const ended = new Promise((resolve) => shell.on("close", resolve));
    await eventually(() => out.includes("\n"));
    await runClient(server.socket, "restart", "web");
    await ended;
    assert.match(out, /\n0\n$/);
  });

  test("stop, start and restart print each result; the worst one is the exit code", async () => {
    const stopped = await runClient(server.socket, "stop", "web", "quiet");
    assert.equal(stopped.code, 0, stopped.err);
    assert.deepEqual(
      stopped.out
        .trim()
        .split("\n")
        .map((line) => line.replace(/ after .*/, ""))
        .sort(),
      ["quiet: stopped", "web: stopped"],
    );
    assert.match((await runClient(server.socket, "status")).out, /^Running .*, not ready\n/);
    const started = await runClient(server.socket, "start", "web", "missing", "quiet");
    assert.equal(started.code, 1);
    assert.match(started.out, /^web: started/m);
    assert.match(started.out, /^quiet: started/m);
    assert.match(started.err, /cannot start "missing": it is Failed, .*not found/);
    const restarted = await runClient(server.socket, "restart", "cahce", "quiet");
    assert.equal(restarted.code, 64);
    assert.match(restarted.out, /^quiet: restarted/m);
    assert.match(restarted.err, /unknown service "cahce"; known: cache/);
  });

  test("signal reaches the process, its group or its tree, and fails when there is none", async () => {
    const { code, out, err } = await runClient(server.socket, "signal", "usr1", "web", "--tree");
    assert.equal(code, 0, err);
    assert.match(out, /^web: SIGUSR1 reached 2 processes\n$/);
    const none = await runClient(server.socket, "signal", "HUP", "broken");
    assert.equal(none.code, 1);
    assert.match(none.err, /no running process/);
  });

  test("status --watch tells changes by line, survives the death of the supervisor, and ends with the instance", async () => {
    const watcher = startClient(server.socket, ["status", "--watch"]);
    await eventually(() => watcher.out().includes("phase Running"));
    kill(server.supervisor() ?? 0);
    await eventually(async () => ((await server.status())?.supervisorRestarts ?? 0) > 0, {
      what: "the next supervisor",
    });
    await runClient(server.socket, "stop", "quiet");
    await eventually(() => /quiet: .*Stopped/.test(watcher.out()), { what: "a change after the death" });
    const json = startClient(server.socket, ["status", "--watch", "--json"]);
    await eventually(() => json.out().includes("\n"));
    server.signal("SIGTERM");
    assert.equal((await watcher.ended).code, 0);
    assert.match(watcher.out(), /phase .* -> ShutdownGracePeriod/);
    const snapshots = (await json.ended).out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Snapshot);
    assert.ok(snapshots.length > 1);
    assert.equal((await server.exited).code, 0, server.stderr);
  });
});

describe("no instance, wrong usage", () => {
  const said = async (code: number, pattern: RegExp, ...args: readonly string[]): Promise<void> => {
    const answer = await runClient(undefined, ...args);
    assert.equal(answer.code, code, `${args.join(" ")}: ${answer.err}`);
    assert.match(answer.err, pattern);
    assert.equal(answer.err.trimEnd().split("\n").length, 1, answer.err);
    assert.equal(answer.out, "");
  };

  test("client commands name the path they tried when nobody answers", async () => {
    const socket = "/tmp/there-is-no-such.sock";
    const reason =
      /cannot reach a running instance at \/tmp\/there-is-no-such.sock \(named by --socket\): there is no such socket; name another with --socket PATH or PINGORA_ENTRY_ADMIN_SOCKET/;
    for (const args of [
      ["status"],
      ["status", "-w"],
      ["logs"],
      ["logs", "-f"],
      ["start", "a", "b"],
      ["stop", "a"],
      ["restart", "a"],
      ["signal", "HUP", "a"],
    ]) {
      await said(69, reason, ...args, "--socket", socket);
    }
    await said(69, /it is no stream socket|nobody listens/, "status", "--socket", "/etc/passwd");
    const { code, out } = await runClient(socket, "completion", "services");
    assert.deepEqual([code, out], [0, ""]);
  });

  test("client commands suggest what was meant when the usage is wrong", async () => {
    await said(
      64,
      /unknown option "--jsno"; did you mean "--json"\?; see pingora-entry help status/,
      "status",
      "--jsno",
    );
    await said(64, /option "--tail" needs a value/, "logs", "--tail");
    await said(64, /option "--json" takes no value/, "status", "--json=yes");
    await said(64, /cannot use "many" as --tail: a whole number is needed/, "logs", "-n", "many");
    await said(64, /no SERVICE was named/, "restart");
    await said(64, /SIGNAL and SERVICE are needed/, "signal", "HUP");
    await said(64, /unknown signal "TREM"; did you mean "TERM"\?/, "signal", "TREM", "web");
    await said(64, /one of bash, zsh, fish is needed/, "completion", "tcsh");
    await said(64, /unknown command "staus"; did you mean "status"\?/, "help", "staus");
    await said(64, /cannot use "extra": help is about one command/, "help", "logs", "extra");
    for (const [option, joined, ...args] of [
      ["-n", "-n-1", "logs", "-n", "-1"],
      ["--tail", "--tail=-1", "logs", "--tail", "-1"],
      ["-c", "-c-1", "check", "-c", "-1"],
      ["-f", "-f-1", "graph", "-f", "-1"],
      ["-c", "-c-1", "run", "-c", "-1"],
    ]) {
      const text = `option "${option}" needs a value, and "-1" looks like an option; if it is meant, write ${joined}; see pingora-entry help ${args[0]}`;
      const { code, err } = await runClient(undefined, ...args);
      assert.deepEqual([code, err], [64, `pingora-entry: ${text}\n`]);
    }
    await said(64, /unknown option "--jsn"; did you mean "--json"\?; see pingora-entry help check/, "check", "--jsn");
    await said(64, /cannot use "x.yaml": name the file with -c, put CMD behind --/, "check", "x.yaml");
  });

  test("a directory without configurations is named by who finds nothing to run", async () => {
    const empty = mkdtempSync(join(tmpdir(), "pe-empty-"));
    try {
      const { code, err } = await runClient(undefined, "-c", empty);
      const found = `no configuration was found (--conf: ${empty} has no *.yaml, *.yml or *.json file)`;
      assert.deepEqual([code, err], [78, `pingora-entry: cannot run: ${found} and no CMD was given\n`]);
    } finally {
      rmSync(empty, { recursive: true });
    }
  });

  test("COMMAND --help prints what help COMMAND prints, for every command", async () => {
    const words = (await runClient(undefined, "help")).out.matchAll(/^ {2}([a-z]+) {2,}\S/gm);
    const names = [...words].map(([, name = ""]) => name);
    assert.ok(names.includes("run") && names.includes("prestop") && names.includes("help"), names.join(" "));
    for (const name of names) {
      const { out } = await runClient(undefined, "help", name);
      assert.match(out, /^usage: /, name);
      for (const flag of ["--help", "-h"]) assert.equal((await runClient(undefined, name, flag)).out, out, name);
    }
  });
});

test("logs -f goes on with the next supervisor, ends with the instance, and says so when it is gone", async () => {
  const config = `
services:
  web: { command: [sh, -c, "n=0; while :; do n=$((n + 1)); echo line $n; sleep 0.05; done"], output: prefix }
`;
  const server = startServer(config);
  try {
    await server.phase("Running");
    const follower = startClient(server.socket, ["logs", "-f", "web"]);
    await eventually(() => follower.out().includes("line 5\n"));
    kill(server.supervisor() ?? 0);
    const last = () => Number(/line (\d+)\n$/.exec(follower.out())?.[1] ?? 0);
    const before = last();
    await eventually(() => last() > before + 10);
    const numbers = [...follower.out().matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number));
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      "each once, in order",
    );
    server.signal("SIGTERM");
    assert.deepEqual([(await follower.ended).code, (await follower.ended).err], [0, ""]);
  } finally {
    await server.end();
  }
  const gone = startServer(config);
  try {
    await gone.phase("Running");
    const follower = startClient(gone.socket, ["logs", "-f", "web"]);
    await eventually(() => follower.out().includes("line 2\n"));
    const supervisor = gone.supervisor() ?? 0;
    kill(gone.initPid());
    kill(supervisor);
    const { code, err } = await follower.ended;
    assert.equal(code, 69);
    assert.match(err, /^pingora-entry: cannot reach a running instance at .*\n$/);
  } finally {
    await gone.end();
  }
});
