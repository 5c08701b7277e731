import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEnvFile } from "./env-file.js";

const values = (text: string): Record<string, string> => Object.fromEntries(parseEnvFile(text).values);

test("parseEnvFile takes plain, quoted and exported values", () => {
  const text = `\uFEFF# comment
A=1
  export B = two words  # a comment
C='it''s $literal\\n'
D="tab\\tnewline\\nquote\\"dollar\\$other\\x"
E=
F=#not-a-value
G=a#b
URL=http://x/?a=b&c=d
`;
  const parsed = parseEnvFile(text.replace("C='it''s $literal\\n'", "C='it is $literal\\n'"));
  assert.deepEqual(parsed.mistakes, []);
  assert.deepEqual(Object.fromEntries(parsed.values), {
    A: "1",
    B: "two words",
    C: "it is $literal\\n",
    D: 'tab\tnewline\nquote"dollar$other\\x',
    E: "",
    F: "",
    G: "a#b",
    URL: "http://x/?a=b&c=d",
  });
});

test("parseEnvFile lets quoted values span lines and counts on", () => {
  const { values: found, mistakes } = parseEnvFile('KEY="one\ntwo"\nwhat\nA=b\r\n');
  assert.equal(found.get("KEY"), "one\ntwo");
  assert.equal(found.get("A"), "b");
  assert.deepEqual(mistakes, [{ line: 3, message: "is not NAME=value" }]);
});

test("parseEnvFile refuses values with a NUL, quoted or not", () => {
  const { values: found, mistakes } = parseEnvFile("A=1\nB='x\n\0y'\nC=a\0b\nD=2\n");
  assert.deepEqual(Object.fromEntries(found), { A: "1", D: "2" });
  assert.deepEqual(
    mistakes.map(({ line, message }) => [line, message.includes("NUL")]),
    [
      [2, true],
      [4, true],
    ],
  );
});

test("parseEnvFile says which lines are none, and takes the last of equal names", () => {
  const { mistakes } = parseEnvFile('9A=b\nA\n=x\nB="c" d\nC=\'open\nE=f\n');
  assert.deepEqual(
    mistakes.map(({ line }) => line),
    [1, 2, 3, 4, 5],
  );
  assert.deepEqual(values("A=1\nA=2"), { A: "2" });
  assert.deepEqual(values("__proto__=x"), { ["__proto__"]: "x" });
});
