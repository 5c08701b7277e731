import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join, resolve } from "node:path";
import { afterEach, test } from "node:test";
import { cannotBePid1, eventually, freePort, type Running, type StartOptions, startServer } from "../harness.js";

const clients: Socket[] = [];
afterEach(() => {
  for (const socket of clients.splice(0)) socket.destroy();
});

const node = JSON.stringify(process.execPath);
const web = JSON.stringify(resolve("examples/node-web/server.mjs"));
/** dies of SIGTERM like a program that does not know it; with `deaf` it has to be killed */
const program = (deaf: boolean): string =>
  JSON.stringify(
    `${deaf ? 'process.on("SIGTERM", () => {});' : ""}require("net").createServer(() => console.log("accepted")).listen({ fd: 3 })`,
  );

function start(services: string, options: StartOptions = {}, port = 0): Running {
  const listeners = `{ http: { tcp: "127.0.0.1:${port}" }, path: { unix: "{{dir}}/web.sock" } }`;
  return startServer(
    `
listeners: ${listeners}
services: ${services}
shutdown: { gracePeriodSeconds: 6, lameDuckSeconds: 0, reserveSeconds: 1 }
`,
    options,
  );
}

const portOf = async (server: Running): Promise<number> => {
  const snapshot = await server.phase("Running");
  return Number(snapshot.listeners[0]?.address.split(":").at(-1));
};

async function open(
  to: number | string,
  text = "",
): Promise<{ readonly heard: () => string; readonly socket: Socket }> {
  const socket = typeof to === "number" ? connect(to, "127.0.0.1") : connect(to);
  clients.push(socket);
  let heard = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    heard += chunk;
  });
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(text);
  return { heard: () => heard, socket };
}

const accepted = (server: Running, count: number) => eventually(() => server.stdout.split("accepted").length > count);
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const logged = (server: Running): Record<string, unknown>[] =>
  server.stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
const drainOf = async (server: Running) => (await server.status())?.drains?.find(({ listener }) => listener === "http");

test("a stop says how many connections were drained, in the log, in status and in the last words", async () => {
  await using server = start(
    `{ web: { command: [${node}, ${web}], listeners: [http], readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 1 } } }`,
    {
      env: { DRAIN_SECONDS: "4" },
    },
    await freePort(),
  );
  const port = await portOf(server);
  const idle = await Promise.all([open(port, get("/")), open(port, get("/")), open(port, get("/"))]);
  const stream = await open(port, get("/stream"));
  await eventually(() => idle.every(({ heard }) => heard().includes("hello")) && stream.heard().includes("begin"));
  server.signal("SIGTERM");
  await eventually(async () => (await drainOf(server))?.connections === 4);
  const metrics = (await server.ask("/metrics")).body;
  assert.match(metrics, /^pingora_entry_drain_connections\{listener="http"\} [1-4]$/m);
  for (const { socket } of idle) socket.write(get("/"));
  await eventually(async () => (await drainOf(server))?.drained === 3);
  stream.socket.destroy();
  const { code } = await server.exited;
  assert.equal(code, 0, server.stderr);
  const line = logged(server).find((each) => each.listener === "http" && "drained" in each);
  assert.deepEqual([line?.drained, line?.cut, line?.killed, line?.exact], [4, 0, 0, true], JSON.stringify(line));
  const last = logged(server).find((each) => "exitCode" in each);
  assert.deepEqual([last?.drained, last?.cut], [4, 0]);
});

for (const [deaf, how] of [
  [false, "died of the signal"],
  [true, "had to be killed"],
] as const) {
  test(`a stop says how many connections were cut when the process ${how}`, async () => {
    await using server = start(
      `{ web: { command: [${node}, -e, ${program(deaf)}], listeners: [http], stop: { graceSeconds: 0.5 } } }`,
    );
    const port = await portOf(server);
    await Promise.all([open(port), open(port)]);
    await accepted(server, 2);
    const from = performance.now();
    server.signal("SIGTERM");
    const { code } = await server.exited;
    assert.equal(code, deaf ? 143 : 0, server.stderr);
    assert.ok(performance.now() - from < 2_500, "the stop takes no longer for it");
    const line = logged(server).find((each) => each.listener === "http" && "drained" in each);
    assert.deepEqual([line?.drained, line?.cut, line?.killed], [0, 2, deaf ? 1 : 0], JSON.stringify(line));
  });
}

test("a restart by request counts too, over a unix socket, and connections_cut_total keeps it", async () => {
  await using server = start(`{ web: { command: [${node}, -e, ${program(false)}], listeners: [path] } }`);
  await server.phase("Running");
  await open(join(server.dir, "web.sock"));
  await accepted(server, 1);
  assert.equal((await server.ask("/v1/services/web/restart", "POST")).status, 200);
  const metric = /^pingora_entry_connections_cut_total\{listener="path"\} 1$/m;
  await eventually(async () => metric.test((await server.ask("/metrics")).body));
  assert.equal((await server.status())?.drains?.[0]?.done, true);
});

test("a stop counts as PID 1 of a namespace of its own, too", async (t) => {
  const reason = cannotBePid1();
  if (reason !== undefined) return t.skip(reason);
  await using server = start(`{ web: { command: [${node}, -e, ${program(false)}], listeners: [http] } }`, {
    pid1: true,
  });
  const port = await portOf(server);
  await open(port);
  await accepted(server, 1);
  server.signal("SIGTERM");
  await server.exited;
  const line = logged(server).find((each) => each.listener === "http" && "drained" in each);
  assert.equal(line?.cut, 1, server.stderr);
});
