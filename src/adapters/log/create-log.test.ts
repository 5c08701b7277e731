import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryError } from "../../core/entry-error.js";
import { createLog } from "./create-log.js";
import { prettyLine } from "./pretty-line.js";

function open(format: "json" | "pretty" | "auto", colour = false) {
  let text = "";
  let gap: ((lines: number) => Uint8Array) | undefined;
  let phase = "Setup";
  const writer = {
    colour,
    write(bytes: Uint8Array) {
      text += Buffer.from(bytes).toString();
      return true;
    },
    flush() {},
    onGap(words: (lines: number) => Uint8Array) {
      gap = words;
    },
  };
  const log = createLog({ level: "info", format, writer, fields: () => ({ phase }) });
  return {
    log,
    read: () => text,
    json: () =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    gap: (lines: number) => Buffer.from(gap?.(lines) ?? "").toString(),
    enter: (name: string) => {
      phase = name;
    },
  };
}

test("createLog writes a line of JSON with the phase of the moment and the fields of the child", () => {
  const { log, json, enter } = open("json");
  log.child({ service: "web" }).info("started", { pid: 7 });
  enter("Running");
  log.debug("not said");
  log.warn("late");
  const [first, second, ...none] = json();
  assert.deepEqual(none, []);
  const { time, ...fields } = first;
  assert.deepEqual(fields, {
    level: "info",
    logger: "pingora-entry",
    phase: "Setup",
    service: "web",
    pid: 7,
    message: "started",
  });
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual([second.level, second.phase], ["warn", "Running"]);
});

test("createLog gives an expected failure in words and a bug with its stack", () => {
  const { log, json } = open("json");
  log.error("no", { err: new EntryError("os", "cannot bind", { problems: [{ message: "in use" }] }) });
  log.error("bug", { err: new TypeError("x is undefined", { cause: new Error("deeper") }) });
  const [expected, bug] = json();
  assert.deepEqual(expected.err, {
    type: "EntryError",
    reason: "os",
    message: "cannot bind",
    problems: [{ message: "in use" }],
  });
  assert.match(bug.err.stack, /TypeError: x is undefined\n\s+at /);
  assert.equal(bug.err.cause.message, "deeper");
});

test("createLog hides what is called a secret, however deep it came", () => {
  const { log, read } = open("json");
  const inner = { DB_PASSWORD: "hunter2", list: [{ authorization: "Bearer hunter2" }], plain: "seen" };
  log.info("config", { prestopToken: "hunter2", env: inner });
  assert.doesNotMatch(read(), /hunter2/);
  assert.match(read(), /seen/);
  assert.equal(inner.DB_PASSWORD, "hunter2", "what was passed is left as it is");
});

test("createLog survives what cannot be written as JSON", () => {
  const { log, json } = open("json");
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  log.info("loop", { loop, big: 10n, text: "\u0000\ud800" });
  assert.equal(json()[0].message, "loop");
});

test("createLog words a gap in the form of its lines", () => {
  const json = open("json");
  const line = JSON.parse(json.gap(3));
  assert.deepEqual(
    [line.level, line.lines, line.message],
    ["warn", 3, "3 lines were dropped here: nobody read this output"],
  );
  assert.equal(json.read(), "");
  assert.match(open("pretty").gap(3), /^\d\d:\d\d:\d\d\.\d{3} warning: 3 lines were dropped here/);
});

test("createLog is pretty on a terminal and JSON elsewhere when nothing is said", () => {
  const terminal = open("auto", true);
  terminal.log.warn("careful", { service: "web" });
  assert.match(
    terminal.read().replaceAll("\u001b", "ESC"),
    /^ESC\[2m[\d:.]+ESC\[0m ESC\[33mwarning: carefulESC\[0mESC\[2m service=webESC\[0m\n$/,
  );
  const pipe = open("auto");
  pipe.log.warn("careful");
  assert.equal(pipe.json()[0].message, "careful");
});

test("prettyLine shows control characters instead of obeying them", () => {
  const line = prettyLine(
    { time: "2025-01-31T12:00:00.000Z", level: "error", message: "\x1b[2Jgone\r", reason: 'a "b"\u009b' },
    false,
  );
  assert.match(line, /^\d\d:\d\d:00\.000 error: \\x1b\[2Jgone\\x0d reason="a \\"b\\"\\x9b"\n$/);
});
