import assert from "node:assert/strict";
import { test } from "node:test";
import { type Format, flag, mode, Refused, seconds, word } from "./format.js";
import { parseHostPort } from "./format-address.js";
import { amount, commandLine, pattern, signal } from "./format-process.js";
import { plainScalarValue } from "./plain-yaml.js";

/** As it would be read unquoted from a file. */
function read<T>(format: Format<T>, text: string, quoted = false): T | "refused" {
  const value = format.parse({ value: quoted ? text : plainScalarValue(text), text, quoted });
  return value === undefined || value instanceof Refused ? "refused" : value;
}

test("commandLine splits at blanks, keeps what is quoted, knows no shell", () => {
  const pairs: [string, string[]][] = [
    ["node server.js", ["node", "server.js"]],
    ["  a\t b ", ["a", "b"]],
    [`a 'b c' "d e" f'g'h`, ["a", "b c", "d e", "fgh"]],
    [`a '' ""`, ["a", "", ""]],
    [`a "x\\"y\\\\z\\n" b\\ c '\\'`, ["a", 'x"y\\z\\n', "b c", "\\"]],
    ["a | b && $C > d", ["a", "|", "b", "&&", "$C", ">", "d"]],
  ];
  for (const [text, words] of pairs) assert.deepEqual(read(commandLine, text), words, text);
  for (const text of ["", "   ", "a 'b", 'a "b\\"', "'' a"]) assert.equal(read(commandLine, text), "refused", text);
});

test("signal knows names with and without SIG, numbers, and real-time signals", () => {
  const pairs = [
    ["SIGTERM", "SIGTERM"],
    ["term", "SIGTERM"],
    ["15", "SIGTERM"],
    ["SIGRTMIN+3", "SIGRTMIN+3"],
    ["37", "SIGRTMIN+3"],
    ["usr1", "SIGUSR1"],
  ];
  for (const [text = "", name] of pairs) assert.equal(read(signal, text), name, text);
  for (const text of ["", "0", "65", "SIGFOO", "-1", "1.5", "SIGRTMIN+99"])
    assert.equal(read(signal, text), "refused", text);
});

test("amount knows numbers, Kubernetes' units and unlimited", () => {
  const pairs: [string, number][] = [
    ["0", 0],
    ["4096", 4096],
    ["64Mi", 67108864],
    ["1.5k", 1500],
    ["2G", 2e9],
    ["unlimited", -1],
    ["-1", -1],
  ];
  for (const [text, bytes] of pairs) assert.equal(read(amount, text), bytes, text);
  for (const text of ["", "64MB", "1.5", "-2", "1e3", "9999999999999999", "inf"])
    assert.equal(read(amount, text), "refused", text);
});

test("mode is octal however YAML reads it, and refuses what could be decimal", () => {
  const pairs: [string, number][] = [
    ["0660", 0o660],
    ["0o660", 0o660],
    ["0", 0],
    ["0022", 0o22],
  ];
  for (const [text, bits] of pairs) assert.equal(read(mode, text), text === "0" ? "refused" : bits, text);
  assert.equal(read(mode, "660", true), 0o660);
  assert.equal(read(mode, "0", true), 0);
  assert.equal(read(mode, "1777", true), "refused");
  for (const text of ["660", "0888", "rwx", "", "07777777", "01777", "0o4755"])
    assert.equal(read(mode, text), "refused", text);
});

test("seconds take fractions and text that is a number, and nothing with a unit, negative or endless", () => {
  const pairs: [string, number][] = [
    ["0", 0],
    ["0.5", 0.5],
    ["1e1", 10],
    [".5", 0.5],
  ];
  for (const [text, value] of pairs) {
    assert.equal(read(seconds(), text), value, text);
    assert.equal(read(seconds(), text, true), value, text);
  }
  for (const text of ["", "-1", "30s", ".inf", ".nan", "1e9", "0x10 ", "ten", "1,5", "true"])
    assert.equal(read(seconds(), text), "refused", text);
});

test("flag takes true and false only; word takes its words only", () => {
  assert.equal(read(flag, "true"), true);
  assert.equal(read(flag, "false", true), false);
  for (const text of ["yes", "on", "1", "0", "", "TRUEish"]) assert.equal(read(flag, text), "refused", text);
  assert.equal(read(word(["auto", "true"]), "true"), "true");
  assert.equal(read(word(["auto", "true"]), "Auto"), "refused");
});

test("pattern refuses what is no regular expression", () => {
  assert.equal(read(pattern, "ready .*"), "ready .*");
  for (const text of ["", "(", "[z-a]", "\\p{Nope}"]) assert.equal(read(pattern, text), "refused", text);
});

test("parseHostPort takes addresses of this machine and keeps them as written", () => {
  assert.deepEqual(parseHostPort("0.0.0.0:80"), { host: "0.0.0.0", port: 80, key: "0.0.0.0:80" });
  assert.deepEqual(parseHostPort(":80"), { host: "0.0.0.0", port: 80, key: ":80" });
  assert.deepEqual(parseHostPort("80"), { host: "0.0.0.0", port: 80, key: "80" });
  assert.deepEqual(parseHostPort("*:80"), { host: "0.0.0.0", port: 80, key: "*:80" });
  assert.deepEqual(parseHostPort("[::]:0"), { host: "::", port: 0, key: "[::]:0" });
  assert.deepEqual(parseHostPort("localhost:1"), { host: "127.0.0.1", port: 1, key: "localhost:1" });
  for (const text of [
    "",
    ":",
    "a:80",
    "1.2.3:80",
    "::1:80",
    "[::1]",
    "[x]:1",
    "1.2.3.4:65536",
    "1.2.3.4:-1",
    "1.2.3.4:80 ",
    "[]:80",
  ]) {
    assert.ok(parseHostPort(text) instanceof Refused, text);
  }
});
