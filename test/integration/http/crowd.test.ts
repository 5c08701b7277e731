import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { eventually } from "../eventually.js";
import { Stage, serviceView, snapshotOf } from "./stage.js";

const one = snapshotOf([serviceView("web")]);
const open = new Set<Socket>();
after(() => {
  for (const socket of open) socket.destroy();
});

function knock(port: number, text: string): Socket {
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  open.add(socket);
  socket.on("error", () => {});
  socket.resume();
  return socket;
}

test("/readyz answers on a new connection although thousands of others say nothing, or half a request", async () => {
  for (const text of ["", "GET /readyz HTTP/1.1\r\nx: "]) {
    await using stage = await Stage.open(one);
    const crowd = Array.from({ length: 2_500 }, () => knock(stage.port, text));
    await eventually(() => crowd.every((socket) => !socket.connecting));
    for (let n = 0; n < 20; n++)
      assert.equal((await stage.tcp("/readyz")).status, 200, `asked ${n} times beside ${JSON.stringify(text)}`);
    assert.equal((await stage.unix("/readyz")).status, 200);
    for (const socket of crowd) socket.destroy();
  }
});

test("a client that sends its request byte by byte for ever is let go", { timeout: 60_000 }, async () => {
  const from = performance.now();
  await using stage = await Stage.open(one);
  const socket = knock(stage.port, "GET /readyz HTTP/1.1\r\n");
  await eventually(() => socket.bytesWritten > 0);
  let gone = false;
  socket.on("close", () => {
    gone = true;
  });
  await eventually(() => {
    socket.write("x");
    return gone;
  }, 30_000);
  assert.ok(performance.now() - from > 4_000, "only after the time for headers");
});

test("requests beyond the length of the line are refused at once, health is not", async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using stage = await Stage.open(one, {
    renderMetrics: async () => {
      await held;
      return { type: "text/plain", body: "up 1\n" };
    },
  });
  const scrapes = Array.from({ length: 500 }, () => stage.tcp("/metrics"));
  assert.equal((await stage.tcp("/readyz")).status, 200);
  release();
  assert.ok((await Promise.all(scrapes)).every(({ status, body }) => status === 200 && body === "up 1\n"));
});

/** Asks and never reads; learns that it was let go by writing on, empty lines, which ask nothing. */
function deaf(port: number, text: string): Socket {
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  open.add(socket);
  const writing = setInterval(() => socket.write("\r\n"), 100);
  socket.on("error", () => {}).on("close", () => clearInterval(writing));
  socket.pause();
  return socket;
}

const ask = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";

test("a client that asks hundreds of times ahead and never reads is let go with little done for it", async () => {
  let rendered = 0;
  await using stage = await Stage.open(one, {
    renderMetrics: async () => {
      rendered += 1;
      return { type: "text/plain", body: Buffer.alloc(8 * 1024 * 1024, "x") };
    },
  });
  let gone = 0;
  for (let n = 0; n < 20; n++) deaf(stage.port, ask.repeat(400)).on("close", () => gone++);
  await eventually(() => gone === 20);
  assert.ok(rendered <= 20, `${rendered} of 8000 answers were made`);
  assert.equal((await stage.tcp("/readyz")).status, 200);
});

test("a few requests sent ahead are answered in order", async () => {
  await using stage = await Stage.open(one);
  const socket = connect(stage.port, "127.0.0.1");
  open.add(socket);
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => {
    text += part;
  });
  socket.write(
    ["/metrics", "/readyz", "/nowhere", "/status"].map((path) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`).join(""),
  );
  await eventually(() => text.includes('"now":'));
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ["200", "200", "404", "200"],
  );
});

test("answers that nobody reads are held within bounds of memory and time", { timeout: 60_000 }, async () => {
  const size = 8 * 1024 * 1024;
  await using stage = await Stage.open(one, {
    renderMetrics: async () => ({ type: "text/plain", body: Buffer.alloc(size, "x") }),
  });
  let gone = 0;
  for (let n = 0; n < 20; n++) deaf(stage.port, ask).on("close", () => gone++);
  await eventually(() => gone >= 10, 5_000);
  assert.ok(gone < 20, "within the bound they stay");
  await eventually(() => gone === 20, 20_000);
});
