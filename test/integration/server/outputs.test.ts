import assert from "node:assert/strict";
import { chmodSync, readFileSync, readlinkSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { native } from "../../../src/adapters/native/addon.js";
import { childrenOf, commandOf, eventually, type Running, type StartOptions, startServer } from "../harness.js";

const configuration = `
services:
  sleeper: { command: [sleep, "1000"] }
shutdown: { gracePeriodSeconds: 5, lameDuckSeconds: 0, reserveSeconds: 1 }
`;

/** As the service sees them: O_NONBLOCK belongs to the open file. */
function nonblocking(pid: number, fd: number): boolean {
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "";
  return (Number.parseInt(flags, 8) & 0o4000) !== 0;
}

function outputsOf(kind: "pipe" | "socket"): [number, number] {
  const { pipe, socketpair, setNonblock, constants } = native();
  const ends = kind === "pipe" ? pipe() : socketpair(constants.SOCK_STREAM);
  setNonblock(ends[1], false);
  return ends;
}

function serviceOf(server: Running): number {
  const pid = childrenOf(server.initPid()).find((child) => commandOf(child).startsWith("sleep"));
  assert.ok(pid !== undefined);
  return pid;
}

/** What has been written so far, without waiting for more. */
function readNow(fd: number): string {
  const buffer = Buffer.alloc(1024 * 1024);
  native().setNonblock(fd, true);
  try {
    return buffer.toString("utf8", 0, readSync(fd, buffer));
  } catch {
    return "";
  }
}

function fill(fd: number): void {
  native().setNonblock(fd, true);
  try {
    for (;;) writeSync(fd, Buffer.alloc(1024));
  } catch {
    native().setNonblock(fd, false);
  }
}

async function withOutputs(
  kind: "pipe" | "socket",
  { full = false, ...options }: StartOptions & { readonly full?: boolean },
  look: (server: Running, read: number) => Promise<void>,
): Promise<void> {
  const [read, write] = outputsOf(kind);
  if (full) fill(write);
  try {
    await using server = startServer(configuration, { ...options, outputs: write });
    await look(server, read);
  } finally {
    for (const fd of [read, write]) native().close(fd);
  }
}

const asNobody: StartOptions = {
  before: (dir) => chmodSync(dir, 0o777),
  under: ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
};
const needsRoot = process.getuid?.() !== 0 && "needs root, to be another user";

for (const kind of ["pipe", "socket"] as const) {
  test(`pingora-entry leaves the flags of the ${kind} that its services write to alone when the endpoints are up`, async () => {
    await withOutputs(kind, {}, async (server) => {
      await server.phase("Running");
      assert.equal((await server.ask("/metrics")).status, 200);
      const pid = serviceOf(server);
      assert.deepEqual([nonblocking(pid, 1), nonblocking(pid, 2)], [false, false]);
    });
  });

  test(`pingora-entry leaves the flags of the ${kind} alone when Node itself or a library says something`, async () => {
    const before = (dir: string) =>
      writeFileSync(
        join(dir, "talk.cjs"),
        `if (process.env.PINGORA_ENTRY_CHANNEL) setTimeout(() => {
  process.emitWarning("a warning of a library");
  console.log("a notice of a library");
}, 300);`,
      );
    const options = { before, env: { NODE_OPTIONS: "--require=./talk.cjs" } };
    await withOutputs(kind, options, async (server, read) => {
      await server.phase("Running");
      let said = "";
      await eventually(() => {
        said += readNow(read);
        return said.includes("a warning of a library") && said.includes("a notice of a library");
      });
      const pid = serviceOf(server);
      assert.deepEqual([nonblocking(pid, 1), nonblocking(pid, 2)], [false, false]);
    });
  });
}

for (const kind of ["pipe", "socket"] as const) {
  for (const full of [false, true]) {
    const state = full ? "full" : "read";
    test(`pingora-entry runs and stops as another user than the owner of the ${kind} it writes to, which is ${state}`, {
      skip: needsRoot,
    }, async () => {
      await withOutputs(kind, { ...asNobody, full }, async (server, read) => {
        await server.phase("Running");
        const pid = serviceOf(server);
        assert.deepEqual([nonblocking(pid, 1), nonblocking(pid, 2)], [false, false]);
        server.signal("SIGTERM");
        assert.equal((await server.exited).code, 0, readNow(read));
      });
    });
  }

  test(`pingora-entry says what is wrong to another user's ${kind}, all of it`, { skip: needsRoot }, async () => {
    const [read, write] = outputsOf(kind);
    try {
      const wrong = Array.from({ length: 90 }, (_, i) => `s${i}: { comand: [sleep, "1000"] }`).join("\n  ");
      await using server = startServer(`services:\n  ${wrong}\n`, { ...asNobody, outputs: write });
      let said = "";
      const reading = setInterval(() => {
        said += readNow(read);
      }, 5);
      const { code } = await server.exited;
      clearInterval(reading);
      said += readNow(read);
      assert.equal(code, 78, said);
      assert.match(said, /^pingora-entry: .*90 problems/);
      for (let i = 0; i < 90; i++) assert.ok(said.includes(`services.s${i}.comand`), `s${i} in ${said}`);
    } finally {
      for (const fd of [read, write]) native().close(fd);
    }
  });

  test(`pingora-entry runs and stops when the ${kind} it writes to is full before it starts`, async () => {
    await withOutputs(kind, { full: true }, async (server) => {
      await server.phase("Running");
      const pid = serviceOf(server);
      assert.deepEqual([nonblocking(pid, 1), nonblocking(pid, 2)], [false, false]);
      server.signal("SIGTERM");
      assert.equal((await server.exited).code, 0);
    });
  });
}

test("pingora-entry gives /dev/null to itself and its services when it is started with its outputs closed", async () => {
  await using server = startServer(configuration, { under: ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'] });
  await server.phase("Running");
  for (const pid of [server.initPid(), server.supervisor() ?? 0, serviceOf(server)]) {
    const outputs = [0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    assert.deepEqual(outputs, ["/dev/null", "/dev/null", "/dev/null"], commandOf(pid));
  }
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0);
});

test("pingora-entry says which orphans were reaped when it is told to, also with a configuration", async () => {
  const orphan = `
services:
  parent: { command: [sh, -c, "(sleep 0.1 &); exec sleep 1000"] }
`;
  await using server = startServer(orphan, { args: ["--warn-on-reap"] });
  await server.phase("Running");
  await eventually(() => /reaped \d+, whose parent/.test(server.stderr));
});
