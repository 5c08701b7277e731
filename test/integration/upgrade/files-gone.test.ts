// Somebody removes files of the upgrade directory, or damages them: the owner serves on, and makes them anew.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { JournalOwner } from "../../../src/core/handover-journal.js";
import { childrenOf, commandOf, eventually, kill } from "../harness.js";
import { ask, load, Upgradable, webService } from "./stage.js";

const generation = (
  number: number,
  more = "",
): string => `${webService(number)}upgrade: { probationSeconds: 0.3, bootSeconds: 10, release: r${number}${more} }
`;

const damage: Readonly<Record<string, (directory: string) => void>> = {
  "the journal is removed": (directory) => rmSync(join(directory, "journal.json")),
  "the journal is damaged": (directory) => writeFileSync(join(directory, "journal.json"), "{"),
  "the owner's socket is removed": (directory) => rmSync(join(directory, "owner.sock")),
  "the owner's lock is removed": (directory) => rmSync(join(directory, "owner.lock")),
  "the directory is removed": (directory) => rmSync(directory, { recursive: true }),
};

const restarts = async (stage: Upgradable, count: number): Promise<void> => {
  await eventually(async () => (await stage.server.status())?.supervisorRestarts === count, {
    what: `${count} restarts of the supervisor`,
  }).catch((error: Error) => {
    throw new Error(`${error.message}\n${stage.server.stderr}`);
  });
};

for (const [what, harm] of Object.entries(damage)) {
  test(`${what}, and the supervisor dies: the generation serves on, and can be upgraded`, async () => {
    await using stage = await Upgradable.start(generation(1));
    const { server, port } = stage;
    const directory = join(server.dir, "upgrade");
    await server.phase("Running");
    const stop = load(port, 2);
    for (const number of [1, 2]) {
      harm(directory);
      kill(server.supervisor() ?? 0);
      await restarts(stage, 1);
      await server.phase("Running");
      assert.equal(stage.journal().owner.release, `r${number}`, server.stderr);
      const { code, err } = await stage.upgrade(generation(number + 1), "--wait");
      assert.equal(code, 0, `${err}\n${server.stderr}`);
      await eventually(() => childrenOf(server.initPid()).length === 2, { what: "one supervisor, one service" });
      assert.equal(await ask(port), number + 1);
    }
    assert.deepEqual([...(await stop()).failed], [], server.stderr);
  });

  test(`${what}: the owner makes it anew before it starts a successor`, async () => {
    await using stage = await Upgradable.start(generation(1));
    const { server, port } = stage;
    const directory = join(server.dir, "upgrade");
    await server.phase("Running");
    const stop = load(port, 2);
    for (const number of [1, 2]) {
      harm(directory);
      const { code, err } = await stage.upgrade(generation(number + 1), "--wait");
      assert.equal(code, 0, `${err}\n${server.stderr}`);
      await eventually(() => childrenOf(server.initPid()).length === 2, { what: "one supervisor, one service" });
      assert.equal(await ask(port), number + 1);
      assert.equal(stage.journal().owner.release, `r${number + 1}`);
    }
    assert.ok(existsSync(join(directory, "owner.lock")));
    assert.deepEqual([...(await stop()).failed], [], server.stderr);
  });
}

test("a supervisor that comes back to a directory that it may not use serves on, without upgrades until it may", async () => {
  await using stage = await Upgradable.start(generation(1, ", directory: '{{dir}}/shared'"), {
    before: (dir) => mkdirSync(join(dir, "shared")),
  });
  const { server, port } = stage;
  const directory = join(server.dir, "shared");
  await server.phase("Running");
  chmodSync(directory, 0o777);
  kill(server.supervisor() ?? 0);
  await restarts(stage, 1);
  assert.match(server.stderr, /"level":"warn".*upgrades are off: cannot use the upgrade directory .*everybody may/);
  assert.match((await stage.upgrade(undefined)).err, /cannot upgrade: cannot use the upgrade directory/);
  assert.equal(await ask(port), 1);
  chmodSync(directory, 0o700);
  kill(server.supervisor() ?? 0);
  await restarts(stage, 2);
  assert.equal((await stage.upgrade(undefined)).code, 0, server.stderr);
});

test("a journal of a later version: nothing is taken over by it, and whoever finds the lock free goes on from it", async () => {
  const later = (owner: JournalOwner): string =>
    JSON.stringify({ version: 9, owner: { ...owner, since: "now" }, epochs: [], done: ["used-up"] });
  await using stage = await Upgradable.start(generation(1), {
    before: (dir) => {
      mkdirSync(join(dir, "upgrade"), { mode: 0o700 });
      const owner = { nonce: "x", generation: 6, release: "r", build: "b", slot: "s", since: 1 };
      writeFileSync(join(dir, "upgrade/journal.json"), later(owner));
    },
  });
  const { server, port } = stage;
  assert.equal((await server.phase("Running")).generation, 7);
  assert.match(
    server.stderr,
    /"level":"warn".*the upgrade journal is of a later release: its version is 9, 1 is known/,
  );
  assert.deepEqual([stage.journal().version, stage.journal().done], [1, ["used-up"]]);

  // of this very owner: a supervisor that was restarted finds itself in it, and lets it be
  writeFileSync(join(server.dir, "upgrade/journal.json"), later(stage.journal().owner));
  kill(server.supervisor() ?? 0);
  await restarts(stage, 1);
  assert.equal(stage.journal().version, 9);
  assert.equal(await ask(port), 1);
});

for (const dies of ["old", "new", "both", "neither"] as const)
  test(`the directory is removed on probation, and of the supervisors ${dies} dies: one generation serves`, async () => {
    await using stage = await Upgradable.start(generation(1).replace("probationSeconds: 0.3", "probationSeconds: 2"));
    const { server, port } = stage;
    await server.phase("Running");
    const stop = load(port, 2);
    const supervisors = () =>
      childrenOf(server.initPid()).filter((pid) => commandOf(pid).includes("pingora-entry.cjs"));
    const [old] = supervisors();
    const upgrade = stage.upgrade(generation(2));
    await stage.step("old", "PROBATION");
    await stage.step("new", "PROBATION");
    const next = supervisors().find((pid) => pid !== old);
    assert.ok(old !== undefined && next !== undefined);
    rmSync(join(server.dir, "upgrade"), { recursive: true });
    if (dies === "old" || dies === "both") kill(old);
    if (dies === "new" || dies === "both") kill(next);
    const { code, err } = await upgrade;
    const about = () => `${err}${server.stderr}`;
    await eventually(() => childrenOf(server.initPid()).length === 2, {
      what: "one supervisor, one service",
      timeoutMs: 20_000,
    }).catch((error: Error) => assert.fail(`${error.message}\n${about()}`));
    const { generation: serves } = await server.phase("Running");
    // where the old one's dies, the first to write has decided
    if (dies === "new") assert.equal(serves, 1, about());
    if (dies === "neither") assert.equal(serves, 2, about());
    assert.equal(code, serves === 2 ? 0 : 1, about());
    assert.equal(await ask(port), serves);
    // what the one that is killed has accepted is broken off; nobody is refused
    assert.deepEqual([...(await stop()).failed.keys()].includes("ECONNREFUSED"), false, about());
    const again = await stage.upgrade(generation(3), "--wait");
    assert.equal(again.code, 0, `${again.err}${about()}`);
    assert.equal(stage.journal().owner.release, "r3");
  });
