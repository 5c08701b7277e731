// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
import assert from "node:assert/strict";
import { test } from "node:test";
import { expandText } from "./expand.js";

const around = {
  env: { HOME: "/root", EMPTY: "", NESTED: "${HOME}" },
  readText: (path: string): string => {
    if (path === "/run/secret") return "s3cret\n";
    throw Object.assign(new Error(path), { code: "EACCES" });
  },
};

function expand(text: string): string | readonly string[] {
  const refused: string[] = [];
  const result = expandText(text, around, (message) => refused.push(message));
  assert.equal(result === undefined, refused.length > 0);
  return result ?? refused;
}

test("expandText puts in variables, defaults and files, once", () => {
  const pairs: [string, string][] = [
    ["${HOME}", "/root"],
    ["a${HOME}b${HOME}c", "a/rootb/rootc"],
    ["${EMPTY}", ""],
    ["${EMPTY:-x}", "x"],
    ["${NONE:-}", ""],
    ["${NONE:-a b}", "a b"],
    ["${NONE:-${EMPTY:-${HOME}}}", "/root"],
    ["${file:/run/secret}", "s3cret"],
    ["${NESTED}", "${HOME}"],
  ];
  for (const [text, expected] of pairs) assert.equal(expand(text), expected, text);
});

test("expandText leaves a lone dollar and makes one of two", () => {
  const pairs: [string, string][] = [
    ["$", "$"],
    ["$HOME", "$HOME"],
    ["a$", "a$"],
    ["$$", "$"],
    ["$${HOME}", "${HOME}"],
    ["$$$$", "$$"],
    ["$$${HOME}", "$/root"],
    ["^a$|b$", "^a$|b$"],
  ];
  for (const [text, expected] of pairs) assert.equal(expand(text), expected, text);
});

test("expandText refuses what it cannot put in, each by its own", () => {
  for (const text of [
    "${",
    "${HOME",
    "${}",
    "${1}",
    "${A B}",
    "${HOME:?x}",
    "${HOME-x}",
    "${NONE}",
    "${constructor}",
    "${__proto__}",
    "${file:x}",
    "${file:/nope}",
    "${file:${HOME}/x}",
    "${NONE:-${NONE}}",
  ]) {
    assert.ok(Array.isArray(expand(text)), text);
  }
  assert.deepEqual(expand("${NONE} ${ALSO_NONE}"), [
    "the environment variable NONE is not set",
    "the environment variable ALSO_NONE is not set",
  ]);
});

test("expandText suggests near names of variables, and always how to give a default", () => {
  const hint = (name: string): string | undefined => {
    let said: string | undefined;
    expandText(`\${${name}}`, { ...around, env: { HOME: "/root", _: "/usr/bin/node", A: "a" } }, (_, why) => {
      said = why;
    });
    return said;
  };
  assert.equal(hint("HOMW"), 'did you mean "HOME"? ${HOMW:-default} gives a default');
  assert.equal(hint("N"), "${N:-default} gives a default");
  assert.equal(hint("x".repeat(100_000)), undefined);
});
