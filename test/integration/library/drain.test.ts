import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { native } from "../../../src/adapters/native/addon.js";
import { drainable } from "../../../src/library/drain/drainable.js";
import { eventually } from "../eventually.js";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Listener = (request: IncomingMessage, response: ServerResponse) => void;
const hello: Listener = (asked, answer) => {
  asked.resume().on("end", () => answer.end("hello\n"));
};

async function serve(listener: Listener, options = { siblings: false }, fd?: number) {
  const server = createServer(listener);
  server.keepAliveTimeout = 60_000;
  const drain = drainable(server, options);
  server.listen(fd === undefined ? { port: 0, host: "127.0.0.1" } : { fd });
  await once(server, "listening");
  cleanups.push(() => server.closeAllConnections());
  return { server, drain, port: (server.address() as AddressInfo).port };
}

/** A client that writes what the test says, and keeps what it hears. */
async function client(port: number) {
  const socket = connect(port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  const heard = { text: "", ended: false, error: "" };
  socket.setEncoding("latin1").on("data", (chunk) => {
    heard.text += chunk;
  });
  socket.on("end", () => {
    heard.ended = true;
  });
  socket.on("error", (error) => {
    heard.error = error.message;
  });
  await once(socket, "connect");
  const ask = async (path = "/"): Promise<string> => {
    heard.text = "";
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await eventually(() => heard.text.endsWith("\n") && heard.text.includes("\r\n\r\n"));
    return heard.text;
  };
  return { socket, heard, ask };
}

/** of a certificate for which nobody vouches */
function credentials() {
  const folder = mkdtempSync(join(tmpdir(), "pe-drain-"));
  try {
    const [key, cert] = [join(folder, "key"), join(folder, "cert")];
    const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -out ${cert} -subj /CN=nobody -days 1`;
    execFileSync("openssl", words.split(" "), { stdio: "ignore" });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const connected = (server: Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((_, count) => resolve(count)));

test("drainable answers what is asked on a kept-alive connection, says that it is the last answer, and then ends it", async () => {
  const { drain, port } = await serve(hello);
  const { ask, heard } = await client(port);
  assert.match(await ask(), /^connection: keep-alive/im);
  const outcome = drain({ windowMs: 5_000 });
  assert.match(await ask(), /^connection: close/im);
  const { drained, cut, seconds } = await outcome;
  assert.deepEqual([drained, cut], [1, 0]);
  assert.ok(seconds < 2, String(seconds));
  await eventually(() => heard.ended);
  assert.equal(heard.error, "");
});

test("drainable reads a request that waited unread, as http.Server.close does not", async () => {
  const { drain, port } = await serve(hello);
  const { socket, heard, ask } = await client(port);
  await ask();
  heard.text = "";
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  // the bytes are in the kernel, nobody has read them: the loop has not turned
  const until = performance.now() + 20;
  while (performance.now() < until);
  const { drained, cut } = await drain({ windowMs: 2_000 });
  await eventually(() => heard.ended);
  assert.match(heard.text, /hello/);
  assert.deepEqual([drained, cut], [1, 0]);
});

for (const [name, create] of [
  ["https", createHttpsServer],
  [
    "http2",
    (credentials: object, listener: Listener) =>
      createSecureServer({ ...credentials, allowHTTP1: true }, listener as never),
  ],
] as const)
  test(`drainable ends connections to a server of ${name} that have not said a word of TLS, and cuts those in the middle of it`, async () => {
    const server = create(credentials(), hello);
    const drain = drainable(server, { siblings: false });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const silent = [await client(port), await client(port), await client(port)];
    const begun = await client(port);
    begun.socket.write(Buffer.from([22, 3, 1, 2, 0]));
    const speaking = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
    cleanups.push(() => speaking.destroy());
    await once(speaking, "secureConnect");
    const answered = once(speaking, "data");
    speaking.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await answered;
    const started = performance.now();
    const outcome = drain({ windowMs: 4_000 });
    await eventually(() => silent.every(({ heard }) => heard.ended));
    assert.ok(performance.now() - started < 3_500, "before the end of the window");
    const { drained, cut } = await outcome;
    assert.deepEqual([drained, cut], [4, 1]);
  });

test("drainable closes a connection without a word only when it was silent for half of the window", async () => {
  const { drain, port } = await serve(hello);
  const { ask, heard } = await client(port);
  await ask();
  const from = performance.now();
  let silentMs = 0;
  const ended = eventually(() => heard.ended).then(() => {
    silentMs = performance.now() - from;
  });
  const { drained, cut } = await drain({ windowMs: 2_000 });
  await ended;
  assert.deepEqual([drained, cut, heard.error], [1, 0, ""]);
  assert.ok(silentMs >= 990 && silentMs < 1_900, String(silentMs));
});

test("drainable lets an answer finish within the window, and cuts at its end or at the signal", async () => {
  const slow: Listener = (asked, answer) => {
    answer.write("begin\n");
    if (asked.url === "/short") setTimeout(() => answer.end("end\n"), 150);
  };
  const first = await serve(slow);
  const { socket, heard } = await client(first.port);
  socket.write("GET /short HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually(() => heard.text.includes("begin"));
  assert.deepEqual((({ drained, cut }) => [drained, cut])(await first.drain({ windowMs: 1_000 })), [1, 0]);
  assert.match(heard.text, /end\n/);

  for (const stop of [undefined, AbortSignal.timeout(100)]) {
    const { drain, port } = await serve(slow);
    const other = await client(port);
    other.socket.write("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually(() => other.heard.text.includes("begin"));
    const windowMs = stop === undefined ? 200 : 60_000;
    const { drained, cut, seconds } = await drain({ windowMs, ...(stop === undefined ? {} : { signal: stop }) });
    assert.deepEqual([drained, cut], [0, 1]);
    assert.ok(seconds < 5, String(seconds));
  }
});

test("drainable refuses a window that no timer has, and drains when it is asked properly", async () => {
  const { drain, port } = await serve(hello);
  const { ask } = await client(port);
  await ask();
  for (const windowMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, 2 ** 31, "5000", null])
    await assert.rejects(drain({ windowMs: windowMs as number }), {
      name: "EntryError",
      reason: "config",
      message: `cannot drain: windowMs is ${typeof windowMs === "string" ? `"${windowMs}"` : windowMs}, a number from 0 to 2147483647 is needed`,
    });
  const outcome = drain({ windowMs: 2 ** 31 - 1 });
  assert.match(await ask(), /^connection: close/im);
  assert.equal((await outcome).drained, 1);
});

test("drainable answers every pipelined request, and announces the end with the last only", async () => {
  const waiting: (() => void)[] = [];
  const { drain, port } = await serve((asked, answer) => {
    waiting.push(() => answer.end(`${asked.url}\n`));
  });
  const { socket, heard } = await client(port);
  socket.write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually(() => waiting.length === 1);
  const outcome = drain({ windowMs: 5_000 });
  socket.write("GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually(() => waiting.length === 3);
  for (const answer of waiting) answer();
  const { drained, cut } = await outcome;
  await eventually(() => heard.ended);
  assert.deepEqual(heard.text.match(/^\/\d|^connection: \S+/gim), [
    "Connection: keep-alive",
    "/1",
    "Connection: keep-alive",
    "/2",
    "Connection: close",
    "/3",
  ]);
  assert.deepEqual([drained, cut], [1, 0]);
});

test("drainable does not reset a client whose body it has not read when the answer is complete", async () => {
  const { drain, port } = await serve((_, answer) => answer.end("enough\n"));
  const { socket, heard } = await client(port);
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
  await eventually(() => heard.text.includes("enough"));
  const again = await client(port);
  const outcome = drain({ windowMs: 5_000 });
  again.socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
  for (let i = 0; i < 20; i++) again.socket.write("x".repeat(100_000));
  await eventually(() => again.heard.text.includes("enough"));
  again.socket.end();
  socket.end();
  await eventually(() => again.heard.ended);
  assert.deepEqual([again.heard.error, heard.error], ["", ""]);
  await outcome;
});

test("drainable tells upgraded connections one by one, and cuts those that do not end", async () => {
  const { server, drain, port } = await serve(hello);
  server.on("upgrade", (_asked, socket: Socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
  const clients = await Promise.all([client(port), client(port), client(port)]);
  for (const { socket, heard } of clients) {
    socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await eventually(() => heard.text.includes("101"));
  }
  const told: number[] = [];
  const from = performance.now();
  const { drained, cut } = await drain({
    windowMs: 1_500,
    onUpgraded: (socket) => {
      told.push(performance.now() - from);
      if (told.length < 3) socket.end("bye\n");
    },
  });
  assert.deepEqual([drained, cut], [2, 1]);
  assert.ok(told.length === 3 && (told[2] ?? 0) >= 490 && (told[2] ?? 0) < 1_350, String(told));
  assert.equal(clients.filter(({ heard }) => heard.text.endsWith("bye\n")).length, 2);
});

test("drainable tells connections that are upgraded during the drain, after their 101", async () => {
  const { server, drain, port } = await serve(hello);
  server.on("upgrade", (_asked, socket: Socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  });
  const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
  const [unread, idle, stays] = [await client(port), await client(port), await client(port)];
  await idle.ask();
  idle.heard.text = "";
  unread.socket.write(upgrade);
  const told: number[] = [];
  const outcome = drain({
    windowMs: 1_500,
    onUpgraded: (socket, leftMs) => {
      told.push(leftMs);
      if (socket.remotePort !== stays.socket.localPort) socket.end("bye\n");
    },
  });
  await eventually(() => unread.heard.text.includes("101"));
  idle.socket.write(upgrade);
  stays.socket.write(upgrade);
  const { drained, cut } = await outcome;
  assert.deepEqual([drained, cut], [2, 1]);
  assert.ok(told.length === 3 && Math.min(...told) > 0 && Math.max(...told) <= 1_500, String(told));
  for (const { heard } of [unread, idle]) {
    await eventually(() => heard.ended);
    assert.match(heard.text, /^HTTP\/1.1 101 .*\r\n\r\nbye\n$/s);
  }
});

test("drainable tells and closes at once what is upgraded at the end of the window", async () => {
  const { server, drain, port } = await serve(hello);
  const accepted = once(server, "connection");
  const { socket, heard } = await client(port);
  const [asked] = (await accepted) as [Socket];
  // in the middle of a request until the window's last tenth
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n");
  await eventually(() => asked.bytesRead > 50);
  server.on("upgrade", (_asked, upgraded: Socket) => {
    upgraded.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  });
  let leftMs = 0;
  const from = performance.now();
  const outcome = drain({
    windowMs: 2_000,
    onUpgraded: (upgraded, left) => {
      leftMs = left;
      upgraded.end("bye\n");
    },
  });
  await eventually(() => performance.now() - from > 1_810);
  socket.write("\r\n");
  await outcome;
  await eventually(() => heard.ended);
  assert.match(heard.text, /101 .*bye\n$/s);
  assert.ok(leftMs > 0 && leftMs < 190, String(leftMs));
});

test("drainable counts an upgrade that crossed the end as cut, and tells nobody of it", async () => {
  const { server, drain, port } = await serve(hello);
  server.on("upgrade", (_asked, socket: Socket) => socket.on("error", () => {}).resume());
  const late = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).resume();
  cleanups.push(() => late.destroy());
  await once(server, "connection");
  late.once("end", () => late.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"));
  let told = 0;
  const { drained, cut } = await drain({
    windowMs: 1_500,
    onUpgraded: () => {
      told += 1;
    },
  });
  assert.deepEqual([drained, cut, told], [0, 1, 0]);
});

test("drainable serves HTTP/2 streams to their end after GOAWAY, and those that crossed it", async () => {
  const server = createHttp2Server((asked, answer) => {
    setTimeout(() => answer.end("hello"), asked.url === "/slow" ? 150 : 0);
  });
  const drain = drainable(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  cleanups.push(() => session.destroy());
  const ask = async (path: string): Promise<string> => {
    const stream = session.request({ ":path": path });
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += chunk;
    return text;
  };
  assert.equal(await ask("/"), "hello");
  const slow = ask("/slow");
  const goaway = once(session, "goaway");
  const outcome = drain({ windowMs: 5_000 });
  const crossed = ask("/");
  assert.deepEqual(await Promise.all([slow, crossed]), ["hello", "hello"]);
  await goaway;
  const { drained, cut, seconds } = await outcome;
  assert.deepEqual([drained, cut], [1, 0]);
  assert.ok(seconds < 2);
});

test("drainable waits for no HTTP/2 client that answers no PING", async () => {
  const server = createHttp2Server(() => {});
  const drain = drainable(server);
  server.listen(0, "127.0.0.1");
  const opened = once(server, "session");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  // the preface and empty SETTINGS; after that it only listens
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0", "latin1");
  socket.resume();
  await opened;
  const { drained, cut } = await drain({ windowMs: 5_000 });
  assert.deepEqual([drained, cut], [1, 0]);
});

test("drainable cuts an HTTP/2 session whose streams do not end", async () => {
  const server = createHttp2Server(() => {});
  const drain = drainable(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on("error", () => {});
  const stream = session.request({ ":path": "/" });
  stream.on("error", () => {});
  await once(session, "remoteSettings");
  await eventually(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count === 1))));
  const { drained, cut } = await drain({ windowMs: 100 });
  assert.deepEqual([drained, cut], [0, 1]);
});

test("drainable takes an HTTP/2 CONNECT for a stream of its session, not for a connection", async () => {
  for (const ends of [true, false]) {
    const server = createHttp2Server({ settings: { enableConnectProtocol: true } }, () => {});
    const drain = drainable(server);
    server.on("connect", (_asked, answer) => answer.writeHead(200).write("hi"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    cleanups.push(() => session.destroy());
    session.on("error", () => {});
    await once(session, "remoteSettings");
    const head = { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/", ":authority": "x" };
    const streams = [1, 2, 3].map(() => session.request(head).on("error", () => {}));
    await Promise.all(streams.map((stream) => once(stream, "data")));
    const goaway = once(session, "goaway");
    let told = 0;
    const outcome = drain({
      windowMs: ends ? 5_000 : 300,
      onUpgraded: () => {
        told += 1;
      },
    });
    await goaway;
    if (ends) for (const stream of streams) stream.close();
    const { drained, cut } = await outcome;
    assert.deepEqual([drained, cut, told], ends ? [1, 0, 0] : [0, 1, 0]);
  }
});

test("drainable gives idle connections to a sibling on the same socket, and their clients notice nothing", async () => {
  const addon = native();
  const fd = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
  addon.bindInet(fd, "127.0.0.1", 0, 0);
  addon.listen(fd, 64);
  const as =
    (name: string): Listener =>
    (_, answer) =>
      answer.end(`${name}\n`);
  const old = await serve(as("old"), { siblings: true }, fd);
  const clients = await Promise.all(Array.from({ length: 100 }, () => client(old.port)));
  for (const { ask } of clients) assert.match(await ask(), /old/);
  const young = await serve(as("young"), { siblings: true }, addon.dup(fd));
  const [unread] = clients;
  assert.ok(unread);
  unread.heard.text = "";
  unread.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const { drained, cut, seconds } = await old.drain({ windowMs: 10_000 });
  assert.deepEqual([drained, cut], [100, 0]);
  assert.ok(seconds < 2, String(seconds));
  await eventually(() => /old|young/.test(unread.heard.text));
  for (const { ask, heard } of clients.slice(1)) {
    assert.match(await ask(), /young/);
    assert.deepEqual([heard.ended, heard.error], [false, ""]);
  }
  const left = await young.drain({ windowMs: 300 });
  assert.equal(left.cut, 0);
  assert.ok(left.drained >= 99, String(left.drained));
});

test("drainable reads on where a sibling does not take what it is given", async () => {
  const addon = native();
  const fd = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
  addon.bindInet(fd, "127.0.0.1", 0, 0);
  addon.listen(fd, 64);
  const old = await serve(hello, { siblings: true }, fd);
  const { ask } = await client(old.port);
  await ask();
  const young = await serve(hello, { siblings: true }, addon.dup(fd));
  // both at once, as when a pod stops: nobody is left to take anything
  const outcomes = [old.drain({ windowMs: 4_000 }), young.drain({ windowMs: 4_000 })];
  assert.match(await ask(), /^connection: close/im);
  for (const { cut } of await Promise.all(outcomes)) assert.equal(cut, 0);
});

test("drainable keeps its connections where the sibling does not answer", async () => {
  const addon = native();
  const fd = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
  addon.bindInet(fd, "127.0.0.1", 0, 0);
  addon.listen(fd, 64);
  const old = await serve(hello, { siblings: true }, fd);
  // as a process that was stopped: it listens, and nothing more
  const stopped = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
  addon.bindUnix(stopped, `\0pingora-entry/idle/${fstatSync(fd).ino}/zzz`);
  addon.listen(stopped, 8);
  cleanups.push(() => addon.close(stopped));
  const { ask } = await client(old.port);
  await ask();
  const outcome = old.drain({ windowMs: 5_000 });
  assert.match(await ask(), /^connection: close/im);
  assert.deepEqual((({ drained, cut }) => [drained, cut])(await outcome), [1, 0]);
});

test("drainable keeps what a sibling at its limit of descriptors cannot take", async () => {
  const addon = native();
  const fd = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
  addon.bindInet(fd, "127.0.0.1", 0, 0);
  addon.listen(fd, 256);
  cleanups.push(() => addon.close(fd));
  const local = addon.getLocalAddress(fd);
  const port = local.family === "inet" ? local.port : 0;
  const start = async (limit: number) => {
    const command = `ulimit -n ${limit}; LISTEN_PID=$$ LISTEN_FDS=1 exec "${process.execPath}" examples/node-web/server.mjs`;
    const child = spawn("sh", ["-c", command], { stdio: ["ignore", "ignore", "inherit", fd] });
    cleanups.push(() => child.kill("SIGKILL"));
    const hello = async () => (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })).text();
    await eventually(async () => (await hello()).includes(String(child.pid)));
    return child;
  };
  const old = await start(1_000);
  const clients = await Promise.all(Array.from({ length: 60 }, () => client(port)));
  for (const { ask } of clients) await ask();
  const young = await start(48);
  old.kill();
  const answers = await Promise.all(clients.map(({ ask }) => ask()));
  const by = (pid: number | undefined) => answers.filter((text) => text.includes(`hello from ${pid}\n`)).length;
  assert.equal(by(old.pid) + by(young.pid), 60);
  assert.equal(young.exitCode, null);
});

test("drainable leaves Expect: 100-continue and unhandled upgrades to Node", async () => {
  const { server, port, drain } = await serve(hello);
  const call = request({ port, host: "127.0.0.1", method: "POST", headers: { expect: "100-continue" } });
  call.on("continue", () => call.end("body"));
  call.flushHeaders();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  answer.resume();
  const { socket, heard } = await client(port);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: nobody\r\n\r\n");
  await eventually(() => heard.text.includes("hello"));
  assert.ok((await connected(server)) >= 1);
  assert.equal((await drain({ windowMs: 200 })).cut, 0);
});

test("drainable warns of no leak with many upgraded connections", async () => {
  const warnings: string[] = [];
  const keep = (warning: Error) => warnings.push(warning.message);
  process.on("warning", keep);
  cleanups.push(() => process.off("warning", keep));
  const { server, drain, port } = await serve(hello);
  server.on("upgrade", (_, socket) => {
    socket.on("error", () => {}).write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: e\r\n\r\n");
  });
  for (let i = 0; i < 12; i += 1) {
    const { socket, heard } = await client(port);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: e\r\n\r\n");
    await eventually(() => heard.text.endsWith("\r\n\r\n"));
  }
  assert.equal((await drain({ windowMs: 300 })).cut, 12);
  assert.deepEqual(warnings, []);
});
