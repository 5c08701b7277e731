import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, kill, type Running, startServer } from "../harness.js";

/** Answers on each socket with the name that LISTEN_FDNAMES gives it, and its pid. */
const answering = `
const names = process.env.LISTEN_FDNAMES.split(":");
if (process.env.LISTEN_PID !== String(process.pid)) throw new Error("LISTEN_PID is " + process.env.LISTEN_PID);
if (names.length !== Number(process.env.LISTEN_FDS)) throw new Error("LISTEN_FDS is " + process.env.LISTEN_FDS);
const { createServer } = require("node:net");
names.forEach((name, i) => createServer((socket) => socket.end(name + " " + process.pid)).listen({ fd: i + 3 }));
process.on("SIGTERM", () => process.exit(0));
`;

function configuration(names: readonly string[]): string {
  return `
listeners:
${names.map((name) => `  ${name}: { tcp: "127.0.0.1:0" }`).join("\n")}
services:
  web:
    command: [${JSON.stringify(process.execPath)}, -e, ${JSON.stringify(answering)}]
    listeners: [${names.join(", ")}]
shutdown: { gracePeriodSeconds: 10, lameDuckSeconds: 0, reserveSeconds: 1 }
`;
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `listener-${index}`);
}

function answer(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const port = Number(address.slice(address.lastIndexOf(":") + 1));
    connect(port, "127.0.0.1")
      .setEncoding("utf8")
      .on("data", (more: string) => {
        text += more;
      })
      .on("end", () => resolve(text))
      .on("error", reject);
  });
}

/** Connects to every listener and returns the process that answered on all of them, each under its name. */
async function served(server: Running, names: readonly string[]): Promise<string> {
  const { listeners } = await server.phase("Running");
  assert.deepEqual(
    listeners.map(({ name }) => name),
    names,
  );
  const answers = await Promise.all(listeners.map(({ address }) => answer(address)));
  const [pid = ""] = answers[0]?.split(" ").slice(1) ?? [];
  assert.deepEqual(
    answers,
    names.map((name) => `${name} ${pid}`),
  );
  return pid;
}

for (const count of [200, 1000]) {
  test(`a service with ${count} listeners accepts on each, also when it or the supervisor was started again`, async () => {
    const names = numbered(count);
    // a soft limit that the service fits in, and the placing of its descriptors does not
    await using server = startServer(configuration(names), { under: ["prlimit", "--nofile=1024:8192"] });
    const first = await served(server, names);
    const supervisor = await eventually(() => server.supervisor());
    kill(supervisor);
    await eventually(() => ![undefined, supervisor].includes(server.supervisor()), { what: "another supervisor" });
    assert.equal(await served(server, names), first);
    assert.equal((await server.ask("/v1/services/web/restart", "POST")).status, 200);
    const second = await served(server, names);
    assert.notEqual(second, first);
    kill(Number(second));
    await eventually(async () => (await server.status())?.services[0]?.instances[0]?.restarts === 1);
    assert.notEqual(await served(server, names), second);
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0, server.stderr);
  });
}

test("a stop with 3000 listeners ends in time and by one supervisor", async () => {
  const short = configuration(numbered(3000)).replace("gracePeriodSeconds: 10", "gracePeriodSeconds: 4");
  await using server = startServer(short, { under: ["prlimit", "--nofile=4096:8192"] });
  await server.phase("Running");
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0, server.stderr);
  assert.doesNotMatch(server.stderr, /took over from a supervisor that died/);
});

test("a service fails with the numbers when its listeners are more than the init may place", async () => {
  await using server = startServer(configuration(numbered(300)), { under: ["prlimit", "--nofile=512:512"] });
  await eventually(
    () =>
      /cannot pass 300 descriptors: the init's limit nofile is 512, 6\d\d are needed \(3\d\d of them/.test(
        server.stderr,
      ),
    { what: "the reason" },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${server.stderr}`);
  });
});

test("a service fails for good when the names of its listeners are too long for one variable", async () => {
  const names = numbered(2100).map((name) => name.padEnd(63, "x"));
  await using server = startServer(configuration(names));
  const { code } = await server.exited;
  assert.notEqual(code, 0);
  assert.match(
    server.stderr,
    /cannot execute .*: its variable LISTEN_FDNAMES is 134414 bytes long, the kernel takes 131071/,
  );
});
