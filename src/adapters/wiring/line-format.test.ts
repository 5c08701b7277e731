import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteBuilder } from "./byte-builder.js";
import { jsonFormat, type LineFormat, prefixFormat, speakerOf } from "./line-format.js";

function format(
  by: LineFormat,
  bytes: Uint8Array,
  more: { readonly whole?: boolean; readonly continues?: boolean } = {},
): Buffer {
  const out = new ByteBuilder();
  by(
    { bytes, text: Buffer.from(bytes).toString("utf8"), whole: true, continues: false, at: 1_700_000_000_123, ...more },
    out,
  );
  return Buffer.from(out.take());
}

const web = speakerOf("web", "web/0#7", "stderr");

test("prefixFormat names the service, and the instance from the second on", () => {
  assert.equal(format(prefixFormat(web, false), Buffer.from("hello")).toString(), "[web] hello\n");
  assert.equal(
    format(prefixFormat(speakerOf("web", "web/2#1", "stdout"), false), Buffer.from("x")).toString(),
    "[web/2] x\n",
  );
  assert.equal(
    format(prefixFormat(speakerOf("odd", "anything", "stdout"), false), Buffer.from("x")).toString(),
    "[odd] x\n",
  );
});

test("prefixFormat passes on bytes that are no UTF-8, and marks what goes on with a line", () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0xc3);
  assert.deepEqual(
    format(prefixFormat(web, false), bytes),
    Buffer.concat([Buffer.from("[web] "), bytes, Buffer.from("\n")]),
  );
  assert.equal(format(prefixFormat(web, false), Buffer.from("rest"), { continues: true }).toString(), "[web+] rest\n");
});

test("prefixFormat colours the name only, the same for every instance", () => {
  const first = format(prefixFormat(web, true), Buffer.from("x")).toString();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the colour that is tested
  assert.match(first, /^\x1b\[\d+m\[web\]\x1b\[0m x\n$/);
  const second = format(prefixFormat(speakerOf("web", "web/1#1", "stdout"), true), Buffer.from("x")).toString();
  assert.equal(second.replace("web/1", "web"), first);
});

test("jsonFormat makes one object of every line, whatever its bytes", () => {
  const lines = ["plain", 'quo"te \\ \u2028', "", "\x1b[31mred", "{not json}", '["a"]', "null"];
  for (const line of lines) {
    const text = format(jsonFormat(web), Buffer.from(line)).toString();
    assert.ok(text.endsWith("}\n") && !text.slice(0, -1).includes("\n"));
    const expected = { time: "2023-11-14T22:13:20.123Z", service: "web", instance: 0, stream: "stderr", message: line };
    assert.deepEqual(JSON.parse(text), expected);
  }
  assert.equal(JSON.parse(format(jsonFormat(web), Uint8Array.of(0x61, 0xff)).toString()).message, "a\ufffd");
});

test("jsonFormat nests a JSON object as data, as it was written", () => {
  const line = '{"level":"info","big":12345678901234567890,"z":1,"a":[{}]}';
  const text = format(jsonFormat(web), Buffer.from(` ${line}\t`)).toString();
  assert.ok(text.includes(`"data":${line}}`), text);
  assert.equal(JSON.parse(text).message, undefined);
});

test("jsonFormat marks all parts of a long line but the last", () => {
  assert.equal(JSON.parse(format(jsonFormat(web), Buffer.from("{}"), { whole: false }).toString()).partial, true);
  const last = JSON.parse(format(jsonFormat(web), Buffer.from("{}"), { continues: true }).toString());
  assert.equal(last.partial, undefined);
  assert.equal(last.message, "{}");
});
