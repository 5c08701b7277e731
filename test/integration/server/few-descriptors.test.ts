import assert from "node:assert/strict";
import { readSync } from "node:fs";
import { test } from "node:test";
import { native } from "../../../src/adapters/native/addon.js";
import { eventually, startServer } from "../harness.js";

const configuration = `
services:
  first: { command: [sh, -c, "echo up; exec sleep 1000"] }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

/** To a pipe: the writer of one needs a descriptor of its own. */
async function startAndStop(descriptors: number): Promise<{ tookMs: number; said: string }> {
  const [read, write] = native().pipe();
  native().setNonblock(read, true);
  const buffer = Buffer.alloc(64 * 1024);
  let said = "";
  const readMore = () => {
    try {
      said += buffer.toString("utf8", 0, readSync(read, buffer));
    } catch {}
  };
  try {
    const under = ["prlimit", `--nofile=${descriptors}:${descriptors}`];
    await using server = startServer(configuration, { outputs: write, under });
    let ended = false;
    void server.exited.then(() => {
      ended = true;
    });
    await eventually(() => {
      readMore();
      // with the fewest Node itself cannot start
      return ended || said.includes("up\n") || said.includes("supervisor died");
    });
    const from = performance.now();
    server.signal("SIGTERM");
    await eventually(
      () => {
        readMore();
        return ended;
      },
      { timeoutMs: 8_000, what: `the end with ${descriptors} descriptors` },
    );
    return { tookMs: performance.now() - from, said };
  } finally {
    for (const fd of [read, write]) native().close(fd);
  }
}

for (const descriptors of [16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 32, 40]) {
  test(`pingora-entry ends before its deadline when it may open ${descriptors} descriptors`, async () => {
    const { tookMs, said } = await startAndStop(descriptors);
    // without any supervisor the init waits two seconds for one before it stops everything itself
    const mostMs = said.includes("supervisor died") ? 7_000 : 4_000;
    assert.ok(tookMs < mostMs, `took ${tookMs} ms\n${said}`);
  });
}
