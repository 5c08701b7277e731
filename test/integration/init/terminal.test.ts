import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  binary,
  childrenOf,
  eventually,
  folder,
  missingBinary,
  processes,
  type Running,
  run,
  stateOf,
  sweep,
} from "./stage.js";

const skip =
  missingBinary || (spawnSync("python3", ["-c", "import pty"]).status !== 0 && "no python3 to make a terminal with");
after(sweep);

/** Runs its arguments as leader of a session on a fresh terminal; stdin is typed, what is shown goes to stdout. */
const onTerminal = `
import os, pty, select, sys
pid, tty = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
print("@%d@" % pid, flush=True)
typing = True
while True:
    ready, _, _ = select.select([tty] + ([0] if typing else []), [], [])
    if tty in ready:
        try:
            shown = os.read(tty, 4096)
        except OSError:
            break
        if not shown:
            break
        os.write(1, shown)
    if 0 in ready:
        typed = os.read(0, 4096)
        typing = len(typed) > 0
        if typing:
            os.write(tty, typed)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
`;

interface Terminal {
  readonly running: Running;
  readonly leader: number;
  type(text: string): void;
  shows(text: string | RegExp): Promise<string>;
}

async function terminal(argv: readonly string[]): Promise<Terminal> {
  const script = join(folder(), "terminal.py");
  writeFileSync(script, onTerminal);
  const running = run([script, ...argv], {
    program: "python3",
    stdin: "pipe",
    env: { PS1: "$ ", TERM: "dumb", HISTFILE: "" },
  });
  const leader = Number(await eventually(() => /@(\d+)@/.exec(running.out())?.[1], "the terminal is there"));
  return {
    running,
    leader,
    type: (text) => running.process.stdin?.write(text),
    shows: (text) =>
      eventually(
        () =>
          (typeof text === "string" ? running.out().includes(text) : text.test(running.out()))
            ? running.out()
            : undefined,
        () => `the terminal shows ${text}; it shows ${running.out()}`,
      ),
  };
}

const bash = ["bash", "--norc", "--noprofile", "-i"];

test("a shell under the session's leader has job control", { skip }, async () => {
  const { type, shows, running } = await terminal([binary, ...bash]);
  type("echo flags $-; ps -o tpgid=,pgid= -p $$\n");
  await shows(/flags \w*m\w*/);
  await shows(/\n *(\d+) +\d+\r?\n/);
  type("sleep 1030\n");
  await eventually(() => processes().some((process) => process.command === "sleep 1030"), "it runs");
  type("\x1a");
  await shows(/Stopped/);
  type("jobs; kill %1; exit 7\n");
  await shows("sleep 1030");
  type("exit 7\n");
  assert.equal((await running.ended).code, 7);
  assert.doesNotMatch(running.out(), /cannot set terminal process group|no job control/);
});

test("no hangup of our own making reaches the child, and a real one does", { skip }, async () => {
  const script =
    'trap "echo got HUP" HUP; trap "echo got CONT" CONT; echo up; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 0.2; done';
  const { shows, running, leader } = await terminal([binary, "bash", "-c", script]);
  await shows("up");
  process.kill(leader, "SIGWINCH");
  await eventually(() => stateOf(leader) === "S", "it waits");
  assert.doesNotMatch(running.out(), /got/);
  process.kill(leader, "SIGHUP");
  await shows("got HUP");
  process.kill(leader, "SIGCONT");
  await shows("got CONT");
  await running.kill("SIGKILL");
});

test("keys of the terminal reach the child once", { skip }, async () => {
  for (const args of [[], ["--no-group"]]) {
    const { type, shows, running } = await terminal([
      binary,
      ...args,
      "bash",
      "-c",
      'n=0; trap "n=\\$((n+1)); echo int \\$n" INT; echo up; while [ ! -e /nonexistent ]; do sleep 0.1; done',
    ]);
    await shows("up");
    type("\x03");
    await shows("int 1");
    await eventually(() => processes().some((process) => process.command === "sleep 0.1"), "it goes on");
    type("\x03");
    await shows("int 2");
    assert.doesNotMatch(running.out(), /int 3/);
    await running.kill("SIGKILL");
  }
});

