import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../../../test/integration/eventually.js";
import { native } from "../native/addon.js";
import { watch } from "../native/watch.js";
import { boundedWriter } from "./bounded-writer.js";

// the other user's part of the test about a pipe that may not be opened
if (process.argv.includes("--write-as-nobody")) {
  native();
  process.setgid?.(65_534);
  process.setuid?.(65_534);
  const writer = boundedWriter(1);
  const welcome = writer.write(Buffer.from(lines(0, 2_000)));
  const from = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.send?.({ welcome, loopMs: performance.now() - from });
  await writer.finish(5_000);
  process.exit(0);
}

/** Reads what is there now; "" when nothing is. */
function readNow(fd: number): string {
  const buffer = Buffer.alloc(2 * 1024 * 1024);
  let text = "";
  native().setNonblock(fd, true);
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      text += buffer.toString("utf8", 0, count);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
  }
  return text;
}

function lines(from: number, to: number): string {
  let text = "";
  for (let n = from; n < to; n++) text += `line ${n} ${"x".repeat(90)}\n`;
  return text;
}

test("BoundedWriter has written when write returns", () => {
  const [read, write] = native().pipe();
  const writer = boundedWriter(write);
  assert.equal(writer.write(Buffer.from("one\n")), true);
  assert.equal(writer.write(Buffer.from("two\n")), true);
  assert.equal(readNow(read), "one\ntwo\n");
  for (const fd of [read, write]) native().close(fd);
});

test("BoundedWriter holds back what a stalled pipe does not take, asks for a pause, and goes on when it is read", async () => {
  const [read, write] = native().pipe();
  const writer = boundedWriter(write);
  let sent = "";
  let welcome = true;
  const from = performance.now();
  for (let n = 0; welcome; n += 10) {
    sent += lines(n, n + 10);
    welcome = writer.write(Buffer.from(lines(n, n + 10)));
  }
  assert.ok(sent.length > 120 * 1024 && sent.length < 140 * 1024, `${sent.length} bytes taken`);
  assert.ok(performance.now() - from < 500);
  assert.equal(native().getFlags(write).nonblock, false, "the open file is the services', too");
  let drained = false;
  writer.onceDrained(() => {
    drained = true;
  });
  writer.flush();
  assert.equal(drained, false);
  let got = "";
  await eventually(() => {
    got += readNow(read);
    return drained;
  });
  assert.equal(got + readNow(read), sent);
  assert.equal(writer.dropped, 0);
  for (const fd of [read, write]) native().close(fd);
});

test("BoundedWriter asks before it writes to a pipe that it may not open, and leaves its flags alone", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("needs root, to give a pipe to another user");
  const [read, write] = native().pipe();
  const child = fork(process.argv[1] ?? "", ["--write-as-nobody"], {
    stdio: ["ignore", write, "pipe", "ipc"],
  });
  let problem = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    problem += text;
  });
  let said: { readonly welcome: boolean; readonly loopMs: number } | undefined;
  child.on("message", (message) => {
    said = message as NonNullable<typeof said>;
  });
  await eventually(() => said !== undefined || child.exitCode !== null);
  assert.equal(said?.welcome, false, problem);
  assert.ok((said?.loopMs ?? 1e9) < 500, "the loop went on while nobody read");
  assert.equal(native().getFlags(write).nonblock, false);
  let got = "";
  await eventually(() => {
    got += readNow(read);
    return child.exitCode !== null;
  });
  assert.equal(got + readNow(read), lines(0, 2_000));
  for (const fd of [read, write]) native().close(fd);
});

test("BoundedWriter drops whole pieces beyond its limit and says how many lines there were", async () => {
  const [read, write] = native().pipe();
  const writer = boundedWriter(write, { enoughBytes: 10_000, mostBytes: 20_000 });
  writer.onGap((count) => Buffer.from(`(${count} lines dropped)\n`));
  for (let n = 0; n < 2_000; n++) writer.write(Buffer.from(lines(n, n + 1)));
  assert.ok(writer.dropped > 90_000);
  let got = "";
  await eventually(() => {
    got += readNow(read);
    return got.includes("dropped");
  });
  await writer.finish(1_000);
  writer.write(Buffer.from("after\n"));
  got += readNow(read);
  const all = got.trimEnd().split("\n");
  const gap = all.findIndex((line) => line.startsWith("("));
  assert.equal(all.length, gap + 2);
  assert.equal(all.at(-1), "after");
  assert.equal(all[gap], `(${2_000 - gap} lines dropped)`);
  assert.equal(`${all.slice(0, gap).join("\n")}\n`, lines(0, gap), "every line before the gap is whole and in order");
  for (const fd of [read, write]) native().close(fd);
});

test("BoundedWriter finishes late rather than never when nobody reads", async () => {
  const [read, write] = native().pipe();
  const writer = boundedWriter(write);
  writer.write(Buffer.alloc(100 * 1024));
  const from = performance.now();
  await writer.finish(50);
  const took = performance.now() - from;
  assert.ok(took >= 49 && took < 1_000, `${took} ms`);
  for (const fd of [read, write]) native().close(fd);
});

test("BoundedWriter outlives a reader that is gone, and finds the next one of a named pipe", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pe-log-"));
  const path = join(dir, "fifo");
  const { execFileSync } = await import("node:child_process");
  execFileSync("mkfifo", [path]);
  const first = openSync(path, 2048);
  const write = openSync(path, "w");
  const writer = boundedWriter(write);
  writer.onGap((count) => Buffer.from(`(${count})\n`));
  writer.write(Buffer.from("one\n"));
  assert.equal(readNow(first), "one\n");
  native().close(first);
  for (let n = 0; n < 3; n++) assert.equal(writer.write(Buffer.from("lost\n")), true, "nobody has to pause for it");
  assert.ok(writer.dropped >= 15);
  const second = openSync(path, 2048);
  writer.write(Buffer.from("two\n"));
  assert.match(readNow(second), /^\(\d\)\ntwo\n$/);
  for (const fd of [second, write]) native().close(fd);
  rmSync(dir, { recursive: true });
});

test("BoundedWriter appends to a file, sends to a socket, and survives a closed descriptor", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pe-log-"));
  const path = join(dir, "file");
  const file = openSync(path, "w");
  const toFile = boundedWriter(file);
  for (const word of ["one\n", "two\n"]) toFile.write(Buffer.from(word));
  assert.equal(readFileSync(path, "utf8"), "one\ntwo\n");
  native().close(file);
  toFile.write(Buffer.from("three\n"));
  assert.equal(toFile.dropped, 6);

  const [here, there] = native().socketpair(native().constants.SOCK_STREAM);
  native().setNonblock(here, false);
  const toSocket = boundedWriter(here);
  let sent = "";
  while (toSocket.write(Buffer.from(lines(0, 100)))) sent += lines(0, 100);
  sent += lines(0, 100);
  assert.equal(native().getFlags(here).nonblock, false);
  // the number itself stays free for another watch: process.stderr would be one
  watch(here, 0, () => {}).close();
  native().setNonblock(here, false);
  let got = "";
  await eventually(() => {
    got += readNow(there);
    return got.length === sent.length;
  });
  assert.equal(got, sent);
  for (const fd of [here, there]) native().close(fd);
  assert.equal(boundedWriter(9_999).write(Buffer.from("x")), true);
  rmSync(dir, { recursive: true });
});
