import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../harness.js";
import { inPath, programs } from "./programs.js";
import { accepted, ask, hasBound, holding, inodeAt, pidOf, serve, ticksOf, treeOf, waiting } from "./served.js";

function signal(pid: number, number: NodeJS.Signals | number): void {
  try {
    process.kill(pid, number);
  } catch {
    // it has ended
  }
}

/** Whether a process has a handler for a signal. */
function catches(pid: number, number: number): boolean {
  const mask = /^SigCgt:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> BigInt(number - 1)) & 1n) === 1n;
}

const clockTicks = 100; // sysconf(_SC_CLK_TCK) of every Linux we run on

for (const program of programs) {
  const drainedBy = program.drainedBy ?? "SIGURG";
  const more = program.drainedBy ? `, env: { PINGORA_ENTRY_ADOPT_DRAIN: "${program.drainedBy}" }` : "";
  /** The tree as it is now, until none of it has the socket: a process may be forked, or end, between the look and the signal. */
  const drain = (pid: number, inode: string) =>
    eventually(
      () => {
        for (const each of treeOf(pid)) signal(each, drainedBy);
        return holding(treeOf(pid), inode) === 0;
      },
      { what: "no process has the socket" },
    );
  const settled = (pid: number) =>
    program.settledWith === undefined ||
    (readFileSync(`/proc/${pid}/environ`, "utf8").includes(`\0${program.settledWith}=`) &&
      catches(pid, program.drainedBy ?? 0));
  const skip = inPath(program.needs) ? false : `${program.needs} is not installed`;

  test(`${program.name} serves on the listener unchanged, and two of it at once share it`, { skip }, async () => {
    const stage = await serve([program.command, program.command]);
    await using server = stage.server;
    const [a, b] = [await pidOf(stage, "a"), await pidOf(stage, "b")];
    const inode = inodeAt(stage.port);
    await eventually(() => [a, b].every((pid) => hasBound(treeOf(pid), inode)), {
      timeoutMs: 20_000,
      what: "both have bound",
    }).catch((error: Error) => assert.fail(`${error.message}\n${server.stderr}`));
    const answered = new Set<string>();
    await eventually(
      async () => {
        // at once: one alone would be served by whoever waits in accept
        const all = await Promise.all(Array.from({ length: 8 }, () => ask(stage).answer));
        for (const answer of all) answered.add(treeOf(a).includes(Number(answer)) ? "a" : "b");
        return answered.size === 2;
      },
      { what: "both answer" },
    );
    assert.equal(inodeAt(stage.port), inode);
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0);
  });

  test(`${program.name} finishes what it has and takes nothing more when it is drained`, { skip }, async () => {
    const stage = await serve([program.command], { more });
    await using server = stage.server;
    const pid = await pidOf(stage);
    const inode = inodeAt(stage.port);
    await eventually(() => hasBound(treeOf(pid), inode), { timeoutMs: 20_000, what: "it has bound" });
    // the answer first: it may be of a worker that is forked meanwhile
    const first = Number(await ask(stage).answer);
    assert.ok(treeOf(pid).includes(first));
    await eventually(() => settled(pid), { what: "it has settled" });
    // its server binds in `pid` or below; requests in flight are in some process of the tree
    const slow = program.slow ? ask(stage, "/slow") : undefined;
    if (slow !== undefined) await eventually(() => accepted(stage.port) > 0, { what: "the slow request is accepted" });
    await drain(pid, inode);
    // in the queue of the socket that we hold, and nobody of this service takes them out
    const queued = [ask(stage), ask(stage)];
    await eventually(() => waiting(stage.port) === 2, { what: "two connections wait" });
    // processor time needs time to be used: the one thing here that a condition cannot tell
    const before = ticksOf(treeOf(pid));
    const began = performance.now();
    rmSync(join(server.dir, "hold"));
    if (slow !== undefined) assert.ok(treeOf(pid).includes(Number(await slow.answer)));
    await eventually(() => performance.now() - began > 500);
    const used = ((ticksOf(treeOf(pid)) - before) / clockTicks) * 1000;
    assert.ok(used < 150, `used ${used} ms of ${Math.round(performance.now() - began)} after the drain`);
    assert.equal(waiting(stage.port), 2);
    for (const { socket } of queued) socket.destroy();
    // drained twice is drained
    await drain(pid, inode);
    assert.ok(treeOf(pid).length > 0);
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0, server.stderr);
  });

  test(`${program.name} hands over to a second one under load, and every request is answered`, { skip }, async () => {
    const stage = await serve([program.command, program.command], { more });
    await using server = stage.server;
    const [old, young] = [await pidOf(stage, "a"), await pidOf(stage, "b")];
    const inode = inodeAt(stage.port);
    await eventually(() => [old, young].every((pid) => hasBound(treeOf(pid), inode)), {
      timeoutMs: 20_000,
      what: "both have bound",
    });
    await eventually(() => settled(old), { what: "the old one has settled" });
    let answered = 0;
    let late = 0;
    let drained = false;
    const inFlight = new Set<Promise<string>>();
    const one = async (): Promise<void> => {
      while (answered < 400) {
        const asked = drained;
        const { answer: pending } = ask(stage);
        inFlight.add(pending);
        const answer = Number(await pending);
        inFlight.delete(pending);
        answered++;
        if (asked && treeOf(old).includes(answer)) late++;
      }
    };
    const load = Promise.all(Array.from({ length: 8 }, one));
    await eventually(() => answered > 100, { what: "a hundred answers" });
    await drain(old, inode);
    drained = true;
    await Promise.all(inFlight);
    assert.equal((await server.ask("/v1/services/a/stop", "POST")).status, 200);
    await load;
    assert.equal(late, 0);
    assert.equal(inodeAt(stage.port), inode);
  });
}
