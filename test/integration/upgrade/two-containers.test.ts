import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { childrenOf, eventually, freePort, type Running, startServer } from "../harness.js";
import { ask, web } from "./stage.js";

const config = (slot: number, port: number, directory: string): string => `
listeners: { http: { tcp: "127.0.0.1:${port}" } }
services:
  web:
    command: [${process.execPath}, ${web}, "${slot}"]
    listeners: [http]
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.1 }
upgrade: { directory: ${directory}, probationSeconds: 0.3, bootSeconds: 10, standby: true }
`;

/** The init and who waits for it: no Node. */
const standsBy = (server: Running): Promise<unknown> =>
  eventually(() => server.stderr.includes("standing by") || server.stderr.includes("replaced by"), {
    what: "the word of standby",
  }).then(() => eventually(() => server.supervisor() === undefined && childrenOf(server.initPid()).length <= 1));

test("a generation that was replaced by another container stands by, and serves again when that one is gone", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pe-slots-"));
  const port = await freePort();
  try {
    await using first = startServer(config(1, port, directory));
    await first.phase("Running");
    const env = { PINGORA_ENTRY_UPGRADE: "one" };
    await using second = startServer(config(2, port, directory), { env });
    const { generation } = await second.phase("Running");
    assert.equal(generation, 2);
    await standsBy(first);
    await eventually(async () => (await ask(port)) === 2);

    process.kill(second.initPid(), "SIGKILL");
    const again = await first.phase("Running");
    assert.equal(again.generation, 3);
    await eventually(async () => (await ask(port)) === 1);
    assert.equal((await first.ask("/readyz")).status, 200);
    first.signal("SIGTERM");
    assert.equal((await first.exited).code, 0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
