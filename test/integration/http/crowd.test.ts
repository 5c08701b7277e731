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
