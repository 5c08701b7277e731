// kill -9 of one supervisor at each step of an upgrade, under load. All steps, processes and ways to go: test/crash.
import assert from "node:assert/strict";
import { test } from "node:test";
import { childrenOf, commandOf, eventually, kill } from "../harness.js";
import { ask, load, Upgradable } from "./stage.js";

const generation = (number: number): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}" } }
services:
  web:
    command: [{{web}}, "${number}"]
    listeners: [http]
    output: prefix
    env: { WEB_LOG: "{{dir}}/web.log" }
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.1 }
upgrade: { probationSeconds: 0.4, bootSeconds: 10, release: r${number} }
`;

const steps = ["LEASE", "CLAIM", "READY", "COMMIT", "PROBATION", "FINALIZE"];
type Side = "old" | "new";

/** Pids of the supervisors of one init, oldest first. */
function supervisors(init: number): number[] {
  return childrenOf(init).filter((pid) => commandOf(pid).includes("pingora-entry.cjs"));
}

async function killAt(side: Side, step: string): Promise<void> {
  await using stage = await Upgradable.start(generation(1));
  const { server, port } = stage;
  await server.phase("Running");
  const init = server.initPid();
  const [old] = supervisors(init);
  const stop = load(port, 2);
  const upgrade = stage.upgrade(generation(2));
  await stage.step(step === "LEASE" ? "old" : side, step);
  const victim = side === "old" ? old : supervisors(init).find((pid) => pid !== old);
  assert.ok(victim !== undefined, `${side} is there at ${step}`);
  kill(victim);
  const { code, out, err } = await upgrade;
  const about = () => `${side} killed at ${step}: ${code}\n${out}${err}${server.stderr}`;

  await eventually(() => childrenOf(init).length === 2, { what: "one supervisor, one service", timeoutMs: 20_000 })
    // what is left is what one wants to know then
    .catch((error: Error) =>
      assert.fail(`${error.message}: ${childrenOf(init).map(commandOf).join("; ")}\n${about()}`),
    );
  const { owner, attempt } = stage.journal();
  assert.equal(code, owner.generation === 2 ? 0 : 1, about());
  if (side === "old" && step === "FINALIZE") assert.equal(code, 0, about());
  // COMMIT follows READY within a millisecond or two: whether the kill comes before it, the journal knows
  if (step === "LEASE" || step === "CLAIM") assert.equal(code, 1, about());
  if (code === 1) assert.match(err, /rolled back after .*; generation 1 serves on/);
  assert.match(attempt?.state ?? "failed", /^(finalized|failed)$/, about());
  for (let i = 0; i < 8; i++) assert.equal(await ask(port), owner.generation, about());

  const next = await stage.upgrade(generation(3), "--wait");
  assert.equal(next.code, 0, next.err + about());
  await eventually(async () => (await ask(port)) === 3, { what: "generation 3 answers" });
  assert.equal(stage.journal().owner.release, "r3");
  assert.deepEqual([...(await stop()).failed], [], about());
}

for (const side of ["old", "new"] as const)
  test(`an upgrade refuses nobody and leaves one owner when the ${side} supervisor is killed at any step`, async () => {
    for (const step of steps) await killAt(side, step);
  });
