import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { allSettings } from "../../../src/adapters/config/settings.js";
import { serviceLinks } from "../../fixtures/service-links.js";
import { binary, eventually, folder, missingBinary, type RunOptions, run, sanitized, stateOf, sweep } from "./stage.js";

const skip = missingBinary;
after(sweep);

/** The binary with a Node beside it that prints how it was called. */
function home(node = '#!/bin/sh\necho "node $*"\nexit $((CODE))\n'): string {
  const made = folder();
  copyFileSync(binary, join(made, "pingora-entry"));
  chmodSync(join(made, "pingora-entry"), 0o755);
  writeFileSync(join(made, "node"), node, { mode: 0o755 });
  writeFileSync(join(made, "pingora-entry.cjs"), "");
  return made;
}

async function call(where: string, args: readonly string[], options: RunOptions = {}) {
  const running = run(args, { ...options, program: join(where, "pingora-entry") });
  const { code } = await running.ended;
  return { code, out: running.out(), err: running.err() };
}

/** The scheduler's turns of what runs in this process, in nanoseconds. */
const turns = "sed -n 's/^se.slice *: *//p' /proc/self/sched";
const [major = 0, minor = 0] = release().split(".").map(Number);
const noTurns =
  existsSync("/proc/self/sched") && (major > 6 || (major === 6 && minor >= 12)) ? false : "turns came with Linux 6.12";

test("the supervisor and the subcommands give way to the services, in longer turns", {
  skip: skip || noTurns,
}, async () => {
  const where = home(`#!/bin/sh\n${turns}\n`);
  const usual = Number(execFileSync("sh", ["-c", turns], { encoding: "utf8" }));
  assert.ok(usual > 0 && usual < 10_000_000);
  const asked = async (...args: string[]) => (await call(where, args)).out.trim();
  assert.equal(await asked("upgrade"), "10000000");
  assert.equal(await asked("--", "sh", "-c", turns), String(usual));
  assert.equal(await asked("run", "-c", "x"), "10000000");
});

test("a subcommand is Node with the bundle, options before it or after it", { skip }, async () => {
  const where = home();
  const script = join(where, "pingora-entry.cjs");
  for (const name of [
    "check",
    "graph",
    "status",
    "logs",
    "signal",
    "start",
    "stop",
    "restart",
    "reload",
    "upgrade",
    "rollout",
    "completion",
    "version",
    "help",
  ]) {
    assert.deepEqual(await call(where, [name]), { code: 0, out: `node ${script} ${name}\n`, err: "" });
  }
  assert.equal((await call(where, ["check", "-c", "x", "--", "y"])).out, `node ${script} check -c x -- y\n`);
  assert.equal((await call(where, ["-c", "x", "check", "y"])).out, `node ${script} check -c x y\n`);
  assert.equal((await call(where, ["--verbose", "-c", "x", "check", "y"])).out, `node ${script} check -c x y\n`);
  assert.equal((await call(where, ["status"], { env: { CODE: "9" } })).code, 9);
  assert.equal((await call(where, ["--help"])).out, `node ${script} help\n`);
  assert.equal((await call(where, ["-h"])).out, `node ${script} help\n`);
  assert.equal((await call(where, ["run", "--help"])).out, `node ${script} help run\n`);
  assert.equal((await call(where, ["-c", "x", "run", "-h"])).out, `node ${script} help run\n`);
  assert.equal((await call(where, ["--version"])).out, `node ${script} version\n`);
});

