import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, freePort } from "../harness.js";
import { loadProgram } from "./load-program.js";

interface Counters {
  readonly [name: string]: number;
}
interface Latency {
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}
interface Report {
  readonly total: Counters & { readonly steady: Latency; readonly window: Latency; readonly drain: Latency };
  readonly samples: readonly { readonly outcome: string; readonly detail: string }[];
}

let load = "";
let dir = "";
const servers = new Set<Server>();
const children = new Set<ChildProcess>();

before(() => {
  load = loadProgram();
  dir = mkdtempSync(join(tmpdir(), "pe-load-"));
});

after(() => {
  for (const child of children) child.kill("SIGKILL");
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A server of raw bytes; `request` is called for each one that came whole, with its number on that connection. */
async function serve(
  request: (socket: Socket, id: string, number: number) => void,
  options: { readonly accepted?: (socket: Socket) => void; readonly path?: string } = {},
): Promise<string> {
  const server = createServer((socket) => {
    let text = "";
    let number = 0;
    socket.on("error", () => {});
    options.accepted?.(socket);
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const id = /x-request-id: (\S+)/i.exec(text)?.[1] ?? "";
        text = text.slice(end + 4);
        request(socket, id, number++);
      }
    });
  });
  servers.add(server);
  server.listen(options.path ?? { port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? `127.0.0.1:${address.port}` : `unix:${address}`;
}

interface Bent {
  readonly body?: string;
  readonly generation?: number;
  readonly length?: number;
  readonly more?: string;
}

function plain(id: string, bent: Bent = {}): string {
  const { body = `plain ${id}\n`, generation = 1, more = "" } = bent;
  const length = bent.length ?? body.length;
  return `HTTP/1.1 200 OK\r\nx-request-id: ${id}\r\nx-generation: ${generation}\r\ncontent-length: ${length}\r\n${more}\r\n${body}`;
}

function begin(...words: string[]) {
  const child = spawn(load, words, { stdio: ["pipe", "pipe", "inherit"] });
  children.add(child);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const report = once(child, "close").then(() => JSON.parse(output) as Report);
  return { say: (line: string) => child.stdin.write(`${line}\n`), stop: () => child.stdin.end(), report };
}

const run = (...words: string[]): Promise<Report> => begin("--timeout-ms", "300", "--seconds", "0.4", ...words).report;
const now = () => process.hrtime.bigint();

test("load counts an answer as ok when id, generation and body are right", async () => {
  const target = await serve((socket, id) => socket.end(plain(id)));
  const { total, samples } = await run(`new,${target},100,8`);
  assert.ok((total.ok ?? 0) > 20);
  assert.equal(total.ok, total.sent, JSON.stringify(samples));
  assert.equal(total.steady.count, total.ok);
});

test("load counts refused when nobody listens", async () => {
  const port = await freePort();
  const { total } = await run(`new,127.0.0.1:${port},100,8`, `new,unix:${dir}/nobody.sock,100,8`);
  assert.ok((total.refused ?? 0) > 40);
  assert.equal(total.refused, total.sent);
});

test("load counts refused when a unix socket's path is there and nobody listens", async () => {
  const path = join(dir, "stale.sock");
  const holder = spawn(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(path)})`]);
  children.add(holder);
  await eventually(async () => (await run(`new,unix:${path},20,1`)).total.refused === 0);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  const { total } = await run(`new,unix:${path},100,8`);
  assert.equal(total.refused, total.sent);
});

test("load counts reset when the server resets a request", async () => {
  const target = await serve((socket) => socket.resetAndDestroy());
  const { total } = await run(`new,${target},100,8`);
  assert.ok((total.reset ?? 0) > 20);
  assert.equal(total.reset, total.sent);
});

test("load counts unanswered when the server closes, says half, or says nothing", async () => {
  for (const misbehave of [
    (socket: Socket) => socket.end(),
    (socket: Socket, id: string) => socket.end(plain(id, { length: 1000 })),
    () => {},
  ]) {
    const target = await serve(misbehave);
    const { total } = await run(`new,${target},100,8`);
    assert.ok((total.unanswered ?? 0) >= 8);
    assert.equal(total.unanswered, total.sent);
  }
});

test("load counts wrong when id, body or length is not what it should be", async () => {
  for (const answer of [
    (id: string) => plain(`${id}0`),
    (id: string) => plain(id, { body: "plain other\n" }),
    (id: string) => plain(id, { body: `plain ${id}\nmore\n` }),
    (id: string) => plain(id).replace("200 OK", "503 Service Unavailable"),
    (id: string) => plain(id).replace("x-generation", "x-other"),
    () => "this is not HTTP\r\n\r\n",
  ]) {
    const target = await serve((socket, id) => socket.end(answer(id)));
    const { total } = await run(`new,${target},100,8`);
    assert.ok((total.wrong ?? 0) > 20, answer("ID"));
    assert.equal(total.wrong, total.sent);
  }
});

test("load counts wrong when an old generation answers a connection opened after it was over", async () => {
  const target = await serve((socket, id) => socket.end(plain(id, { generation: 1 })));
  const running = begin("--seconds", "0.6", `new,${target},100,8`);
  running.say(`generation 2 ${now() + 300_000_000n}`);
  const { total } = await running.report;
  assert.ok((total.wrong ?? 0) > 10);
  assert.ok((total.ok ?? 0) > 10);
});

test("load lets an old generation answer on connections that were open before", async () => {
  const target = await serve((socket, id) => socket.write(plain(id, { generation: 1 })));
  const running = begin("--seconds", "0.6", `keep,${target},100,2`);
  running.say(`generation 2 ${now() + 300_000_000n}`);
  const { total } = await running.report;
  assert.equal(total.wrong, 0);
  assert.equal(total.ok, total.sent);
});

test("load counts lost when a kept connection is closed under a request", async () => {
  for (const close of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
    const target = await serve((socket, id, number) => {
      if (number === 1) close(socket);
      else socket.write(plain(id));
    });
    const { total } = await run(`keep,${target},100,4`);
    assert.ok((total.lost ?? 0) > 10);
    assert.equal((total.lost ?? 0) + (total.ok ?? 0), total.sent);
    assert.equal((total.reset ?? 0) + (total.unanswered ?? 0), 0);
  }
});

test("load counts no loss when a kept connection is closed while idle, or by Connection: close", async () => {
  for (const close of [
    (socket: Socket, id: string) => socket.end(plain(id)),
    (socket: Socket, id: string) => socket.end(plain(id, { more: "connection: close\r\n" })),
  ]) {
    const target = await serve(close);
    const { total } = await run(`keep,${target},50,4`);
    assert.equal(total.ok, total.sent);
    assert.equal(total.lost, 0);
  }
});

test("load counts cut when a stream or an upgraded connection breaks off", async () => {
  const stream = await serve((socket, id) => {
    socket.write(plain(id, { body: `${id} 0\n`, length: 1000 }));
    setImmediate(() => socket.destroy());
  });
  const upgraded = await serve((socket, id) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nx-request-id: ${id}\r\nx-generation: 1\r\n\r\n`);
    setImmediate(() => socket.destroy());
  });
  const { total } = await run(`stream,${stream},20,8`, `upgraded,${upgraded},20,8`);
  assert.ok((total.cut ?? 0) > 8);
  assert.equal(total.cut, total.sent);
});

