import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { commandOf, descendantsOf, eventually, freePort, kill } from "../harness.js";

/** Runs `npm start` by `argv`, has it stopped by `stop` once it is ready, which gets the port of web, too; fails when a process or a file of it is left. */
async function started(
  [program = "", ...args]: readonly string[],
  stop: (parent: ChildProcess, port: number) => unknown,
): Promise<number | null> {
  const [port, webPort] = [await freePort(), await freePort()];
  const dir = mkdtempSync(join(tmpdir(), "pe-start-"));
  const env = { ...process.env, ADMIN_PORT: `${port}`, PORT: `${webPort}`, TMPDIR: dir };
  const parent = spawn(program, args, { env, stdio: ["pipe", "ignore", "ignore"] });
  const pid = parent.pid ?? 0;
  let all: (readonly [number, string])[] = [];
  // what has the number of one of them now is another process
  const left = () => all.filter(([each, command]) => command !== "" && commandOf(each) === command);
  try {
    await eventually(
      async () => {
        assert.equal(parent.exitCode, null);
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
        return answer?.status === 200;
      },
      { timeoutMs: 60_000, what: "/readyz" },
    );
    assert.ok(
      readdirSync(dir).some((name) => name.startsWith("pingora-entry-")),
      "a folder of its own",
    );
    all = descendantsOf(pid).map((each) => [each, commandOf(each)] as const);
    const [code] = await Promise.all([once(parent, "exit").then(([code]) => code), stop(parent, webPort)]);
    await eventually(() => left().length === 0, { timeoutMs: 15_000, what: "the end of everything" }).catch(() => {});
    assert.deepEqual(left(), []);
    const files = existsSync(dir) ? readdirSync(dir).filter((name) => name.startsWith("pingora-entry-")) : [];
    assert.deepEqual(files, []);
    return code;
  } finally {
    for (const [each] of left()) kill(each);
    for (const each of [...descendantsOf(pid), pid]) kill(each);
    rmSync(dir, { recursive: true, force: true });
  }
}

test("npm start ends with everything it started when npm gets SIGTERM", async () => {
  assert.equal(await started(["npm", "start"], (npm) => void npm.kill("SIGTERM")), 0);
});

/** Runs its arguments as leader of a session on a terminal; what comes by stdin is typed, and when that is closed, the terminal is. */
const onTerminal = `
import os, pty, select, sys
pid, tty = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    ready = select.select([tty, 0], [], [])[0]
    try:
        if tty in ready and not os.read(tty, 4096):
            break
    except OSError:
        break
    if 0 in ready:
        typed = os.read(0, 4096)
        if not typed:
            break
        os.write(tty, typed)
os.close(tty)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
`;
const npmOnTerminal = ["python3", "-c", onTerminal, "npm", "start"];
const ctrlC = "\x03";
const skip = spawnSync("python3", ["-c", "import pty"]).status !== 0 && "no python3 to make a terminal with";

test("npm start ends with everything it started when its terminal is closed", { skip }, async () => {
  await started(npmOnTerminal, (terminal) => void terminal.stdin?.end());
});

test("npm start stops in order at one Ctrl-C, which npm passes on a second time", { skip }, async () => {
  assert.equal(await started(npmOnTerminal, (terminal) => void terminal.stdin?.write(ctrlC)), 0);
});

test("npm start ends at once at another Ctrl-C", { skip }, async () => {
  const code = await started(npmOnTerminal, async (terminal, port) => {
    // the second of these requests has begun and does not end: no more does web
    const asked = connect(port, "127.0.0.1").on("error", () => {});
    asked.write("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n");
    await once(asked, "data");
    const pressing = setInterval(() => terminal.stdin?.write(ctrlC), 300);
    await once(terminal, "exit");
    clearInterval(pressing);
    asked.destroy();
  });
  assert.equal(code, 143);
});
