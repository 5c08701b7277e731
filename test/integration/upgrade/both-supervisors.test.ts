// Both supervisors die on probation: who comes back finds by the journal how the upgrade ended, and is the only one that can tell.
import assert from "node:assert/strict";
import { appendFileSync, cpSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { childrenOf, commandOf, eventually, kill, program } from "../harness.js";
import { ask, load, Upgradable, webService } from "./stage.js";

const generation = (
  number: number,
): string => `${webService(number)}upgrade: { probationSeconds: 4, bootSeconds: 10, release: r${number} }
`;

/** Both are dead before this returns; who of them comes back first is the winner. */
const deaths = {
  new: async (stage: Upgradable, old: number, next: number) => {
    kill(old, "SIGSTOP");
    kill(next);
    await eventually(() => stage.journal().attempt?.state === "finalized", { what: "the new one has decided" });
    kill(old);
  },
  old: async (stage: Upgradable, old: number, next: number) => {
    kill(next, "SIGSTOP");
    kill(old);
    await eventually(() => stage.journal().attempt?.state === "failed", { what: "the old one has decided" });
    kill(next);
  },
  either: async (_: Upgradable, old: number, next: number) => {
    kill(old);
    kill(next);
  },
};

for (const [winner, die] of Object.entries(deaths))
  test(`an upgrade whose supervisors both die on probation is told by the one that owns: ${winner}`, async () => {
    await using stage = await Upgradable.start(generation(1));
    const { server, port } = stage;
    await server.phase("Running");
    const init = server.initPid();
    const before = readlinkSync(`/proc/${init}/exe`);
    // another init, so that it is seen whether it is replaced
    const release = join(server.dir, "release");
    cpSync(dirname(program), release, { recursive: true });
    appendFileSync(join(release, "pingora-entry"), "\n");
    const supervisors = () => childrenOf(init).filter((pid) => commandOf(pid).includes("pingora-entry.cjs"));
    const [old] = supervisors();
    const stop = load(port, 2);
    const upgrade = stage.upgrade(generation(2), "--path", release);
    await stage.step("old", "PROBATION");
    await stage.step("new", "PROBATION");
    const next = supervisors().find((pid) => pid !== old);
    assert.ok(old !== undefined && next !== undefined);
    const from = performance.now();
    await die(stage, old, next);
    const { code, err } = await upgrade;
    const about = () => `${err}${server.stderr}`;
    assert.ok(performance.now() - from < 15_000, `${performance.now() - from} ms\n${about()}`);

    const { owner, attempt } = stage.journal();
    if (winner !== "either") assert.equal(owner.release, winner === "new" ? "r2" : "r1", about());
    const won = owner.generation === 2;
    assert.equal(code, won ? 0 : 1, about());
    assert.equal(attempt?.state, won ? "finalized" : "failed");
    const { lastUpgrade, generation: serves } = await server.phase("Running");
    assert.equal(serves, owner.generation);
    assert.equal(lastUpgrade?.attempt, attempt?.id, about());
    assert.equal(lastUpgrade?.result, won ? "completed" : "rolled-back");
    assert.equal(lastUpgrade?.cause, won ? "none" : "lost");
    assert.equal(lastUpgrade?.generation, owner.generation);
    await eventually(() => childrenOf(init).length === 2, { what: "one supervisor, one service", timeoutMs: 20_000 });
    const path = won ? join(release, "pingora-entry") : before;
    await eventually(() => readlinkSync(`/proc/${init}/exe`) === path, { what: `the init is ${path}` });
    assert.equal(await ask(port), owner.generation);
    assert.deepEqual([...(await stop()).failed], [], about());

    // what is told once is not told again by the next supervisor
    if (won) {
      const refused = await stage.upgrade("services: {}\nnothing: 1\n");
      assert.equal(refused.code, 1, refused.err);
      kill(server.supervisor() ?? 0);
      await eventually(async () => (await server.status())?.supervisorRestarts === 2, { what: "another supervisor" });
      assert.equal((await server.status())?.lastUpgrade?.cause, "check");
    }
  });