test("load counts told, not cut, when the server says bye on an upgraded connection", async () => {
  const target = await serve((socket, id) =>
    socket.end(`HTTP/1.1 101 Switching Protocols\r\nx-request-id: ${id}\r\nx-generation: 1\r\n\r\nbye\n`),
  );
  const { total } = await run(`upgraded,${target},50,8`);
  assert.ok((total.told ?? 0) > 8);
  assert.equal(total.ok, total.sent);
});

test("load counts reset when the server resets in the middle of a slow body", async () => {
  const target = await serve((socket) => setTimeout(() => socket.resetAndDestroy(), 100));
  const { total } = await run(`post,${target},50,8`);
  assert.ok((total.reset ?? 0) > 3);
  assert.equal(total.reset, total.sent);
});

test("load puts latencies into windows when it was told of them", async () => {
  const target = await serve((socket, id) => setTimeout(() => socket.end(plain(id)), slow ? 60 : 0));
  let slow = false;
  const running = begin("--seconds", "5", `new,${target},100,16`);
  const wait = (ms: number) => new Promise((wake) => setTimeout(wake, ms));
  await wait(300);
  running.say(`window ${now()}`);
  slow = true;
  await wait(300);
  slow = false;
  await wait(100);
  running.say(`drain ${now()}`);
  await wait(300);
  running.say(`steady ${now()}`);
  await wait(300);
  running.stop();
  const { total } = await running.report;
  assert.ok(total.drain.count > 10 && total.drain.p99Us < total.window.p99Us);
  assert.ok(total.window.count > 10 && total.steady.count > 10);
  assert.ok(total.window.p99Us >= 58_000, `${total.window.p99Us} us in the window`);
  assert.ok(total.steady.p99Us < total.window.p99Us);
});

test("load says skipped when every connection was busy for a second", async () => {
  const target = await serve(() => {});
  const { total } = await begin("--timeout-ms", "3000", "--seconds", "1.5", `new,${target},100,2`).report;
  assert.equal(total.sent, 2);
  assert.ok((total.skipped ?? 0) > 50);
});

test("load finishes what is under way when stdin ends", async () => {
  const target = await serve((socket, id) => setTimeout(() => socket.end(plain(id)), 200));
  const running = begin(`new,${target},50,16`);
  await new Promise((wake) => setTimeout(wake, 300));
  running.stop();
  const { total } = await running.report;
  assert.ok((total.sent ?? 0) > 5);
  assert.equal(total.ok, total.sent);
});
