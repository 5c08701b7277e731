import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, test } from "node:test";
import { Worker } from "node:worker_threads";
import { startSpawner } from "../../../src/adapters/init/connect.js";
import { decodeText } from "../../../src/adapters/init/text.js";
import { passListeners } from "../../../src/adapters/sockets/pass.js";
import { createSockets } from "../../../src/adapters/sockets/sockets.js";
import { EntryError } from "../../../src/core/entry-error.js";
import type { Init, InitEvent, Log, SpawnSpec } from "../../../src/runtime/ports.js";
import { eventually } from "../eventually.js";

const binary = resolve(process.env.PINGORA_ENTRY_BIN ?? "dist/bin/pingora-entry");
const directory = mkdtempSync(join(tmpdir(), "pingora-entry-channel-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Exited = Extract<InitEvent, { kind: "exited" }>;

interface Started {
  readonly init: Init;
  readonly events: InitEvent[];
  exit(id: string): Promise<Exited>;
}

async function spawner(): Promise<Started> {
  const init = await startSpawner(binary);
  const events: InitEvent[] = [];
  init.listen((event) => events.push(event));
  cleanups.push(async () => {
    init.exit(0);
    await eventually(() => events.some((event) => event.kind === "closed"));
  });
  const exitOf = (id: string) => events.find((event): event is Exited => event.kind === "exited" && event.id === id);
  return {
    init,
    events,
    async exit(id) {
      await eventually(() => exitOf(id) !== undefined);
      return exitOf(id) as Exited;
    },
  };
}

const path = `PATH=${process.env.PATH}`;
const spec: SpawnSpec = { argv: ["true"], env: [path], pidEnv: [], limits: [], newSession: true, tty: false, fds: [] };
const sh = (script: string, more: Partial<SpawnSpec> = {}): SpawnSpec => ({
  ...spec,
  argv: ["sh", "-c", script],
  ...more,
});

/** What the script wrote into the file named by $OUT. */
async function output(
  { init, exit }: Started,
  id: string,
  script: string,
  more: Partial<SpawnSpec> = {},
): Promise<Buffer> {
  const file = join(directory, id);
  const result = await init.spawn(id, sh(script, { ...more, env: [...(more.env ?? [path]), `OUT=${file}`] }));
  assert.equal(result.ok, true, JSON.stringify(result));
  assert.deepEqual((await exit(id)).status, { code: 0 });
  return readFileSync(file);
}

test("startSpawner gives an init that starts, reports and forgets", async () => {
  const started = await spawner();
  const { init, exit } = started;
  assert.equal(init.isPid1, false);
  assert.deepEqual([init.recovered.children.length, init.recovered.held.size, init.recovered.state.size], [0, 0, 0]);
  const before = Number(process.hrtime.bigint() / 1_000_000n);
  const result = await init.spawn("a", sh("exit 7"));
  assert.equal(result.ok, true);
  const exited = await exit("a");
  assert.deepEqual(exited.status, { code: 7 });
  assert.equal(exited.pid, result.ok ? result.pid : 0);
  assert.ok(exited.usage.maxRssKb > 100 && exited.usage.userMs >= 0);
  assert.ok(exited.at >= before && exited.at <= before + 60_000, `${before} ${exited.at}`);
  init.forget("a");
});

test("spawn passes every byte of environment and arguments, and the working directory", async () => {
  const started = await spawner();
  const odd = decodeText(Buffer.from([0x41, 0xff, 0xc3, 0xa9, 0x80]));
  const bytes = await output(
    started,
    "bytes",
    'printf "%s|%s|" "$ODD" "$(pwd)" > "$OUT"; tr "\\0" "\\n" < /proc/$$/cmdline | tail -n 1 >> "$OUT"',
    {
      env: [path, `ODD=${odd}`],
      cwd: directory,
    },
  );
  assert.equal(bytes.toString("latin1").startsWith(`A\xff\xc3\xa9\x80|${directory}|`), true, bytes.toString("latin1"));
});

test("spawn works with an environment of a megabyte", async () => {
  const started = await spawner();
  const env = [path, ...Array.from({ length: 100 }, (_, index) => `BIG${index}=${"x".repeat(10_000)}`)];
  assert.equal((await output(started, "big", 'env | grep -c ^BIG > "$OUT"', { env })).toString(), "100\n");
});

test("spawn reports the stage and errno when the program cannot run", async () => {
  const { init } = await spawner();
  const plain = join(directory, "plain");
  writeFileSync(plain, "text");
  assert.deepEqual(await init.spawn("none", { ...spec, argv: ["/no/such/program"] }), {
    ok: false,
    stage: "exec",
    errno: "ENOENT",
  });
  assert.deepEqual(await init.spawn("plain", { ...spec, argv: [plain] }), {
    ok: false,
    stage: "exec",
    errno: "EACCES",
  });
  assert.deepEqual(await init.spawn("cwd", { ...spec, cwd: "/no/such/directory" }), {
    ok: false,
    stage: "cwd",
    errno: "ENOENT",
  });
  assert.equal((await init.spawn("twice", sh("sleep 60"))).ok, true);
  assert.deepEqual(await init.spawn("twice", spec), { ok: false, stage: "id", errno: "EEXIST" });
});

test("signal reaches child, group or tree, counts with 0, and finds nobody when all are gone", async () => {
  const { init, exit } = await spawner();
  await init.spawn("tree", sh("(trap '' TERM; setsid sleep 60) & sleep 60 & wait"));
  await eventually(async () => (await init.signal("tree", "0", "tree")) >= 3);
  assert.equal(await init.signal("tree", "SIGTERM", "child"), 1);
  assert.deepEqual((await exit("tree")).status, { signal: "SIGTERM" });
  assert.ok((await init.signal("tree", "SIGKILL", "tree")) >= 2);
  await eventually(async () => (await init.signal("tree", "0", "tree")) === 0);
  assert.equal(await init.signal("tree", "SIGTERM", "child"), 0);
  assert.equal(await init.signal("never-was", "SIGTERM", "tree"), 0);
});

test("spawn gives listeners at their numbers with LISTEN_PID, and nothing else of ours", async () => {
  const started = await spawner();
  const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log, flush() {} };
  const sockets = createSockets({ retry: { attempts: 1, intervalMs: 0 }, log });
  const address = { kind: "unix", path: join(directory, "s"), mode: 0o600, type: "stream" } as const;
  const common = { key: "k", backlog: 1, reusePort: false, envName: "X_FD" } as const;
  const stop = new AbortController().signal;
  const one = await sockets.bind({ ...common, name: "one", address, passAs: "systemd" }, stop);
  const two = await sockets.bind(
    { ...common, name: "two", address: { ...address, path: join(directory, "t") }, passAs: "env" },
    stop,
  );
  cleanups.push(
    () => sockets.close(one),
    () => sockets.close(two),
  );
  const { argv, env, pidEnv, fds } = passListeners(
    [
      "sh",
      "-c",
      'echo "$LISTEN_FDS $LISTEN_FDNAMES $X_FD $((LISTEN_PID == $$))" > "$OUT"; for n in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/self/fd/$n ] || echo $n >> "$OUT"; done',
    ],
    {},
    [two, one],
  );
  const out = join(directory, "listen");
  await started.init.spawn("listen", {
    ...spec,
    argv,
    pidEnv,
    fds,
    env: [path, `OUT=${out}`, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
  });
  await started.exit("listen");
  assert.equal(readFileSync(out, "utf8"), "1 one 4 1\n0\n1\n2\n3\n4\n");
});

test("hold keeps a duplicate in the init until release, and save its newest text", async () => {
  const { init } = await spawner();
  const held = () => readdirSync(`/proc/${init.pid}/fd`).length;
  const before = held();
  const fd = openSync("/dev/null", "r");
  await init.hold("null", fd);
  await init.hold("null", fd);
  closeSync(fd);
  assert.equal(held(), before + 1);
  init.save("phase", "one");
  init.save("phase", "two");
  assert.equal(await init.signal("x", "0", "child"), 0);
  assert.equal(held(), before + 2);
  init.release("null");
  assert.equal(await init.signal("x", "0", "child"), 0);
  assert.equal(held(), before + 1);
});

test("two hundred processes at once are all started and all reported, each once", async () => {
  const { init, events } = await spawner();
  const env = [path, `LARGE=${"x".repeat(20_000)}`];
  const ids = Array.from({ length: 200 }, (_, index) => `p${index}`);
  const results = await Promise.all(ids.map((id) => init.spawn(id, { ...spec, env })));
  assert.equal(
    results.every((result) => result.ok),
    true,
  );
  const exits = () => events.filter((event): event is Exited => event.kind === "exited");
  await eventually(() => exits().length === 200);
  assert.deepEqual(new Set(exits().map((event) => event.id)), new Set(ids));
});

test("a killed spawner gives closed, and refuses what comes later", async () => {
  const { init, events } = await spawner();
  const waiting = init.spawn("slow", sh("exec sleep 60"));
  const result = await waiting;
  cleanups.push(() => result.ok && process.kill(result.pid, "SIGKILL"));
  process.kill(init.pid, "SIGKILL");
  await eventually(() => events.at(-1)?.kind === "closed");
  await assert.rejects(init.spawn("late", spec), EntryError);
  await assert.rejects(init.signal("slow", "SIGTERM", "child"), EntryError);
});

test("the spawner stops everything when its parent is killed without a word", async () => {
  const marker = join(directory, "pid");
  const worker = new Worker(
    `const { spawn } = require("node:child_process");
     const { workerData, parentPort } = require("node:worker_threads");
     const addon = require(workerData.addon);
     const [a, b] = addon.socketpair(addon.constants.SOCK_SEQPACKET);
     spawn(workerData.binary, ["--spawner"], { stdio: ["ignore", "inherit", "ignore", b] });
     addon.close(b);
     const say = (...fields) => addon.sendmsg(a, Buffer.from(fields.join("\\0") + "\\0"), []);
     say("HELLO", "1");
     say("SPAWN", "x", "e=" + workerData.path, "e=OUT=" + workerData.marker, "a=sh", "a=-c", "a=echo $$ > $OUT; exec sleep 60");
     parentPort.on("message", () => { addon.close(a); });
     `,
    { eval: true, workerData: { binary, path, marker, addon: resolve("dist/bin/addon.node") } },
  );
  cleanups.push(() => worker.terminate());
  await eventually(() => existsSync(marker) && readFileSync(marker, "utf8").endsWith("\n"));
  const pid = Number(readFileSync(marker, "utf8"));
  assert.doesNotThrow(() => process.kill(pid, 0));
  worker.postMessage("close");
  await eventually(() => {
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  });
});

test("startSpawner rejects when the program is missing or is something else", async () => {
  await assert.rejects(startSpawner(join(directory, "none")), /cannot start the init|closed the channel/);
  await assert.rejects(startSpawner("/bin/true"), /closed the channel/);
});

test("startSpawner leaves no descriptor behind when the init has ended", async () => {
  const count = () => readdirSync("/proc/self/fd").length;
  const lifetime = async () => {
    const init = await startSpawner(binary);
    const ended = new Promise<void>((done) => init.listen((event) => event.kind === "closed" && done()));
    init.exit(0);
    await ended;
  };
  await lifetime();
  const before = count();
  for (let round = 0; round < 10; round++) await lifetime();
  await eventually(() => count() <= before);
});

test("signal finds what a crowd of dead children has left, detached or not, and nobody else", async () => {
  const { init, exit } = await spawner();
  const script = "sleep 1000 & setsid sleep 1000 & exit 0";
  const ids = Array.from({ length: 12 }, (_, n) => `crowd/${n}#1`);
  const stays = await init.spawn("stays", sh("exec sleep 1000"));
  await Promise.all(ids.map((id) => init.spawn(id, sh(script))));
  await Promise.all(ids.map((id) => exit(id)));
  // the first is looked after by the init, the others by the client: they find the same
  const count = () => Promise.all(ids.map((id) => init.signal(id, "0", "tree")));
  await eventually(async () => (await count()).every((left) => left === 2));
  const killed = await Promise.all(ids.map((id) => init.signal(id, "SIGKILL", "tree")));
  assert.deepEqual(new Set(killed), new Set([2]));
  await eventually(async () => (await count()).every((left) => left === 0));
  assert.equal(await init.signal("stays", "0", "tree"), 1, JSON.stringify(stays));
});
