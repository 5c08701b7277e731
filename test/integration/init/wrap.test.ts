import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { native } from "../../../src/adapters/native/addon.js";
import {
  asPid1,
  binary,
  childrenOf,
  cleanEnv,
  compile,
  eventually,
  folder,
  isAlive,
  missingBinary,
  noPid1,
  processes,
  run,
  sanitized,
  stateOf,
  sweep,
} from "./stage.js";

const skip = missingBinary;

/** Prints the number of each signal that it gets, after "ready". */
const printer = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  sigset_t all; siginfo_t info;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  dprintf(1, "ready\\n");
  for (;;) if (sigwaitinfo(&all, &info) > 0 && info.si_signo != SIGCHLD) dprintf(1, "%d\\n", info.si_signo);
}`;

let signals = "";
before(() => {
  if (!skip) signals = compile("signals", printer);
});
after(sweep);

async function wrapPrinter(args: readonly string[] = [], pid1 = false) {
  const running = run([...args, "--", signals], { pid1 });
  await eventually(
    () => running.out().startsWith("ready\n"),
    () => `the child is ready: ${running.err()}`,
  );
  const told = () => running.out().split("\n").slice(1, -1);
  return { running, told };
}

const forwarded = Array.from({ length: 64 }, (_, index) => index + 1).filter(
  (number) => ![9, 17, 19, 32, 33].includes(number),
);
const jobStops = [20, 21, 22];

for (const pid1 of [false, true]) {
  const title = pid1 ? " as PID 1" : "";
  const options = { skip: skip || (pid1 && noPid1) };

  test(`every catchable signal is forwarded in order${title}`, options, async () => {
    const { running, told } = await wrapPrinter([], pid1);
    const expected: string[] = [];
    for (const number of forwarded.filter((number) => !jobStops.includes(number))) {
      process.kill(await running.pid(), number);
      expected.push(String(number));
      await eventually(
        () => told().length === expected.length,
        () => `${number} is told: ${told()}`,
      );
    }
    assert.deepEqual(told(), expected);
  });

  test(`exit codes and signals of the child become the exit code${title}`, options, async () => {
    for (const code of [0, 1, 2, 32, 64, 126, 127, 255]) {
      assert.deepEqual(await run(["sh", "-c", `exit ${code}`], { pid1 }).ended, { code, signal: null });
    }
    for (const number of [1, 2, 3, 6, 9, 15]) {
      assert.deepEqual(await run(["sh", "-c", `kill -${number} $$`], { pid1 }).ended, {
        code: 128 + number,
        signal: null,
      });
    }
  });

  test(`orphans are reaped${title}`, options, async () => {
    const running = run(["sh", "-c", "for i in 1 2 3 4 5; do (sh -c 'sleep 0.01; exit 3' &) ; done; exec sleep 1020"], {
      pid1,
    });
    const pid = await running.pid();
    await eventually(
      () =>
        childrenOf(pid).length === 1 &&
        processes().some((process) => process.parent === pid && process.command === "sleep 1020"),
      "one child is left",
    );
    // an orphan may still be on its way to us: a zombie for a moment, never for good
    await eventually(
      () => !processes().some((process) => process.parent === pid && process.state.startsWith("Z")),
      "no zombie is left",
    );
    await running.kill("SIGTERM");
    assert.equal((await running.ended).code, 143);
  });
}

test("the real-time stop signal of a container engine is forwarded", { skip }, async () => {
  const { running, told } = await wrapPrinter();
  process.kill(await running.pid(), 37); // SIGRTMIN+3
  await eventually(() => told()[0] === "37", "it is told");
});

test("rewrite changes or drops signals, by name and number", { skip }, async () => {
  const { running, told } = await wrapPrinter([
    "--rewrite",
    "SIGTERM:SIGQUIT",
    "--rewrite=1:10",
    "--rewrite",
    "int:0",
    "--rewrite",
    "RTMIN+1:RTMAX",
  ]);
  const sent: [number, string][] = [
    [15, "3"],
    [1, "10"],
    [2, ""],
    [35, "64"],
    [12, "12"],
  ];
  const expected: string[] = [];
  for (const [number, becomes] of sent) {
    process.kill(await running.pid(), number);
    if (becomes !== "") expected.push(becomes);
    await eventually(
      () => told().length === expected.length,
      () => `${expected}, not ${told()}`,
    );
  }
  assert.deepEqual(told(), expected);
});

test("TSTP, TTIN and TTOU stop child and init, CONT resumes both", { skip }, async () => {
  for (const args of [[], ["--no-group"]]) {
    const running = run([...args, "--", "sleep", "1021"]);
    const pid = await running.pid();
    await eventually(
      () => processes().some((process) => process.parent === pid && process.command === "sleep 1021"),
      "it runs",
    );
    const child = childrenOf(pid)[0] ?? 0;
    for (const number of args.length > 0 ? [20] : jobStops) {
      process.kill(pid, number);
      await eventually(
        () => stateOf(pid) === "T" && stateOf(child) === "T",
        () => `both stopped: ${stateOf(pid)} ${stateOf(child)}`,
      );
      process.kill(pid, "SIGCONT");
      await eventually(() => stateOf(pid) === "S" && stateOf(child) === "S", "both run");
    }
    await running.kill("SIGTERM");
    assert.equal((await running.ended).code, 143);
  }
});

test("TSTP stops child and init also in a session of their own with --no-group", { skip }, async () => {
  // nobody outside of the group has a parent in it: the kernel drops a TSTP whose action is the default one
  const running = run([binary, "--no-group", "--", "sleep", "1028"], { program: "setsid" });
  const pid = await running.pid();
  await eventually(
    () => processes().some((process) => process.parent === pid && process.command === "sleep 1028"),
    "it runs",
  );
  const child = childrenOf(pid)[0] ?? 0;
  process.kill(pid, "SIGTSTP");
  await eventually(
    () => stateOf(pid) === "T" && stateOf(child) === "T",
    () => `both stopped: ${stateOf(pid)} ${stateOf(child)}`,
  );
  process.kill(pid, "SIGCONT");
  await eventually(() => stateOf(pid) === "S" && stateOf(child) === "S", "both run");
  await running.kill("SIGTERM");
  assert.equal((await running.ended).code, 143);
});

test("rewrite may send a real TSTP instead of STOP", { skip }, async () => {
  const { running, told } = await wrapPrinter(["--rewrite", "TSTP:TSTP"]);
  process.kill(await running.pid(), "SIGTSTP");
  await eventually(() => told()[0] === "20", "TSTP is told");
  process.kill(await running.pid(), "SIGCONT");
  await eventually(() => told()[1] === "18", "CONT is told");
});

/** A child with a grandchild in its group, both writing what they get. */
async function wrapFamily(args: readonly string[]) {
  const home = folder();
  const running = run([
    ...args,
    "--",
    "sh",
    "-c",
    `'${signals}' > ${home}/grandchild & exec '${signals}' > ${home}/child`,
  ]);
  const told = (who: string) => readFileSync(join(home, who), "utf8").split("\n").slice(1, -1);
  const ready = (who: string) =>
    readdirSync(home).includes(who) && readFileSync(join(home, who), "utf8").startsWith("ready");
  await eventually(() => ready("child") && ready("grandchild"), "both are ready");
  return { running, told };
}

test("the whole group is signalled, with --no-group the child only", { skip }, async () => {
  const group = await wrapFamily([]);
  process.kill(await group.running.pid(), "SIGHUP");
  await eventually(() => group.told("child")[0] === "1" && group.told("grandchild")[0] === "1", "both are told");
  const single = await wrapFamily(["--no-group"]);
  process.kill(await single.running.pid(), "SIGHUP");
  await eventually(() => single.told("child")[0] === "1", "the child is told");
  process.kill(await single.running.pid(), "SIGUSR1");
  await eventually(() => single.told("child")[1] === "10", "the child is told");
  assert.deepEqual(single.told("grandchild"), []);
  for (const { pid } of processes().filter((process) => process.command === signals)) process.kill(pid, "SIGKILL");
});

test("the child has a session of its own, with --no-group ours", { skip }, async () => {
  const script = "cut -d' ' -f1,5,6 /proc/$$/stat";
  const own = run(["sh", "-c", script]);
  await own.ended;
  const [pid, group, session] = own.out().trim().split(" ");
  assert.ok(pid === group && pid === session);
  const shared = run(["--no-group", "sh", "-c", script]);
  await shared.ended;
  assert.notEqual(shared.out().split(" ")[2], shared.out().split(" ")[0]);
});

for (const pid1 of [false, true]) {
  test(`what the child leaves in its session gets TERM when it ends${pid1 ? " as PID 1" : ""}`, {
    skip: skip || (pid1 && noPid1),
  }, async () => {
    const home = folder();
    // one in its group, one in a group of its own, a stopped one
    const script = [
      "set -m",
      `sh -c 'trap "echo a >> ${home}/told; exit" TERM; echo >> ${home}/up; while :; do sleep 0.02; done' &`,
      `(sh -c 'trap "echo b >> ${home}/told; exit" TERM; echo >> ${home}/up; while :; do sleep 0.02; done' &)`,
      "sleep 1022 & kill -STOP $!",
      `while [ "$(cat ${home}/up 2>/dev/null | wc -l)" != 2 ]; do sleep 0.02; done`,
      "exit 9",
    ].join("\n");
    const began = performance.now();
    const running = run(["bash", "-c", script], { pid1 });
    assert.deepEqual(await running.ended, { code: 9, signal: null });
    assert.ok(performance.now() - began < 1900, "no grace is waited for when all obey");
    assert.deepEqual(readFileSync(join(home, "told"), "utf8").split("\n").filter(Boolean).sort(), ["a", "b"]);
    assert.ok(!processes().some((process) => process.command === "sleep 1022"));
  });
}

test("what the child leaves gets TERM when /proc is another namespace's", { skip: skip || noPid1 }, async () => {
  const home = folder();
  // a session of its own, too: PID 1 can name it without /proc
  const left = (name: string) =>
    `sh -c 'trap "echo ${name} >> ${home}/told; exit" TERM; echo >> ${home}/up; while :; do sleep 0.02; done' &`;
  const script = [
    left("group"),
    `setsid ${left("session")}`,
    `while [ "$(cat ${home}/up 2>/dev/null | wc -l)" != 2 ]; do sleep 0.02; done`,
    "exit 9",
  ].join("\n");
  const [unshare = "", ...flags] = (asPid1 ?? []).filter((word) => word !== "--mount-proc");
  const running = run([...flags, binary, "sh", "-c", script], { program: unshare });
  assert.deepEqual(await running.ended, { code: 9, signal: null });
  assert.deepEqual(readFileSync(join(home, "told"), "utf8").split("\n").filter(Boolean).sort(), ["group", "session"]);
});

test("a closed output is closed for the child, too", { skip }, async () => {
  const look = "for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && echo $n >&2; done; true";
  const running = run(["-c", `"$0" sh -c '${look}' <&- >&-`, binary], { program: "sh" });
  assert.equal((await running.ended).code, 0);
  assert.equal(running.err(), "2\n");
});

test("what ignores that TERM is killed after the grace, or at once on a further TERM", { skip }, async () => {
  const script = "trap '' TERM; (while :; do sleep 1023; done) & echo up; exit 3";
  const began = performance.now();
  assert.deepEqual(await run(["--reap-grace", "0.3", "sh", "-c", script]).ended, { code: 3, signal: null });
  const took = performance.now() - began;
  assert.ok(took >= 300 && took < 1500, `${took} ms`);
  const impatient = run(["--reap-grace=60", "sh", "-c", script]);
  await eventually(
    () => impatient.out().includes("up") && childrenOf(impatient.process.pid ?? 0).length === 1,
    "the child has ended",
  );
  await eventually(async () => {
    await impatient.kill("SIGTERM").catch(() => {});
    return impatient.process.exitCode !== null;
  }, "TERM ends the grace");
  assert.equal((await impatient.ended).code, 3);
  assert.ok(!processes().some((process) => process.command === "sleep 1023"));
});

test("what the child leaves stays alone with --no-group", { skip }, async () => {
  const running = run(["--no-group", "sh", "-c", "sleep 1024 > /dev/null 2>&1 & echo $!"]);
  assert.equal((await running.ended).code, 0);
  const pid = Number(running.out());
  assert.ok(isAlive(pid));
  process.kill(pid, "SIGKILL");
});

test("remap-exit makes codes 0, of exits and of signals", { skip }, async () => {
  const code = async (args: string[]) => (await run(args).ended).code;
  assert.equal(await code(["--remap-exit", "3", "--remap-exit=143", "sh", "-c", "exit 3"]), 0);
  assert.equal(await code(["--remap-exit", "3", "--remap-exit=143", "sh", "-c", "kill -15 $$"]), 0);
  assert.equal(await code(["--remap-exit", "3", "sh", "-c", "exit 4"]), 4);
  assert.equal(await code(["--remap-exit", "255", "sh", "-c", "exit 255"]), 0);
  for (const wrong of ["256", "-1", "x", ""]) assert.equal(await code(["--remap-exit", wrong, "true"]), 64);
});

test("stop-delay holds TERM back, and nothing else; a second TERM goes through", { skip }, async () => {
  const { running, told } = await wrapPrinter(["--stop-delay", "0.4"]);
  const began = performance.now();
  await running.kill("SIGTERM");
  await running.kill("SIGHUP");
  await eventually(() => told()[0] === "1", "HUP is told");
  await eventually(() => told()[1] === "15", "TERM is told");
  assert.ok(performance.now() - began >= 395);
  await running.kill("SIGTERM");
  await eventually(() => told()[2] === "15", "TERM is told at once");
  const hasty = await wrapPrinter(["--stop-delay=60"]);
  await hasty.running.kill("SIGTERM");
  await eventually(
    () => /ShdPnd:\t0{16}/.test(readFileSync(`/proc/${hasty.running.process.pid}/status`, "latin1")),
    "it is taken",
  );
  await hasty.running.kill("SIGTERM");
  await eventually(() => hasty.told()[0] === "15", "TERM is told at once");
});

test("parent-death-signal reaches the child when the init dies, and through the init when its parent dies", {
  skip,
}, async () => {
  const home = folder();
  const script = `exec '${signals}' > ${home}/told`;
  const told = () => (readdirSync(home).includes("told") ? readFileSync(join(home, "told"), "utf8").split("\n") : []);
  const killed = run(["--parent-death-signal", "USR1", "--", "sh", "-c", script]);
  await eventually(() => told()[0] === "ready", "the child is ready");
  await killed.kill("SIGKILL");
  await eventually(() => told()[1] === "10", "the child is told");
  for (const { pid } of processes().filter((process) => process.command === signals)) process.kill(pid, "SIGKILL");
  writeFileSync(join(home, "told"), "");
  const parent = run(["-c", `'${binary}' --parent-death-signal USR2 -- sh -c "${script}" & wait`], { program: "sh" });
  await eventually(() => told()[0] === "ready", "the child is ready");
  await parent.kill("SIGKILL");
  await eventually(() => told()[1] === "12", "the child is told");
  for (const { pid } of processes().filter((process) => process.command === signals)) process.kill(pid, "SIGKILL");
});

test("warn-on-reap says which orphan was reaped", { skip }, async () => {
  const running = run(["--warn-on-reap", "sh", "-c", "(sleep 0.01 & echo $!) ; sleep 0.2"]);
  await running.ended;
  assert.match(running.err(), new RegExp(`reaped ${running.out().trim()}\\b`));
});

test("the child gets the mask and the dispositions that the init was given", { skip }, async () => {
  const setter = compile(
    "setter",
    `#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  sigset_t some; sigemptyset(&some); sigaddset(&some, SIGUSR1); sigaddset(&some, SIGTTIN); sigaddset(&some, SIGCHLD);
  sigprocmask(SIG_SETMASK, &some, NULL);
  int ignored[] = {SIGHUP, SIGCHLD, SIGTTOU, SIGPIPE, SIGUSR2, SIGINT};
  for (unsigned i = 0; i < 6; i++) signal(ignored[i], SIG_IGN);
  execv(argv[1], argv + 1);
  return 1;
}`,
  );
  const direct = spawnSync(setter, ["/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], {
    env: cleanEnv(),
    encoding: "utf8",
  });
  const wrapped = run([binary, "/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], { program: setter });
  assert.equal((await wrapped.ended).code, 0);
  assert.equal(wrapped.out(), direct.stdout);
  assert.match(direct.stdout, /SigIgn:\t0*\w*1\w*/);
});

test("an exit code is seen even when SIGCHLD was ignored by who started the init", { skip }, async () => {
  const running = run(["-c", `trap '' CHLD; exec '${binary}' sh -c 'exit 6'`], { program: "bash" });
  assert.equal((await running.ended).code, 6);
});

test("argv, environment, directory and descriptors pass through byte for byte", { skip }, async () => {
  const args = ["", " ", "\x01\x7f", "--", "-c", "*", "\n"];
  // no pipeline: the shell's own ends of it would be listed now and then
  const argv = ["sh", "-c", 'printf "%s|" "$@"; pwd; printenv ODD; ls /proc/$$/fd; cat', "sh", ...args];
  const options = { cwd: "/usr/share", env: { ODD: "a\nb\xff" }, stdin: "pipe" } as const;
  const direct = run(argv.slice(1), { ...options, program: "sh" });
  const wrapped = run(["--", ...argv], options);
  for (const running of [direct, wrapped]) {
    running.process.stdin?.end("from stdin");
    assert.equal((await running.ended).code, 0);
  }
  assert.ok(direct.out().startsWith(`${args.join("|")}|/usr/share\n`));
  assert.equal(wrapped.out(), direct.out());
});

test("descriptors above 2 pass to the child and the init keeps none", { skip }, async () => {
  const home = folder();
  const running = run(["-c", `exec 7> ${home}/seven; exec '${binary}' sh -c 'echo x >&7; echo up; exec sleep 1025'`], {
    program: "bash",
  });
  await eventually(() => running.out() === "up\n", "it runs");
  assert.equal(readFileSync(join(home, "seven"), "utf8"), "x\n");
  const pid = await running.pid();
  await eventually(() => readdirSync(`/proc/${pid}/fd`).join() === "0,1,2", "three are left");
  await eventually(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("sleep 1025"), "it is the init");
  await running.kill("SIGTERM");
  await running.ended;
});

/** Runs its arguments as a kernel would that does not know a system call, by its number. */
const refuserSource = `
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  if (argc < 3) return 1;
  unsigned number = strcmp(argv[1], "close_range") == 0 ? 436 : SYS_pwritev2;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof code / sizeof code[0], code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) return 1;
  execv(argv[2], argv + 2);
  return 1;
}`;

test("the init keeps no descriptor on a kernel without close_range", { skip }, async () => {
  const refuser = compile("refuser", refuserSource);
  const script = `exec 7> /dev/null; exec '${refuser}' close_range '${binary}' sh -c 'echo up; exec sleep 1029'`;
  const running = run(["-c", script], { program: "bash" });
  await eventually(() => running.out() === "up\n", "it runs");
  const pid = await running.pid();
  await eventually(() => readdirSync(`/proc/${pid}/fd`).join() === "0,1,2", "three are left");
  await running.kill("SIGTERM");
  await running.ended;
});

test("a line comes when there is room for it, and is dropped when there is none, on any kernel", { skip }, async () => {
  const refuser = compile("refuser", refuserSource);
  for (const under of [[], [refuser, "pwritev2"]]) {
    const [program = "", ...args] = [...under, binary, "--", "/nowhere"];
    const [read, write] = native().pipe();
    const end = async () => {
      const child = spawn(program, args, { env: cleanEnv(), stdio: ["ignore", "ignore", write] });
      const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
      const [code] = await once(child, "exit");
      clearTimeout(late);
      return code;
    };
    try {
      assert.equal(await end(), 127);
      const bytes = Buffer.alloc(4096);
      assert.equal(
        bytes.toString("latin1", 0, readSync(read, bytes)),
        'pingora-entry: cannot run "/nowhere": no such file\n',
      );
      // to the last byte; as dd does it the pipe itself does not become non-blocking
      const fill = ["if=/dev/zero", "bs=4096", "count=16"];
      assert.equal(spawnSync("dd", fill, { stdio: ["ignore", write, "ignore"], timeout: 5_000 }).status, 0);
      assert.equal(await end(), 127);
    } finally {
      for (const fd of [read, write]) native().close(fd);
    }
  }
});

test("LISTEN_PID that named the init names the child", { skip }, async () => {
  const script = `LISTEN_PID=$$ LISTEN_FDS=1 exec '${binary}' sh -c 'echo $LISTEN_PID $$'`;
  const running = run(["-c", script], { program: "bash" });
  await running.ended;
  const [named, own] = running.out().trim().split(" ");
  assert.equal(named, own);
  const other = run(["sh", "-c", "echo $LISTEN_PID"], { env: { LISTEN_PID: "1" } });
  await other.ended;
  assert.equal(other.out(), "1\n");
});

test("a command that cannot be run is named in one line, with 126 or 127", { skip }, async () => {
  const home = folder();
  const script = (name: string, text: string, mode: number) => {
    writeFileSync(join(home, name), text);
    chmodSync(join(home, name), mode);
    return join(home, name);
  };
  const cases: [string, number, RegExp][] = [
    ["no-such-program", 127, /cannot run "no-such-program": not found in PATH \(/],
    [`${home}/nothing`, 127, /cannot run ".*\/nothing": no such file/],
    [`${script("file", "", 0o644)}/below`, 127, /Not a directory/],
    [script("plain", "text", 0o644), 126, /plain": Permission denied/],
    [home, 126, /Permission denied/],
    [script("lost", "#!/no/such/interpreter\n", 0o755), 127, /lost": the file exists, but the interpreter/],
    [script("binary", "\x7fELFnonsense", 0o755), 126, /binary": Exec format error/],
    ["", 127, /cannot run ""/],
  ];
  for (const [program, code, text] of cases) {
    const running = run(["--", program]);
    assert.equal((await running.ended).code, code, program);
    assert.match(running.err(), text);
    assert.equal(running.err().split("\n").length, 2, running.err());
  }
  assert.equal(
    (await run(["--", script("bare", "exit 8", 0o755)]).ended).code,
    8,
    "a script without an interpreter line is run by sh",
  );
});

test("a line is one line, and of a long name the middle is left out, never the reason", { skip }, async () => {
  const said = async (name: string) => {
    const running = run(["--", name]);
    assert.equal((await running.ended).code, name.length > 255 ? 126 : 127);
    return running.err();
  };
  assert.match(
    await said("/no\n\x1b[31m\x7fsuch"),
    /^pingora-entry: cannot run "\/no\\x0A\\x1B\[31m\\x7Fsuch": no such file\n$/,
  );
  const long = await said(`/begin${"x".repeat(3000)}end`);
  assert.match(long, /^pingora-entry: cannot run "\/beginx+\.\.\.x+end": File ?name too long\n$/);
  assert.ok(long.length < 2100);
  const control = await said(`/begin${"\x01".repeat(120_000)}end`);
  assert.match(control, /^pingora-entry: cannot run "\/begin(\\x01)+\.\.\.(\\x01)+end": File ?name too long\n$/);
  const umlauts = await said(`/${Buffer.from("ü".repeat(2000)).toString("latin1")}`);
  assert.equal(Buffer.from(Buffer.from(umlauts, "latin1").toString()).toString("latin1"), umlauts, "no half letters");
});

test("an orphan's descendants reach the init also when it is not PID 1", { skip }, async () => {
  const running = run(["sh", "-c", "(setsid sh -c 'echo $$; exec sleep 2' &); sleep 1026"]);
  const orphan = Number(await eventually(() => running.out().trim(), "the orphan says its pid"));
  await eventually(
    () => processes().find((process) => process.pid === orphan)?.parent === running.process.pid,
    "it is ours",
  );
  await eventually(() => stateOf(orphan) === undefined, "it is reaped");
  await running.kill("SIGTERM");
  await running.ended;
});

test("the init is one process, under 1.5 MB, that sleeps", {
  skip: skip || sanitized,
}, async () => {
  const running = run(["sleep", "1027"]);
  const pid = await running.pid();
  const status = () => readFileSync(`/proc/${pid}/status`, "utf8");
  await eventually(() => childrenOf(pid).length === 1 && /State:\tS/.test(status()), "it sleeps");
  assert.match(status(), /Threads:\t1/);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status())?.[1]);
  assert.ok(rss > 0 && rss <= 1536, `${rss} KiB`);
  const switches = () => /^voluntary_ctxt_switches:\s+(\d+)/m.exec(status())?.[1];
  const before = switches();
  await new Promise((done) => setTimeout(done, 300));
  assert.equal(switches(), before, "idle, it never wakes up");
  await running.kill("SIGTERM");
  await running.ended;
});

test("ten thousand orphans leave no zombie and no growth", { skip: skip || noPid1 }, async () => {
  const source = `
#include <sys/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 0;
  for (int i = 0; i < count; i++) {
    pid_t child = fork();
    if (child == 0) { if (fork() == 0) _exit(3); _exit(0); }
    waitpid(child, 0, 0);
  }
  printf("done\\n"); fflush(stdout);
  pause();
}`;
  const orphans = compile("orphans", source);
  const running = run(["--", orphans, process.env.ORPHANS ?? "10000"], { pid1: true });
  const pid = await running.pid();
  await eventually(() => running.out() === "done\n", "all are made", 120_000);
  await eventually(
    () => childrenOf(pid).length === 1,
    () => `one child is left: ${childrenOf(pid).length}`,
  );
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  assert.ok(rss <= 1536 || sanitized, `${rss} KiB`);
  await running.kill("SIGTERM");
  assert.equal((await running.ended).code, 143);
});
