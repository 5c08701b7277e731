import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { native } from "../../../src/adapters/native/addon.js";
import { bindNotifySocket } from "../../../src/adapters/wiring/notify-socket.js";
import type { NotifyMessage } from "../../../src/runtime/ports.js";
import { eventually, openDescriptors } from "../eventually.js";
import { bench, run, sh, wireSpec } from "./wired-process.js";

const root = process.geteuid?.() === 0;
const nobody = { uid: 65534, gid: 65534 };

describe("output", () => {
  test("connect adds nothing when output is inherited and nobody wants its lines", () => {
    const before = openDescriptors();
    const wires = bench().wiring.connect(wireSpec(), () => {});
    assert.deepEqual([wires.kept, wires.fds, wires.env], [[], [], []]);
    assert.equal(openDescriptors(), before);
    wires.close();
  });

  test("connect passes bytes on unchanged and tells lines when output is inherited with a log probe", async () => {
    const { wiring, stdout, stderr, history } = bench();
    const { ended, messages, wires } = run(
      wiring,
      wireSpec({ lines: true }),
      sh("printf 'a\\n\\377b\\r\\nprompt> '; printf oops >&2"),
    );
    await ended;
    await eventually(() => stdout.text === "a\n\xffb\r\nprompt> " && stderr.text === "oops");
    await eventually(() => messages.length === 4);
    const out = messages.filter((message) => message.kind === "line" && message.stream === "stdout");
    const line = (text: string): NotifyMessage => ({ kind: "line", stream: "stdout", text });
    assert.deepEqual(out, [line("a"), line("\ufffdb"), line("prompt> ")]);
    assert.equal(history.tail("web", 10).length, 4);
    wires.close();
  });

  test("connect prefixes every line on its own stream, the last one too when it has no newline", async () => {
    const { wiring, stdout, stderr } = bench();
    const { ended, wires } = run(
      wiring,
      wireSpec({ output: "prefix" }),
      sh("echo one; echo; printf two; echo three >&2"),
    );
    await ended;
    await eventually(() => stdout.text === "[web] one\n[web] \n[web] two\n" && stderr.text === "[web] three\n");
    wires.close();
  });

  test("connect cuts a line that is longer than 16 KiB and marks the rest", async () => {
    const { wiring, stdout } = bench();
    const { ended, wires } = run(
      wiring,
      wireSpec({ output: "prefix" }),
      sh("head -c 40000 /dev/zero | tr '\\0' x; echo"),
    );
    await ended;
    await eventually(() => stdout.text.split("\n").length === 4);
    const x = (count: number): string => "x".repeat(count);
    assert.equal(stdout.text, `[web] ${x(16384)}\n[web+] ${x(16384)}\n[web+] ${x(40000 - 2 * 16384)}\n`);
    wires.close();
  });

  test("close keeps the last words when the process has ended before they were read", () => {
    const { wiring, stdout } = bench();
    const messages: NotifyMessage[] = [];
    const wires = wiring.connect(wireSpec({ output: "json", lines: true }), (message) => messages.push(message));
    const fd = wires.fds[0]?.fd ?? -1;
    execFileSync("sh", ["-c", "seq 1 5000; printf end"], { stdio: ["ignore", fd, "ignore"] });
    wires.started(1);
    wires.close();
    const lines = stdout.text.trimEnd().split("\n");
    assert.equal(lines.length, 5001);
    assert.equal(JSON.parse(lines.at(-1) ?? "").message, "end");
    // who closes has stopped listening
    assert.deepEqual(messages, []);
  });

  test("wires leave no descriptor behind after start, end and failed start", async () => {
    const { wiring } = bench();
    const all = { output: "prefix", lines: true, notifySocket: true, notifyFd: 7 } as const;
    const once = async (): Promise<void> => {
      const { ended, wires } = run(wiring, wireSpec(all), ["true"]);
      await ended;
      wires.close();
      const failed = wiring.connect(wireSpec(all), () => {});
      failed.started(undefined);
      failed.close();
      failed.close();
      wiring.connect(wireSpec(all), () => {}).close();
    };
    await once();
    const before = openDescriptors();
    await once();
    await eventually(() => openDescriptors() === before);
  });

  test("a flooding service is stopped by a stalled stdout, goes on when it drains, and loses nothing", async () => {
    const { wiring, stdout } = bench();
    stdout.stalled = true;
    const total = 3_000_000;
    const { child, wires } = run(
      wiring,
      wireSpec({ output: "prefix" }),
      sh(`yes 0123456789abcde | head -c ${total}; sleep 60`),
    );
    await eventually(() => stdout.chunks.length === 1);
    const asked = readFileSync("/proc/self/stat", "utf8").split(" ");
    const stalledAt = stdout.written;
    // a stalled stdout costs no time either: nothing polls
    await new Promise((resolve) => setTimeout(resolve, 200));
    const cpu = readFileSync("/proc/self/stat", "utf8").split(" ");
    assert.ok(Number(cpu[13]) + Number(cpu[14]) - Number(asked[13]) - Number(asked[14]) <= 5, "busy while stalled");
    assert.equal(stdout.written, stalledAt);
    stdout.drain();
    const expected = (total / 16) * (16 + "[web] ".length);
    await eventually(() => stdout.written === expected);
    assert.ok(stdout.text.split("\n").every((line) => line === "" || line === "[web] 0123456789abcde"));
    child.kill("SIGKILL");
    wires.close();
  });

  test("every service gets its turn when one floods a stdout that stalls after every write", async () => {
    const { wiring, stdout } = bench();
    const write = stdout.write.bind(stdout);
    stdout.write = (bytes) => {
      write(bytes);
      setImmediate(() => stdout.drain());
      return false;
    };
    const flood = run(wiring, wireSpec({ service: "flood", output: "prefix" }), ["yes", "flood"]);
    await eventually(() => stdout.chunks.length > 10);
    const quiet = run(wiring, wireSpec({ service: "quiet", output: "prefix" }), sh("echo I am here; sleep 60"));
    const asked = stdout.chunks.length;
    await eventually(() =>
      stdout.chunks.some((chunk) => Buffer.from(chunk).toString().startsWith("[quiet] I am here")),
    );
    const at = stdout.chunks.findIndex((chunk) => Buffer.from(chunk).toString().startsWith("[quiet]"));
    assert.ok(at - asked < 2000, `after ${at - asked} writes of the other`);
    for (const { child, wires } of [flood, quiet]) {
      child.kill("SIGKILL");
      wires.close();
    }
  });

  test("memory stays bounded and the loop free when a service floods in short lines", async () => {
    const { wiring, stdout } = bench();
    stdout.write = (bytes) => {
      stdout.written += bytes.length;
      return true;
    };
    const before = process.memoryUsage().rss;
    let longest = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longest = Math.max(longest, performance.now() - last - 1);
      last = performance.now();
    }, 1);
    const { child, wires } = run(wiring, wireSpec({ output: "json" }), ["yes"]);
    await eventually(() => stdout.written > 100_000_000, 60_000);
    clearInterval(ticker);
    child.kill("SIGKILL");
    wires.close();
    const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
    console.log(`# grown by ${grown.toFixed(0)} MiB, longest turn ${longest.toFixed(0)} ms`);
    assert.ok(grown < 150, `grown by ${grown} MiB`);
    assert.ok(longest < 1_000, `the loop was blocked for ${longest} ms`);
  });

  test("resume goes on reading when an earlier supervisor is gone, and the service has noticed nothing", async () => {
    const first = bench();
    const spec = wireSpec({ output: "prefix", notifyFd: 5 });
    const { wires, child, ended } = run(
      first.wiring,
      spec,
      sh("echo before; read line < /dev/null; sleep 0.2; seq 1 20000; echo >&5; echo end"),
    );
    await eventually(() => first.stdout.text.includes("before"));
    const held = new Map(wires.kept.map(({ name, fd }) => [name, native().dup(fd)]));
    assert.deepEqual([...held.keys()], [`wire:${spec.id}:newline`, `wire:${spec.id}:stdout`, `wire:${spec.id}:stderr`]);
    wires.close();
    assert.equal(child.exitCode, null);
    const second = bench();
    const messages: NotifyMessage[] = [];
    const resumed = second.wiring.resume(spec, held, (message) => messages.push(message));
    assert.deepEqual(
      resumed.kept.map(({ name }) => name),
      [...held.keys()],
    );
    assert.equal(await ended, 0);
    await eventually(() => second.stdout.text.endsWith("[web] end\n"));
    assert.deepEqual(messages, [{ kind: "ready" }]);
    const numbers = (first.stdout.text + second.stdout.text).split("\n").filter((line) => /\d/.test(line));
    assert.equal(numbers.length, 20_000);
    resumed.close();
  });

  test("resume takes up what there is when some wires were lost", () => {
    const wires = bench().wiring.resume(wireSpec({ output: "json", notifySocket: true }), new Map(), () => {});
    assert.deepEqual(wires.kept, []);
    wires.close();
  });
});

