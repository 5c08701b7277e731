import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { commandOf, descendantsOf, eventually, freePort, kill } from "../harness.js";

test("npm start ends with everything it started when npm gets SIGTERM", async () => {
  const port = await freePort();
  const env = { ...process.env, ADMIN_PORT: `${port}`, PORT: `${await freePort()}` };
  const npm = spawn("npm", ["start"], { env, stdio: "ignore" });
  const pid = npm.pid ?? 0;
  try {
    await eventually(
      async () => {
        assert.equal(npm.exitCode, null);
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
        return answer?.status === 200;
      },
      { timeoutMs: 60_000, what: "/readyz" },
    );
    const started = descendantsOf(pid).map((each) => [each, commandOf(each)] as const);
    const [code] = await Promise.all([once(npm, "exit").then(([code]) => code), npm.kill("SIGTERM")]);
    assert.equal(code, 0);
    // what has the number of one of them now is another process
    const left = started.filter(([each, command]) => command !== "" && commandOf(each) === command);
    assert.deepEqual(left, []);
  } finally {
    for (const each of [...descendantsOf(pid), pid]) kill(each);
  }
});
