import assert from "node:assert/strict";
import { test } from "node:test";
import { cannotBePid1, childrenOf, descendantsOf, eventually, startServer } from "../harness.js";

const skip = cannotBePid1() ?? false;

const config = `
services:
  base: { command: [{{service}}, -n, base, -r, "20"], readinessProbe: { notify: true } }
  web: { command: [{{service}}, -n, web], dependsOn: [base] }
shutdown: { gracePeriodSeconds: 5, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

test("pingora-entry as PID 1 obeys SIGTERM at any moment of its start", { skip }, async () => {
  for (const ms of [5, 10, 20, 40, 60, 80, 100, 130, 160, 200]) {
    await using server = startServer(config, { pid1: true });
    await eventually(() => server.initPid() > 0);
    await new Promise((wake) => setTimeout(wake, ms));
    server.signal("SIGTERM");
    const from = performance.now();
    const { code } = await server.exited;
    assert.equal(code, 0, `${ms} ms: ${server.stderr}`);
    assert.ok(performance.now() - from < 4_000, `${ms} ms: took ${performance.now() - from} ms`);
    const lines = server.lines();
    const ends = lines.filter(({ event }) => event === "exit").map(({ name }) => name);
    assert.deepEqual(
      ends,
      lines
        .filter(({ event }) => event === "start")
        .map(({ name }) => name)
        .reverse(),
    );
  }
});

test("pingora-entry as PID 1 reaps orphans and counts them", { skip }, async () => {
  await using server = startServer(
    `
services:
  orphans: { command: [sh, -c, "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.05 &) ; done; exec sleep 1000"] }
`,
    { pid1: true },
  );
  await server.phase("Running");
  await eventually(async () => (await server.status())?.orphansReaped === 10, { what: "10 reaped orphans" });
  assert.equal(childrenOf(server.initPid()).length, 2);
  assert.equal(descendantsOf(server.initPid()).length, 2);
  const first = server.supervisor() ?? 0;
  process.kill(first, "SIGKILL");
  await eventually(async () => (await server.status())?.supervisorRestarts === 1);
  await eventually(async () => (await server.status())?.orphansReaped === 10, { what: "the same count again" });
});
