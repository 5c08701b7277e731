import assert from "node:assert/strict";
import { cpSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { eventually, program, type Running, startServer } from "../harness.js";
import { Upgradable, web, webService } from "./stage.js";

const generation = (
  number: number,
  more = "",
): string => `${webService(number)}upgrade: { probationSeconds: 0.3, bootSeconds: 20${more} }
`;

/** A release that begins to do anything only when there is a file "go". */
function slowRelease(dir: string): string {
  const path = join(dir, "release");
  cpSync(dirname(program), path, { recursive: true });
  const script = join(path, "pingora-entry.cjs");
  renameSync(script, join(path, "begin.cjs"));
  writeFileSync(
    script,
    `while (!require("node:fs").existsSync(${JSON.stringify(join(dir, "go"))}))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    require("./begin.cjs");\n`,
  );
  return path;
}

/** Another container on the same upgrade directory, whose service gets ready, or never. */
function container({ port, server }: Upgradable, isReady: boolean): Running {
  const probe = isReady ? "" : ", readinessProbe: { log: never }";
  return startServer(
    `
listeners: { http: { tcp: "127.0.0.1:${port}" } }
services:
  web: { command: [${process.execPath}, ${web}, "9"], listeners: [http]${probe} }
upgrade: { directory: ${server.dir}/upgrade, release: other, bootSeconds: 20 }
`,
    { env: { PINGORA_ENTRY_UPGRADE: "other" } },
  );
}

for (const wait of [false, true])
  test(`an order that another container overtakes ${wait ? "is tried again with --wait" : "is busy, and the next one is possible"}`, async () => {
    await using stage = await Upgradable.start(generation(1));
    await stage.server.phase("Running");
    const order = stage.upgrade(generation(2), "--path", slowRelease(stage.server.dir), ...(wait ? ["--wait"] : []));
    await eventually(() => stage.server.stderr.includes("start: the new generation"), { what: "the candidate" });
    await using other = container(stage, false);
    await stage.step("old", "PREPARING");
    writeFileSync(join(stage.server.dir, "go"), "");
    if (wait) await eventually(() => stage.server.stderr.includes("cannot take over now"), { what: "the refusal" });
    else {
      const { code, out, err } = await order;
      assert.equal(code, 75, err);
      assert.match(err, /cannot upgrade now: another upgrade is under way: generation 2 \(other\) was faster/);
      assert.equal(out.trim().split(/\s+/)[0], "start");
      assert.doesNotMatch(out, /LEASE|PREPARING/);
    }
    await other.end();
    const { code, out, err } = await (wait ? order : stage.upgrade(generation(2), "--wait"));
    assert.equal(code, 0, err);
    if (wait) assert.match(out, /^start .*\nwait .*(was faster|is under way)/);
    assert.equal(stage.journal().owner.release, "");
  });

test("an order whose generation another container replaces ends by telling that, and its candidate goes", async () => {
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const order = stage.upgrade(generation(2), "--path", slowRelease(stage.server.dir));
  await eventually(() => stage.server.stderr.includes("start: the new generation"), { what: "the candidate" });
  await using other = container(stage, true);
  const { code, out, err } = await order;
  assert.equal(code, 75, out);
  assert.match(err, /cannot upgrade now: generation 2 has replaced this one meanwhile/);
  assert.equal((await other.phase("Running")).generation, 2);
  assert.equal((await stage.server.exited).code, 0);
});
