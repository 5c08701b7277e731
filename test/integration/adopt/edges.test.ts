import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { freePort, startServer } from "../harness.js";
import { builtBy, compilers } from "./edge-programs.js";

/** Hold of every socket; the others, of an adopted one only, which can be bound several times. */
const ordinary = ["interrupted", "restarted", "timed", "cancelled", "large-number"];
const ways: Readonly<Record<string, string>> = {
  flags: "has the flags that the program gave its socket, whatever others do to theirs",
  backlog: "keeps the listener's queue when the program asks for a shorter one",
  interrupted: "ends accept with EINTR after a handler without SA_RESTART",
  restarted: "goes on in accept after a handler with SA_RESTART",
  timed: "ends accept after SO_RCVTIMEO",
  cancelled: "lets a thread in accept be cancelled",
  "large-number": "is adopted at the highest number there is",
  overwritten: "is not there for a program that put something else at the kept number",
  drained: "is private after the drain, at each of its numbers, with its flags, and for a later bind",
  "drained-early": "is private for a program that was drained before it binds",
  "drained-before-exec": "is refused to what a drained program executes",
  "reset-handler": "can be drained although the program resets all signals",
  blocked: "is drained although the program blocks all signals and waits for them in a thread",
  "own-wait": "is not drained when the program waits for this very signal",
  "drained-in-accept": "is drained in accept without a word, after which other signals end that as ever",
  "both-signals": "ends accept with EINTR when a handler without SA_RESTART runs before the drain's",
  "both-signals-after": "ends accept with EINTR when a handler without SA_RESTART runs after the drain's",
  connected: "goes on listening when the program connects it, to somebody or to nobody",
  forked: "can be shut down by children that were forked while another thread did so",
  "own-handler": "is not drained when the program has a handler of its own for the signal",
  "shut-down": "is shut down for the program alone, whose threads leave accept",
  "of-threads": "is not drained by a signal of one thread to another",
  "in-epoll": "leaves every epoll set when it is drained, and its stand-in is in each",
  "in-threads": "is left by all threads after the drain, and they do not spin",
  "without-numbers": "can be drained when no descriptor is free",
  "low-limit": "is held no more after the drain by a program that may have fewer descriptors than where it is kept",
  "passed-on": "waits as the program says that was passed it without binding it, whatever it is to others",
  "closed-from": "survives closefrom",
  lists: "survives execle with an environment of its own, and execl with its number marked as to be closed",
};

for (const compiler of compilers) {
  const { skip, file } = builtBy(compiler, "edges");
  for (const [way, words] of Object.entries(ways)) {
    test(`an adopted socket (${compiler}) ${words}`, { skip }, async () => {
      const port = await freePort();
      await using server = startServer(`listeners: { t: { tcp: "127.0.0.1:${port}", passAs: adopt } }
services: { main: { command: [${file}, "${port}", ${way}], listeners: [t] } }
`);
      const { code } = await server.exited;
      assert.equal(server.stdout, way === "lists" ? "ok\nok\n" : "ok\n", server.stderr);
      assert.equal(code, 0);
    });
  }

  test(`an ordinary socket (${compiler}) is as these tests say`, { skip }, async () => {
    for (const way of ordinary)
      assert.equal(execFileSync(file, [String(await freePort()), way], { encoding: "utf8" }), "ok\n", way);
  });
}
