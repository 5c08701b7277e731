import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import type { Snapshot } from "../../core/snapshot.js";
import type { Sink } from "../../runtime/ports.js";
import { EventStream } from "./event-stream.js";

/** A response whose reader has read nothing yet. */
class Unread extends EventEmitter {
  writableLength = 0;
  writes = 0;
  destroyed = false;
  writeHead(): void {}
  write(data: string | Buffer): void {
    this.writes += 1;
    this.writableLength += data.length;
  }
  end(): void {}
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

test("EventStream lets a reader go that has too much to read, and keeps the others", () => {
  const sinks: Sink[] = [];
  const control = {
    snapshot: () => ({ pid: 1 }) as Snapshot,
    subscribe: (sink: Sink) => {
      sinks.push(sink);
      return () => {};
    },
  };
  const stream = new EventStream(control, () => "{}", "boot", { backlogBytes: 1_000, clients: 2 });
  const [slow, quick, late] = [new Unread(), new Unread(), new Unread()];
  assert.equal(stream.attach(slow as unknown as ServerResponse, undefined), true);
  assert.equal(stream.attach(quick as unknown as ServerResponse, undefined), true);
  assert.equal(stream.attach(late as unknown as ServerResponse, undefined), false);
  for (let n = 0; n < 50; n++) {
    quick.writableLength = 0;
    sinks[0]?.transition?.({ from: "Setup", to: "Bootstrap", event: "Begin", at: n });
  }
  assert.deepEqual([slow.destroyed, quick.destroyed], [true, false]);
  assert.ok(slow.writableLength < 1_200);
  assert.equal(quick.writes, 51);
  assert.equal(stream.attach(late as unknown as ServerResponse, undefined), true, "its place is free again");
  stream.close();
});