test("a word that is no program and one slip away from a subcommand is told so", { skip }, async () => {
  const where = home();
  for (const [word, meant] of [
    ["statuss", "status"],
    ["stauts", "status"],
    ["hlep", "help"],
    ["chek", "check"],
    ["healthchekc", "healthcheck"],
    ["phase2", "phase"],
    ["rum", "run"],
  ] as const) {
    const said = `cannot run "${word}": not found in PATH; did you mean the subcommand "${meant}"?\n`;
    assert.deepEqual(await call(where, [word]), { code: 127, out: "", err: `pingora-entry: ${said}` });
    assert.match((await call(where, ["--", word])).err, /not found in PATH \(/);
  }
  for (const word of ["redis-server", "s", "", "stats2us", "./statuss"])
    assert.doesNotMatch((await call(where, [word])).err, /did you mean/, word);
  mkdirSync(join(where, "bin"));
  writeFileSync(join(where, "bin", "statuss"), "#!/bin/sh\necho mine\n", { mode: 0o755 });
  assert.equal((await call(where, ["statuss"], { env: { PATH: `${where}/bin:${process.env.PATH}` } })).out, "mine\n");
});

test("after -- , or with a path, a word is a program whatever its name", { skip }, async () => {
  const where = home();
  mkdirSync(join(where, "bin"));
  writeFileSync(join(where, "bin", "status"), "#!/bin/sh\necho mine\n", { mode: 0o755 });
  const env = { PATH: `${where}/bin:${process.env.PATH}` };
  assert.equal((await call(where, ["--", "status"], { env })).out, "mine\n");
  assert.equal((await call(where, [join(where, "bin/status")])).out, "mine\n");
});

test("what is configured starts the supervisor with the arguments as they are", { skip }, async () => {
  const where = home('#!/bin/sh\necho "node $*"\nexit 3\n');
  const script = join(where, "pingora-entry.cjs");
  const cases: [string[], Record<string, string>, string][] = [
    [["run"], {}, "run"],
    [["run", "-c", "x", "--", "cmd", "run"], {}, "run -c x -- cmd run"],
    [["-c", "x"], {}, "run -c x"],
    [["-cx", "--", "cmd"], {}, "run -cx -- cmd"],
    [["--conf=x"], {}, "run --conf=x"],
    [["--conf", "x", "cmd", "-c"], {}, "run --conf x cmd -c"],
    [["-u"], {}, "run -u"],
    [["--upgrade", "run"], {}, "run --upgrade"],
    [["cmd", "arg"], { PINGORA_ENTRY_ADMIN_TCP: "x" }, "run cmd arg"],
    [[], { PINGORA_ENTRY_CONF: "x" }, "run"],
  ];
  for (const [args, env, called] of cases) {
    assert.deepEqual(
      await call(where, args, { env }),
      { code: 3, out: `node ${script} ${called}\n`, err: "" },
      args.join(" "),
    );
  }
  // what it reads itself, and what services are given
  const given = ["SERVICE", "INSTANCE", "ADOPT", "ADOPT_DRAIN", "PREFLIGHT", "ADMIN_SOCKET"];
  for (const name of ["HOME", "CHANNEL", "ID", "VERBOSE", ...given]) {
    const env = { [`PINGORA_ENTRY_${name}`]: "0" };
    assert.equal((await call(where, ["echo", "wrapped"], { env })).out, "wrapped\n", name);
  }
});

test("every setting's variable configures, those of a Service named pingora-entry-... do not", { skip }, async () => {
  const where = home();
  for (const variable of ["PINGORA_ENTRY_CONF", "PINGORA_ENTRY_UPGRADE", ...allSettings.map((one) => one.variable)]) {
    // the control socket's is for client commands, too, and services are given it
    if (variable === "PINGORA_ENTRY_ADMIN_SOCKET") continue;
    const { out } = await call(where, ["echo", "wrapped"], { env: { [variable]: "tcp://10.0.0.1:80" } });
    assert.match(out, /^node .* run echo wrapped\n$/, variable);
  }
  for (const [name, value] of serviceLinks) {
    const { out } = await call(where, ["echo", "wrapped"], { env: { [name]: value } });
    assert.equal(out, "wrapped\n", name);
  }
});

test("-t is check with the same options", { skip }, async () => {
  const where = home();
  const script = join(where, "pingora-entry.cjs");
  assert.equal((await call(where, ["-t", "-c", "x"])).out, `node ${script} check -c x\n`);
  assert.equal((await call(where, ["run", "-c", "x", "--test", "-d"])).out, `node ${script} check -c x\n`);
});

test("Node and bundle are looked for beside the binary, in PINGORA_ENTRY_HOME and in PATH", { skip }, async () => {
  const where = home();
  const bare = folder();
  copyFileSync(binary, join(bare, "pingora-entry"));
  const script = join(where, "pingora-entry.cjs");
  assert.equal((await call(bare, ["check"], { env: { PINGORA_ENTRY_HOME: where } })).out, `node ${script} check\n`);
  const lost = await call(bare, ["check"]);
  assert.equal(lost.code, 127);
  assert.match(
    lost.err,
    new RegExp(`cannot find pingora-entry.cjs: looked in "${bare}" .* PINGORA_ENTRY_HOME \\(not set\\)`),
  );
  writeFileSync(join(bare, "pingora-entry.cjs"), "");
  assert.equal(
    (await call(bare, ["check"], { env: { PATH: where } })).out,
    `node ${join(bare, "pingora-entry.cjs")} check\n`,
  );
  const nodeless = await call(bare, ["check"], { env: { PATH: "/nonexistent" } });
  assert.equal(nodeless.code, 127);
  assert.match(nodeless.err, /cannot find Node: looked for ".*\/node" and for node in PATH \(\/nonexistent\)/);
  // alone, it still wraps, and explains itself
  assert.equal((await call(bare, ["sh", "-c", "exit 5"])).code, 5);
  const lonely = folder();
  copyFileSync(binary, join(lonely, "pingora-entry"));
  assert.match((await call(lonely, ["--help"])).out, /^usage: pingora-entry/);
  assert.match((await call(lonely, ["version"])).out, /^pingora-entry \d+\.\d+/);
});

/** Runs its arguments where nothing is mounted on /proc. */
const withoutProc = ["-m", "sh", "-c", 'mount -t tmpfs x /proc && exec "$@"', "sh"];
const cannotHideProc =
  missingBinary ||
  sanitized ||
  (spawnSync("unshare", [...withoutProc, "true"]).status !== 0 && "needs a mount namespace, to be without /proc");

test("without /proc the binary says that it cannot tell where it is", { skip: cannotHideProc }, async () => {
  const lost = run([...withoutProc, join(home(), "pingora-entry"), "check"], { program: "unshare" });
  assert.equal((await lost.ended).code, 127);
  assert.match(
    lost.err(),
    /: where this program is cannot be told without \/proc; looked in PINGORA_ENTRY_HOME \(not set\)\n$/,
  );
});

test("nothing to run, or a wrong option, is exit code 64 and one line", { skip }, async () => {
  const nothing = await call(home(), []);
  assert.equal(nothing.code, 64);
  assert.match(
    nothing.err,
    /nothing to run: no CMD was given, and nothing is configured \(no -c FILE, no \/etc\/pingora-entry\/config\.yaml/,
  );
  for (const [args, text] of [
    [["--stop-delay", "soon", "true"], /: --stop-delay needs seconds \(2, 0\.5\), not "soon"/],
    [["--reap-grace=", "true"], /: --reap-grace needs seconds \(2, 0\.5\), not ""/],
    [["--rewrite", "KILL:TERM", "true"], /: --rewrite cannot change KILL or STOP, which nobody receives: "KILL:TERM"/],
    [["--rewrite", "19:0", "true"], /: --rewrite cannot change KILL or STOP/],
    [["--rewrite", "CHLD:TERM", "true"], /: --rewrite cannot change CHLD, .*: "CHLD:TERM"/],
  ] as const) {
    const wrong = await call(home(), [...args]);
    assert.equal(wrong.code, 64);
    assert.match(wrong.err, text);
  }
  for (const args of [
    ["--bogus", "true"],
    ["-x", "true"],
    ["--rewrite", "TERM", "true"],
    ["--rewrite", "TERM:NO", "true"],
    ["--stop-delay", "soon", "true"],
    ["--rewrite"],
  ]) {
    const wrong = await call(home(), args);
    assert.equal(wrong.code, 64, args.join(" "));
    assert.equal(wrong.err.split("\n").length, 2, wrong.err);
  }
});

test("-d returns when the supervisor is ready, and with its code when it gives up", { skip }, async () => {
  const ready = home(`#!/usr/bin/env python3
import os, socket, signal
channel = socket.socket(fileno=int(os.environ["PINGORA_ENTRY_CHANNEL"]))
channel.send(b"HELLO\\x001\\0")
channel.send(b"READY\\0")
open(os.path.join(os.path.dirname(__file__), "pid"), "w").write("%d %d" % (os.getppid(), os.getsid(os.getppid())))
while channel.recv(1000): pass
`);
  const began = await call(ready, ["-d", "-c", "x"]);
  assert.deepEqual([began.code, began.err], [0, ""]);
  const [init, session] = (
    await eventually(() => {
      try {
        return readFileSync(join(ready, "pid"), "utf8");
      } catch {
        return undefined;
      }
    }, "the supervisor runs")
  )
    .split(" ")
    .map(Number);
  assert.ok(init !== undefined && ["R", "S"].includes(stateOf(init) ?? ""), "it runs");
  assert.notEqual(init, session, "it leads no session");
  process.kill(init, "SIGKILL");
  const failed = await call(home("#!/bin/sh\nexit 78\n"), ["-d", "-c", "x"]);
  assert.equal(failed.code, 78);
  assert.match(failed.err, /ended before it was ready/);
});
