import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { freePort, startServer } from "../harness.js";
import { builtBy, compilers } from "./edge-programs.js";

const receiving = ["recv", "recvfrom", "read", "readv", "recvmsg", "recvmmsg"];
const sending = ["send", "sendto", "write", "writev", "sendmsg", "sendmmsg"];
const calls = [...receiving, ...sending, "accept", "connect"];

for (const compiler of compilers) {
  const { skip, file } = builtBy(compiler, "timed");
  const run = async (way: string) => {
    const port = await freePort();
    await using server = startServer(`listeners: { t: { tcp: "127.0.0.1:${port}", passAs: adopt } }
services: { main: { command: [${file}, "${port}", ${way}], listeners: [t] } }
`);
    const { code } = await server.exited;
    assert.equal(server.stdout, "ok\n", server.stderr);
    assert.equal(code, 0);
  };
  for (const call of calls)
    test(`${call} with a time limit (${compiler}) goes on after the drain's signal`, { skip }, () => run(call));

  test(
    `recv with a time limit (${compiler}) ends with EINTR at the program's own signal, also after the drain's`,
    {
      skip,
    },
    () => run("own-signal"),
  );

  test(`calls with a time limit (${compiler}) are as these tests say`, { skip }, async () => {
    for (const way of [...calls, "own-signal"])
      assert.equal(execFileSync(file, [String(await freePort()), way], { encoding: "utf8" }), "ok\n", way);
  });
}
