import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServerSentEvent, serverSentEvents } from "./server-sent-events.js";
import { textLines } from "./text-lines.js";

async function* bytesOf(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function eventsOf(text: string, size: number): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(textLines(bytesOf(text, size)))) events.push(event);
  return events;
}

test("serverSentEvents reads the same events however the bytes are cut", async () => {
  const text =
    ': comment\n\nevent: snapshot\ndata: {"a":"€🙂"}\n\ndata:one\r\ndata: two\r\n\r\nretry: 5\nid: 3\n\nevent: lost\n\ndata: cut';
  for (const size of [1, 2, 3, 7, 1000]) {
    assert.deepEqual(await eventsOf(text, size), [
      { event: "snapshot", data: '{"a":"€🙂"}' },
      { event: "message", data: "one\ntwo" },
    ]);
  }
});

test("textLines gives a last line without an end, too", async () => {
  const lines: string[] = [];
  for await (const line of textLines(bytesOf("a\r\n\nb", 2))) lines.push(line);
  assert.deepEqual(lines, ["a", "", "b"]);
});
