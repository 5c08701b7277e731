import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  compile,
  eventually,
  folder,
  missingBinary,
  noPid1,
  type Running,
  run,
  Stage,
  type Supervisor,
  stateOf,
  sweep,
} from "./stage.js";

const skip = missingBinary || noPid1;

/** Sends two real-time signals in turn to PID 1, as many as the kernel queues, once its argument exists. The worst order to take them out again. */
const source = `
#define _GNU_SOURCE
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct rlimit limit;
  while (argc > 1 && access(argv[1], F_OK) != 0) usleep(1000);
  getrlimit(RLIMIT_SIGPENDING, &limit);
  for (rlim_t i = 0; i < limit.rlim_cur / 2 && i < 50000; i++) { kill(1, 41); kill(1, 40); }
  write(1, "sent\\n", 5);
  pause();
}`;

let flooder = "";
before(() => {
  if (!skip) flooder = compile("flooder", source);
});
after(sweep);

/** All of it waits when PID 1 goes on. */
async function flood(running: Running, go: string): Promise<void> {
  await running.kill("SIGSTOP");
  await eventually(async () => stateOf(await running.pid()) === "T", "it is stopped");
  writeFileSync(go, "");
  await eventually(() => running.out().includes("sent"), "the flood is queued");
  await running.kill("SIGCONT");
}

/** Acknowledges every signal as it comes, and notes its number. */
function acknowledge(supervisor: Supervisor): number[] {
  const told: number[] = [];
  const take = supervisor.take.bind(supervisor);
  supervisor.take = (line) => {
    if (line[0] !== "frame" || line[2] !== "SIGNAL") return take(line);
    told.push(Number(line[4]));
    supervisor.send("ACK", [line[3] ?? ""]);
  };
  return told;
}

test("a flood of real-time signals keeps PID 1 from nothing", { skip, timeout: 60_000 }, async () => {
  const stage = await Stage.open(["run"], { pid1: true });
  const supervisor = await stage.supervisor();
  await supervisor.greet();
  supervisor.send("READY");
  const told = acknowledge(supervisor);
  const go = join(folder(), "go");
  await supervisor.spawn("flood", [flooder, go]);
  await flood(stage.running, go);
  for (let i = 0; i < 5; i++) {
    await supervisor.spawn(`short${i}`, ["true"]);
    await supervisor.next("EXITED", `short${i}`, 2_000);
  }
  assert.ok(told.includes(40) && !told.includes(41), "the flood lasts");
  await stage.running.kill("SIGTERM");
  await eventually(() => told.includes(15), "TERM is told", 2_000);
  supervisor.send("EXIT", [5]);
  supervisor.leave(0);
  assert.deepEqual(await stage.running.ended, { code: 5, signal: null });
  assert.equal(stage.waiting, 0, "the supervisor was never replaced");
});

test("a flood of real-time signals keeps a wrapping PID 1 from nothing", { skip, timeout: 60_000 }, async () => {
  const go = join(folder(), "go");
  const script = `trap "exit 6" TERM; trap "" RTMIN+6 RTMIN+7; '${flooder}' ${go} & echo up; while :; do sleep 0.02; done`;
  const running = run(["--reap-grace", "0.3", "--", "bash", "-c", script], { pid1: true });
  await eventually(() => running.out().includes("up"), "it runs");
  await flood(running, go);
  const began = performance.now();
  await running.kill("SIGTERM");
  assert.equal((await running.ended).code, 6);
  assert.ok(performance.now() - began < 3_000);
});
