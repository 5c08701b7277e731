import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { freePort, startServer } from "../harness.js";
import { builtBy, compilers } from "./edge-programs.js";

interface Way {
  /** the host of the listener */
  readonly listener: string;
  readonly words: string;
  /** false: of a shared socket only */
  readonly ordinary?: false;
}

const ways: Readonly<Record<string, Way>> = {
  read: { listener: "127.0.0.1", words: "lets read wait" },
  readv: { listener: "127.0.0.1", words: "lets readv wait" },
  recvmmsg: { listener: "127.0.0.1", words: "lets recvmmsg wait" },
  mapped: { listener: "127.0.0.1", words: "has IPv6 addresses for an IPv6 program that bound a mapped one" },
  every6: { listener: "0.0.0.0", words: "has IPv6 addresses for an IPv6 program that bound every address" },
  every4: { listener: "[::]", words: "has IPv4 addresses for an IPv4 program on a listener of IPv6" },
  connected: { listener: "127.0.0.1", words: "stays everybody's when the program connects it", ordinary: false },
  drained: { listener: "127.0.0.1", words: "sends answers by sendmmsg after the drain", ordinary: false },
};

for (const compiler of compilers) {
  const { skip, file } = builtBy(compiler, "datagrams");
  for (const [way, { listener, words }] of Object.entries(ways)) {
    test(`an adopted UDP socket (${compiler}) ${words}`, { skip }, async () => {
      const port = await freePort();
      await using server = startServer(`listeners: { u: { udp: "${listener}:${port}", passAs: adopt } }
services: { main: { command: [${file}, "${port}", ${way}], listeners: [u] } }
`);
      const { code } = await server.exited;
      assert.equal(server.stdout, "ok\n", server.stderr);
      assert.equal(code, 0);
    });
  }

  test(`an ordinary UDP socket (${compiler}) is as these tests say`, { skip }, async () => {
    for (const [way, { ordinary }] of Object.entries(ways)) {
      if (ordinary === false) continue;
      assert.equal(execFileSync(file, [String(await freePort()), way], { encoding: "utf8" }), "ok\n", way);
    }
  });
}
