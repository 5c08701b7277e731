import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
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
    assert.equal(again.supervisorRestarts, 0);
    await eventually(async () => (await ask(port)) === 1);
    assert.equal((await first.ask("/readyz")).status, 200);
    first.signal("SIGTERM");
    assert.equal((await first.exited).code, 0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("an order is used up by a container that found no owner, so that it does not take over when it is started again", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pe-slots-"));
  const port = await freePort();
  const one = { env: { PINGORA_ENTRY_UPGRADE: "one" } };
  try {
    await using first = startServer(config(1, port, directory), one);
    await first.phase("Running");
    await using second = startServer(config(2, port, directory), { env: { PINGORA_ENTRY_UPGRADE: "two" } });
    await second.phase("Running");
    await standsBy(first);
    process.kill(first.initPid(), "SIGKILL");
    await using again = startServer(config(1, port, directory), one);
    await standsBy(again);
    assert.equal(await ask(port), 2);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a candidate whose supervisor is killed gives up, and leaves the path of a lent socket alone", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pe-slots-"));
  const path = join(directory, "web.sock");
  const withSocket = (more = ""): string => `
listeners: { local: { unix: ${path} } }
services:
  web: { command: [${process.execPath}, ${web}, "1"], listeners: [local]${more} }
upgrade: { directory: ${directory}, probationSeconds: 0.3, bootSeconds: 10 }
`;
  try {
    await using first = startServer(withSocket());
    await first.phase("Running");
    await using second = startServer(withSocket(", readinessProbe: { log: never }"), {
      env: { PINGORA_ENTRY_UPGRADE: "one" },
    });
    await eventually(() => second.stderr.includes("web/0 Waiting -> Starting"), { what: "services that start" });
    process.kill(second.supervisor() ?? 0, "SIGKILL");
    assert.equal((await second.exited).code, 1);
    assert.ok(existsSync(path), "the path is the owner's");
    assert.equal((await first.ask("/readyz")).status, 200);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a candidate owns when the container of the owner dies while it prepares", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pe-slots-"));
  const port = await freePort();
  try {
    await using first = startServer(config(1, port, directory));
    await first.phase("Running");
    const slow = config(2, port, directory).replace('"2"', '"2", "1000"');
    await using second = startServer(slow, { env: { PINGORA_ENTRY_UPGRADE: "one" } });
    await eventually(() => second.stderr.includes("web/0 Waiting -> Starting"), { what: "services that start" });
    // here its supervisor lives on for a moment, as it may in a container whose processes are being killed
    process.kill(first.initPid(), "SIGKILL");
    const { generation } = await second.phase("Running");
    assert.equal(generation, 2);
    await eventually(async () => (await ask(port)) === 2);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
