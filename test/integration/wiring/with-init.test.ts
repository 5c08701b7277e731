import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { eventually, kill, startServer } from "../harness.js";

const stop = "shutdown: { gracePeriodSeconds: 5, lameDuckSeconds: 0, reserveSeconds: 1 }\n";

test("services become ready by every kind of message, also as another user", async () => {
  const user = process.getuid?.() === 0 ? 'user: "65534:65534", ' : "";
  const python = `import os,socket,time; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.sendto(b"READY=1",os.environ["NOTIFY_SOCKET"]); time.sleep(1000)`;
  await using server = startServer(`
services:
  notify: { command: [python3, -c, '${python}'], ${user}workingDirectory: /, readinessProbe: { notify: true } }
  newline: { command: [bash, -c, "echo >&5; exec sleep 1000"], readinessProbe: { notify: { fd: 5 } } }
  line: { command: [sh, -c, "echo starting; echo 'listening on 80' >&2; exec sleep 1000"], readinessProbe: { log: { pattern: "listening on [0-9]+" } } }
  exec: { command: [sh, -c, "touch {{dir}}/mark; exec sleep 1000"], readinessProbe: { exec: { command: [test, -e, "{{dir}}/mark"] }, periodSeconds: 1 } }
  file: { command: [sh, -c, "touch {{dir}}/other; exec sleep 1000"], readinessProbe: { file: { path: "{{dir}}/other" }, periodSeconds: 1 } }
  silent: { command: [sh, -c, "exec sleep 1000"], required: false, readinessProbe: { exec: { command: [sh, -c, "echo not yet; exit 4"] }, periodSeconds: 1 } }
${stop}`);
  const snapshot = await server.phase("Running");
  assert.deepEqual(
    snapshot.services.filter(({ ready }) => !ready).map(({ name }) => name),
    ["silent"],
  );
  const silent = await eventually(async () =>
    (await server.status())?.services.find(({ name, output }) => name === "silent" && output !== undefined),
  );
  assert.deepEqual([silent.reason, silent.output], ["readiness probe: exit code 4", "not yet"]);
  assert.ok(server.stderr.includes("listening on 80"), "the line of an inherited output is passed on");
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0, server.stderr);
  assert.deepEqual(
    readdirSync(server.dir).filter((name) => name.startsWith("notify-")),
    [],
    "a NOTIFY_SOCKET was left behind",
  );
});

test("output and messages go on when the supervisor dies", async () => {
  await using server = startServer(`
services:
  talk: { command: [sh, -c, "i=0; while sleep 0.01; do i=$((i+1)); echo number $i; done"], output: prefix }
  late: { command: [bash, -c, "while ! [ -e {{dir}}/go ]; do sleep 0.01; done; systemd-notify --ready 2>/dev/null || python3 -c 'import os,socket; socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto(b\\"READY=1\\",os.environ[\\"NOTIFY_SOCKET\\"])'; exec sleep 1000"], readinessProbe: { notify: true } }
${stop}`);
  const numbers = (): number[] =>
    [...server.stdout.matchAll(/^\[talk\] number (\d+)$/gm)].map(([, number]) => Number(number));
  await eventually(() => numbers().length > 10);
  for (let round = 1; round <= 3; round += 1) {
    const seen = numbers().length;
    kill((await eventually(() => server.supervisor())) ?? 0);
    await eventually(async () => (await server.status())?.supervisorRestarts === round, {
      what: "the next supervisor",
    });
    await eventually(() => numbers().length > seen + 10);
  }
  await import("node:fs").then(({ writeFileSync }) => writeFileSync(`${server.dir}/go`, ""));
  await server.phase("Running");
  const talk = (await server.status())?.services.find(({ name }) => name === "talk");
  assert.equal(talk?.instances[0]?.restarts, 0);
  // what was read and not yet written when the supervisor died is lost with it: a line or two each time, no more
  const all = numbers();
  const missing = (all.at(-1) ?? 0) - all.length;
  assert.ok(missing <= 6, `${missing} lines lost`);
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0, server.stderr);
});

test("health is answered and the stop keeps its deadline when services flood a stdout that nobody reads", async () => {
  await using server = startServer(`
services:
  a: { command: ["yes", "prefixed prefixed prefixed"], output: prefix }
  b: { command: ["yes", '{"json":1}'], output: json }
  c: { command: ["yes"], output: inherit, readinessProbe: { log: { pattern: "^y$" } } }
${stop}`);
  await server.phase("Running");
  server.child.stdout?.pause();
  await eventually(() => server.child.stdout?.isPaused());
  const times: number[] = [];
  for (let count = 0; count < 200; count += 1) {
    const from = performance.now();
    assert.equal((await server.ask("/readyz")).status, 200);
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  console.log(`# /readyz with a stalled stdout: p50 ${times[100]?.toFixed(1)} ms, p99 ${times[198]?.toFixed(1)} ms`);
  // p99 is a benchmark's business: here others use the machine, too
  assert.ok((times[100] ?? 1e9) < 50, `p50 ${times[100]} ms`);
  const from = performance.now();
  server.signal("SIGTERM");
  // not server.exited: that waits for the end of stdout, which nobody reads
  await eventually(() => server.child.exitCode !== null, { what: "the end" });
  assert.ok(performance.now() - from < 5_000);
  server.child.stdout?.resume();
});
