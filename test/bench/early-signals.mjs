// How many of the SIGTERMs that come 0 to 100 ms after the exec of a PID 1 are lost, for this init and for others that are installed.
//   node test/bench/early-signals.mjs [--tries 100] [--delays 0,1,2,5,10,20,50,100] [--bin dist/bin/pingora-entry]
// Exit code 1 when ours loses one from 5 ms on, or before that more than the best of the others.
// Needs root (a PID namespace per try). The inits take turns, so that all see the same machine.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const tries = Number(option("--tries", "100"));
const delays = option("--delays", "0,1,2,5,10,20,50,100").split(",").map(Number);
const own = resolve(option("--bin", process.env.PINGORA_ENTRY_BIN ?? "dist/bin/pingora-entry"));

/** try MS COMMAND...: exit code 0 when the signal ended it, 1 when it was lost. */
const helper = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int ends[2], status, pidfd = -1;
  if (argc < 3 || pipe2(ends, O_CLOEXEC) < 0) return 2;
  struct { unsigned long long flags, pidfd, a, b, exit_signal, c, d, e; } clone = {
    .flags = CLONE_NEWPID | CLONE_PIDFD, .pidfd = (unsigned long long)&pidfd, .exit_signal = SIGCHLD };
  long pid = syscall(SYS_clone3, &clone, sizeof clone);
  if (pid < 0) return 2;
  if (pid == 0) { execvp(argv[2], argv + 2); _exit(2); }
  close(ends[1]);
  char byte;
  (void)!read(ends[0], &byte, 1); /* ends when the exec closes the other end */
  long us = (long)(atof(argv[1]) * 1000);
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  if (us >= 200) { struct timespec most = { (us - 100) / 1000000, (us - 100) % 1000000 * 1000 }; nanosleep(&most, 0); }
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < us);
  kill((pid_t)pid, SIGTERM);
  struct pollfd look = { .fd = pidfd, .events = POLLIN };
  int ended = poll(&look, 1, 400) > 0;
  if (!ended) kill((pid_t)pid, SIGKILL);
  waitpid((pid_t)pid, &status, 0);
  return ended ? 0 : 1;
}`;

const folder = mkdtempSync(join(tmpdir(), "early-signals-"));
try {
  const program = join(folder, "try");
  execFileSync("cc", ["-O2", "-x", "c", "-o", program, "-"], { input: helper });
  const installed = (name) => spawnSync("which", [name]).status === 0;
  const inits = [
    ["pingora-entry", own, "--"],
    ...["tini", "dumb-init", "catatonit"].filter(installed).map((name) => [name, name, "--"]),
  ];
  const lost = new Map(inits.map(([name]) => [name, new Map(delays.map((delay) => [delay, 0]))]));
  for (let i = 0; i < tries; i++) {
    for (const delay of delays) {
      for (const [name, ...argv] of inits) {
        const { status } = spawnSync(program, [String(delay), ...argv, "sleep", "30"], { stdio: "ignore" });
        if (status === 2) throw new Error(`cannot run ${name} as PID 1: root is needed`);
        if (status !== 0) lost.get(name).set(delay, lost.get(name).get(delay) + 1);
      }
    }
  }
  console.log(`SIGTERM lost, of ${tries}, by milliseconds after exec`);
  console.log(["".padEnd(16), ...delays.map((delay) => String(delay).padStart(6))].join(""));
  for (const [name, counts] of lost) {
    console.log([name.padEnd(16), ...delays.map((delay) => String(counts.get(delay)).padStart(6))].join(""));
  }
  const lostBy = (name, among) =>
    delays.filter(among).reduce((sum, delay) => sum + (lost.get(name)?.get(delay) ?? 0), 0);
  const [early, late] = [(delay) => delay < 5, (delay) => delay >= 5];
  const best = Math.min(...inits.slice(1).map(([name]) => lostBy(name, early)));
  const limits = [
    [`lost from 5 ms on: ${lostBy("pingora-entry", late)}, at most 0`, lostBy("pingora-entry", late) === 0],
    Number.isFinite(best)
      ? [
          `lost before: ${lostBy("pingora-entry", early)}, at most the ${best} of the best other`,
          lostBy("pingora-entry", early) <= best,
        ]
      : ["lost before: no other init is installed to compare with", true],
  ];
  for (const [words, kept] of limits) console.log(`${kept ? "ok    " : "FAILED"} ${words}`);
  process.exitCode = limits.every(([, kept]) => kept) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