test("as a job of an interactive shell it is stopped, resumed and interrupted like any other", { skip }, async () => {
  const { type, shows, running, leader } = await terminal(bash);
  type(
    `${binary} bash -c 'trap "echo bye; exit 5" INT; trap "echo back" CONT; echo up; while :; do sleep 0.1; done'\n`,
  );
  await shows(/\nup/);
  const init = await eventually(() => childrenOf(leader)[0], "the job");
  const child = await eventually(() => childrenOf(init)[0], "the command");
  const table = new Map(processes().map((process) => [process.pid, process]));
  assert.equal(table.get(child)?.session, leader, "it stays in the shell's session");
  type("\x1a");
  await shows(/Stopped/);
  assert.equal(stateOf(init), "T");
  assert.equal(stateOf(child), "T");
  type("fg\n");
  await shows(/\nback/);
  await eventually(() => stateOf(init) === "S", "the init goes on");
  type("\x03");
  await shows(/\^Cbye/);
  type("echo code $?\n");
  await shows(/\ncode 5\b/);
  type("exit 0\n");
  assert.equal((await running.ended).code, 0);
});

test("in the background it does not take the terminal away", { skip }, async () => {
  const { type, shows, running } = await terminal(bash);
  type(`${binary} sleep 1031 &\n`);
  await eventually(
    () => processes().filter((process) => process.command.endsWith("sleep 1031")).length === 2,
    "it runs",
  );
  type("echo still here\n");
  await shows(/\nstill here/);
  type("kill %1; wait; exit 3\n");
  assert.equal((await running.ended).code, 3);
});

test("in the background it is stopped when the command reads the terminal, and goes on in front", {
  skip,
}, async () => {
  const { type, shows, running, leader } = await terminal(bash);
  type(`${binary} cat &\n`);
  const init = await eventually(() => childrenOf(leader)[0], "the job");
  await eventually(() => stateOf(init) === "T", "it is stopped");
  // what is typed now is the shell's, not the command's
  type("echo still $((20+3))\n");
  await shows(/\nstill 23/);
  type("fg\n");
  await eventually(() => stateOf(init) === "S", "it goes on");
  type("to the command\n");
  await shows(/to the command\r?\nto the command/);
  type("\x04");
  type("exit 4\n");
  assert.equal((await running.ended).code, 4);
});

test("a command that reads the terminal after its job came to the front gets it", { skip }, async () => {
  const { type, shows, running, leader } = await terminal(bash);
  const go = join(folder(), "go");
  type(`${binary} bash -c 'until [ -e ${go} ]; do sleep 0.05; done; read -r line; echo got "$line"' &\n`);
  const init = await eventually(() => childrenOf(leader)[0], "the job");
  await eventually(() => childrenOf(init)[0], "the command");
  type("fg\n");
  await eventually(() => {
    const table = processes();
    return table.some((process) => process.pid === init && process.state.includes("+"));
  }, "it is in front");
  writeFileSync(go, "");
  await eventually(() => {
    const child = childrenOf(init)[0];
    return processes().some((process) => process.pid === child && process.state.includes("+"));
  }, "the command is in front");
  type("a line\n");
  await shows(/got a line/);
  type("exit 4\n");
  assert.equal((await running.ended).code, 4);
});

test("a job that was stopped and goes on in the background is not stopped again", { skip }, async () => {
  const { type, shows, running, leader } = await terminal(bash);
  type(`${binary} sleep 1032\n`);
  const init = await eventually(() => childrenOf(leader)[0], "the job");
  const child = await eventually(() => childrenOf(init)[0], "the command");
  await eventually(() => processes().some(({ pid, command }) => pid === child && command === "sleep 1032"), "it runs");
  process.kill(init, "SIGTSTP");
  await shows(/Stopped/);
  await eventually(() => stateOf(child) === "T", "the command is stopped");
  type("bg\n");
  await eventually(() => stateOf(init) === "S" && stateOf(child) === "S", "both run");
  type("kill %1; wait; exit 3\n");
  assert.equal((await running.ended).code, 3);
});
