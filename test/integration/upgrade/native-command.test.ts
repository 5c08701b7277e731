import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { eventually, heard, kill, program } from "../harness.js";
import { Upgradable } from "./stage.js";

const config = `
listeners: { http: { tcp: "127.0.0.1:{{port}}", passAs: systemd } }
services: { web: { listeners: [http], command: [{{web}}, "1"] } }
upgrade: { probationSeconds: 0.3 }
shutdown: { gracePeriodSeconds: 5 }
`;

interface Asked {
  readonly path: string;
  readonly body: string;
}

/** A supervisor that answers as it is told, and remembers what it was asked. */
async function pretend(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "pe-order-")));
  const socket = join(directory, "control.sock");
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      asked.push({ path: request.url ?? "", body });
      answer(request, response);
    });
  });
  await new Promise<void>((done) => server.listen(socket, done));
  const run = (args: readonly string[], options: { readonly cwd?: string; readonly node?: false } = {}) => {
    let alone = program;
    if (options.node === false) {
      mkdirSync(join(directory, "alone"), { recursive: true });
      alone = join(directory, "alone/pingora-entry");
      copyFileSync(program, alone);
    }
    const child = spawn(alone, ["upgrade", "--socket", socket, ...args], {
      cwd: options.cwd ?? directory,
      env: { ...process.env, ...(options.node === false ? { PATH: "/nowhere" } : {}) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return heard(child).ended;
  };
  return {
    directory,
    asked,
    run,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const outcome = { kind: "outcome", attempt: "a", result: "completed", reason: "", cause: "none", at: 1, seconds: 1 };
const outcomeLine = `${JSON.stringify({ ...outcome, generation: 2, warnings: [] })}\n`;

test("an upgrade is ordered without Node", async () => {
  await using stage = await Upgradable.start(config);
  await stage.server.phase("Running");
  const alone = join(stage.server.dir, "alone");
  mkdirSync(alone);
  copyFileSync(program, join(alone, "pingora-entry"));
  const child = spawn(join(alone, "pingora-entry"), ["upgrade", "--socket", stage.server.socket], {
    env: { PATH: "/nowhere" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = await heard(child).ended;
  assert.equal(said.code, 0, said.err);
  assert.match(
    said.out,
    /^start {6}the new generation\n(.*\n)*FINALIZE .*\nreplaced after .* s: generation 2 serves\n$/,
  );
  assert.equal(said.err, "");
});

test("lines in pieces, of any length, go to their streams, and an unknown one to none", async () => {
  const long = "x".repeat(100_000);
  await using place = await pretend((_request, response) => {
    response.writeHead(200);
    for (const piece of ["#", "one", "\n>fir", "st\n>", `${long}`, "\n?new\n!tw", "o\n", `!${long}\n>\n`, "=1", "7\n"])
      response.write(piece);
    response.end();
  });
  const { code, out, err } = await place.run([], { node: false });
  assert.deepEqual([code, out, err], [17, `first\n${long}\n\n`, `two\n${long}\n`]);
});

test("paths are made absolute, whoever sends them", async () => {
  await using place = await pretend((request, response) => {
    if (request.url?.startsWith("/v1/upgrade/terminal")) response.end("=0\n");
    else response.end(outcomeLine);
  });
  const at = (path: string): string => join(place.directory, path);
  const cwd = at("in side");
  mkdirSync(cwd);
  const plain = ["-c", "a.yaml", "--conf=/b/../c.yaml", "--path", "../r", "--wait"];
  assert.equal((await place.run(plain, { cwd, node: false })).code, 0);
  const other = ["-c", 'ä".yaml', "-cx.yaml"];
  assert.equal((await place.run(other, { cwd })).code, 0);
  assert.deepEqual(
    place.asked.map(({ path, body }) => [path, JSON.parse(body)]),
    [
      [
        "/v1/upgrade/terminal",
        // as written: the supervisor takes out what leads back
        { conf: [`${cwd}/a.yaml`, "/b/../c.yaml"], path: `${cwd}/../r`, wait: true },
      ],
      ["/v1/upgrade", { conf: [`${cwd}/ä".yaml`, `${cwd}/x.yaml`], wait: false }],
    ],
  );
});

test("a supervisor of an older release is asked as it was before", async () => {
  await using place = await pretend((request, response) => {
    if (request.url === "/v1/upgrade") response.end(outcomeLine);
    else response.writeHead(404).end(">not this\n=3\n");
  });
  const { code, out, err } = await place.run([]);
  assert.deepEqual([code, out, err], [0, "replaced after 1.0 s: generation 2 serves\n", ""]);
  assert.deepEqual(
    place.asked.map(({ path }) => path),
    ["/v1/upgrade/terminal", "/v1/upgrade"],
  );
});

for (const [when, answer, more, paths] of [
  ["has begun it", "#a\n>begun\n", [], ["/status"]],
  ["has not begun it", "#\n>waits\n", ["--wait"], ["/v1/upgrade"]],
] as const) {
  test(`an order is not sent twice, and not lost, when the connection breaks to one that ${when}`, async () => {
    await using place = await pretend((request, response) => {
      if (request.url === "/status") response.end(JSON.stringify({ lastUpgrade: JSON.parse(outcomeLine) }));
      else if (request.url === "/v1/upgrade") response.end(outcomeLine);
      else {
        response.writeHead(200);
        response.write(answer, () => response.destroy());
      }
    });
    const { code, out } = await place.run(more);
    assert.equal(code, 0);
    assert.match(out, /^(begun|waits)\n(wait .*: asked again\n)?replaced after 1.0 s: generation 2 serves\n$/);
    assert.deepEqual(
      place.asked.map(({ path }) => path),
      ["/v1/upgrade/terminal", ...paths],
    );
  });
}

test("the exit code is the last word, whatever becomes of the connection", async () => {
  await using place = await pretend((_request, response) => {
    response.writeHead(200);
    response.write("#a\n>begun\n=1\n", () => response.destroy());
  });
  assert.deepEqual(await place.run([], { node: false }), { code: 1, out: "begun\n", err: "" });
});

test("an empty path, and one relative to a directory that is gone, are mistakes of the command line", async () => {
  await using place = await pretend((_request, response) => response.end("=0\n"));
  const empty = await place.run(["-c", ""]);
  assert.deepEqual([empty.code, empty.err], [64, 'pingora-entry: option "--conf" needs a value that is not empty\n']);
  const gone = join(place.directory, "gone");
  mkdirSync(gone);
  const words = `cd ${gone} && rmdir ${gone} && exec ${program} upgrade --socket ${place.directory}/control.sock -c a.yaml`;
  const { status, stderr } = spawnSync("/bin/sh", ["-c", words], { encoding: "utf8" });
  assert.equal(status, 64);
  assert.match(stderr, /^pingora-entry: cannot use "a.yaml" for --conf: the working directory is gone/);
  assert.deepEqual(place.asked, []);
});

test("an order that nobody has read when its client gives up is not carried out", async () => {
  await using stage = await Upgradable.start(config);
  const { server } = stage;
  const { pid } = await server.phase("Running");
  const connections = () => readFileSync("/proc/net/unix", "utf8").split(server.socket).length;
  kill(pid, "SIGSTOP");
  const before = connections();
  const child = spawn(program, ["upgrade", "--socket", server.socket], { stdio: "ignore" });
  const ended = once(child, "close");
  await eventually(() => connections() > before, { what: "a connection" });
  child.kill("SIGINT");
  assert.deepEqual(await ended, [130, null]);
  // the init starts another supervisor, which finds the order in the queue
  await eventually(async () => (await server.phase("Running")).pid !== pid, {
    what: "another supervisor",
    timeoutMs: 20_000,
  });
  const { code, out, err } = await stage.upgrade(config);
  assert.equal(code, 0, err);
  assert.match(out, /generation 2 serves\n$/);
});

test("what is in the way of an order that waits is waited for", async () => {
  await using place = await pretend((request, response) => {
    if (request.url === "/v1/upgrade") response.end(outcomeLine);
    else response.end("=75\n");
  });
  assert.equal((await place.run(["--wait"])).code, 0);
  assert.equal((await place.run([])).code, 75);
});

for (const [what, leave] of [
  ["a signal", (child: ChildProcess) => child.kill("SIGTERM")],
  ["a reader that goes away", (child: ChildProcess) => child.stdout?.destroy()],
] as const) {
  test(`${what} ends the command, and not the upgrade`, async () => {
    await using place = await pretend((_request, response) => {
      response.writeHead(200);
      response.write("#a\n");
      const talk = setInterval(() => response.write(">talk\n"), 10);
      response.on("close", () => clearInterval(talk));
    });
    const child = spawn(program, ["upgrade", "--socket", join(place.directory, "control.sock")], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { ended } = heard(child);
    await once(child.stdout, "data");
    leave(child);
    const { code, err } = await ended;
    assert.equal(code, 130);
    assert.equal(err, "pingora-entry: the upgrade goes on; pingora-entry status tells how it ends\n");
  });
}