describe("notify", () => {
  const gate = { notifySocket: true };
  const words = (messages: readonly NotifyMessage[]): string[] =>
    messages.map((each) => (each.kind === "status" ? each.text : each.kind));

  test("NOTIFY_SOCKET hears systemd-notify and a plain sender, and leaves neither waiting", async (t) => {
    const python = `import os,socket
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)
s.sendto(b"STATUS=python\\nREADY=1\\nMAINPID=1",os.environ["NOTIFY_SOCKET"])`;
    const senders: readonly (readonly string[])[] = [
      ["systemd-notify", "--ready", "--status=systemd"],
      ["python3", "-c", python],
    ];
    for (const command of senders) {
      const { wiring } = bench();
      const { ended, messages, wires } = run(wiring, wireSpec(gate), command);
      const started = performance.now();
      const code = await ended.catch(() => undefined);
      if (code !== 0) {
        t.diagnostic(`${command[0]} is not usable here: exit code ${code}`);
        continue;
      }
      // systemd-notify waits until the descriptor of its BARRIER=1 is closed, 5 s at most
      assert.ok(performance.now() - started < 4_000, `${command[0]} was left waiting`);
      await eventually(() =>
        assert.deepEqual(words(messages).sort(), ["ready", command[0] === "python3" ? "python" : "systemd"].sort()),
      );
      wires.close();
    }
  });

  test("NOTIFY_SOCKET is a private path that is gone after close", async () => {
    const folder = mkdtempSync(join(tmpdir(), "wires-"));
    const { wiring } = bench({ notifyDirectories: ["/proc/no", `/tmp/${"x".repeat(120)}`, join(folder, "run")] });
    const wires = wiring.connect(wireSpec(gate), () => {});
    const path = wires.env[0]?.slice("NOTIFY_SOCKET=".length) ?? "";
    assert.ok(path.startsWith(join(folder, "run")), path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    wires.close();
    assert.deepEqual(readdirSync(join(folder, "run")), []);
    rmSync(folder, { recursive: true });
    rmSync(`/tmp/${"x".repeat(120)}`, { recursive: true, force: true });
  });

  test("connect says where it tried when no directory takes a socket", () => {
    const before = openDescriptors();
    const { wiring } = bench({ notifyDirectories: ["/proc/no", "/dev/null"] });
    const spec = wireSpec({ ...gate, notifyFd: 9, output: "json" });
    assert.throws(() => wiring.connect(spec, () => {}), /cannot make a NOTIFY_SOCKET.*\/proc\/no: .*\/dev\/null: /);
    assert.equal(openDescriptors(), before);
  });

  const send = `import os,socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"READY=1")`;

  test("NOTIFY_SOCKET is usable by the service's user and by nobody else", {
    skip: root ? false : "needs root",
  }, async () => {
    const { wiring, warnings } = bench();
    const { ended, messages, wires } = run(wiring, wireSpec({ ...gate, identity: nobody }), ["python3", "-c", send]);
    assert.equal(await ended, 0);
    await eventually(() => assert.deepEqual(words(messages), ["ready"]));
    const path = wires.env[0]?.slice("NOTIFY_SOCKET=".length) ?? "";
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: path };
    const as = (uid: number): unknown => execFileSync("python3", ["-c", send], { uid, gid: uid, env, stdio: "ignore" });
    assert.throws(() => as(1234), "another user has reached the socket");
    assert.throws(
      () => execFileSync("ls", [dirname(path)], { uid: 1234, gid: 1234, stdio: "ignore" }),
      "another user can list it",
    );
    assert.deepEqual(warnings, []);
    wires.close();
  });

  test("NOTIFY_SOCKET is made where the service's user may go", { skip: root ? false : "needs root" }, async () => {
    const closed = mkdtempSync(join(tmpdir(), "wires-"));
    const { wiring } = bench({ notifyDirectories: [closed, join(closed, "run"), "/tmp"] });
    const { ended, messages, wires } = run(wiring, wireSpec({ ...gate, identity: nobody }), ["python3", "-c", send]);
    assert.equal(await ended, 0);
    await eventually(() => assert.deepEqual(words(messages), ["ready"]));
    assert.deepEqual(readdirSync(closed), []);
    wires.close();
    rmSync(closed, { recursive: true });
  });

  test("NOTIFY_SOCKET refuses a sender that runs as somebody else, once aloud", {
    skip: root ? false : "needs root",
  }, async () => {
    const { wiring, warnings } = bench();
    const messages: NotifyMessage[] = [];
    const wires = wiring.connect(wireSpec({ ...gate, identity: nobody }), (message) => messages.push(message));
    const path = wires.env[0]?.slice("NOTIFY_SOCKET=".length) ?? "";
    execFileSync("chmod", ["666", path]);
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: path };
    for (const uid of [1234, 1234, 0]) execFileSync("python3", ["-c", send], { uid, gid: uid, env });
    await eventually(() => assert.deepEqual(words(messages), ["ready"]));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /runs as uid 1234, not as 65534/);
    wires.close();
  });

  test("NOTIFY_SOCKET refuses what is too long, and closes descriptors that come along", async () => {
    const { wiring, warnings } = bench();
    const messages: NotifyMessage[] = [];
    const wires = wiring.connect(wireSpec(gate), (message) => messages.push(message));
    const { AF_UNIX, SOCK_DGRAM } = native().constants;
    const fd = native().socket(AF_UNIX, SOCK_DGRAM);
    native().connectUnix(fd, wires.env[0]?.slice("NOTIFY_SOCKET=".length) ?? "");
    const before = openDescriptors();
    native().sendmsg(fd, Buffer.from(`STATUS=${"x".repeat(5000)}`), []);
    native().sendmsg(fd, Buffer.from("FDSTORE=1\nREADY=1"), [0, 0, 0]);
    await eventually(() => assert.deepEqual(words(messages), ["ready"]));
    assert.equal(openDescriptors(), before);
    assert.match(warnings.join(), /longer than 4096 bytes/);
    native().close(fd);
    wires.close();
  });

  test("resume hears what was said while nobody listened, and removes the socket at the end", async () => {
    const folder = mkdtempSync(join(tmpdir(), "wires-"));
    const { fd, path } = bindNotifySocket([folder], undefined);
    execFileSync("python3", ["-c", send], { env: { PATH: process.env.PATH, NOTIFY_SOCKET: path } });
    const spec = wireSpec(gate);
    const messages: NotifyMessage[] = [];
    const wires = bench().wiring.resume(spec, new Map([[`wire:${spec.id}:notify`, fd]]), (message) =>
      messages.push(message),
    );
    await eventually(() => assert.deepEqual(words(messages), ["ready"]));
    wires.close();
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
  });

  test("a newline on the fd means ready, once; the end without one is told", async () => {
    const { wiring } = bench();
    const said = run(wiring, wireSpec({ notifyFd: 9 }), [
      "bash",
      "-c",
      "printf x >&9; printf 'y\\n\\n' >&9; echo >&9; exec 9>&-; sleep 60",
    ]);
    const silent = run(wiring, wireSpec({ notifyFd: 3 }), sh("printf nothing >&3"));
    await silent.ended;
    await eventually(() => said.messages.length === 1);
    assert.deepEqual(said.messages, [{ kind: "ready" }]);
    await eventually(() => silent.messages.length === 1);
    assert.deepEqual(silent.messages, [
      { kind: "status", text: "it closed file descriptor 3 without a newline: it can never be ready" },
    ]);
    said.child.kill("SIGKILL");
    for (const { wires } of [said, silent]) wires.close();
  });
});
