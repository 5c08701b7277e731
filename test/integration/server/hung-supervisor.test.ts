import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../fakes/random.js";
import { eventually, kill, startServer } from "../harness.js";

const config = `
services:
  base: { command: [{{service}}, -n, base, -t, "50"] }
  deaf: { command: [{{service}}, -n, deaf, -i], dependsOn: [base] }
shutdown: { gracePeriodSeconds: 6, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

test("pingora-entry stops in time when its supervisor hangs before SIGTERM", async () => {
  await using server = startServer(config);
  await server.phase("Running");
  kill(await eventually(() => server.supervisor()), "SIGSTOP");
  const from = performance.now();
  server.signal("SIGTERM");
  const { code } = await server.exited;
  assert.equal(code, 143, server.stderr);
  assert.ok(performance.now() - from < 7_900, `took ${performance.now() - from} ms: 2 s to find out, then the grace`);
  assert.ok(server.lines().some(({ name, event }) => name === "base" && event === "exit"));
});

test("pingora-entry ends within the grace when its supervisor hangs in the middle of a stop", async () => {
  await using server = startServer(config);
  await server.phase("Running");
  const from = performance.now();
  server.signal("SIGTERM");
  await server.phase("ShutdownGracePeriod");
  kill(await eventually(() => server.supervisor()), "SIGSTOP");
  const { code } = await server.exited;
  assert.equal(code, 143, server.stderr);
  assert.ok(performance.now() - from < 6_000, `took ${performance.now() - from} ms`);
});

test("pingora-entry never passes its deadline, whatever plan and whatever the services do", async () => {
  const random = seeded(17);
  const pick = (max: number): number => Math.floor(random() * max);
  for (let round = 0; round < 8; round++) {
    const graceSeconds = 1 + random() * 2;
    const services = Array.from({ length: 1 + pick(8) }, (_, i) => {
      const needs = Array.from({ length: i }, (_, k) => `s${k}`).filter(() => random() < 0.4);
      const stop = random() < 0.3 ? ", stop: { graceSeconds: 0.05 }" : "";
      const how = ["-i", '-t, "20"', '-t, "3000"', '-c, "2", -d'][pick(4)];
      return `  s${i}: { command: [{{service}}, -n, s${i}, ${how}], dependsOn: [${needs.join(", ")}]${stop} }`;
    });
    await using server = startServer(
      `services:\n${services.join("\n")}\nshutdown: { gracePeriodSeconds: ${graceSeconds}, lameDuckSeconds: 0, reserveSeconds: 0.4 }\n`,
    );
    await server.phase("Running");
    const from = performance.now();
    server.signal("SIGTERM");
    const { code } = await server.exited;
    const took = performance.now() - from;
    assert.ok(
      took < graceSeconds * 1_000,
      `round ${round}: ${took} ms of ${graceSeconds * 1_000}\n${services.join("\n")}`,
    );
    assert.ok(code === 0 || code === 143, `round ${round}: ${code}\n${server.stderr}`);
  }
});
