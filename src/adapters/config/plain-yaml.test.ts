import assert from "node:assert/strict";
import { test } from "node:test";
import * as yaml from "yaml";
import { corpus, mutate } from "../../../test/config/mutations.js";
import { randomOf } from "../../../test/config/random.js";
import { gatherComplaints } from "./complaints.js";
import type { ConfigNode } from "./node.js";
import { readPlainYaml } from "./plain-yaml.js";
import { readYaml } from "./yaml-document.js";

/** Without the origin, which is the same object for all. */
function bare(node: ConfigNode | "unreadable" | undefined): unknown {
  if (node === undefined || node === "unreadable") return node;
  if (node.kind === "scalar") return [node.value, node.text, node.quoted, node.offset];
  if (node.kind === "list") return [node.offset, node.items.map(bare)];
  return {
    at: node.offset,
    entries: [...node.entries].map(([name, { key, value }]) => [name, key.offset, bare(value)]),
  };
}

/** True when the plain reader took the text; then the full parser took it, too, and in the same way. */
function agrees(text: string): boolean {
  const origin = { name: "x.yaml", text };
  const plain = readPlainYaml(origin);
  if (plain === undefined) return false;
  const complaints = gatherComplaints();
  const full = readYaml(yaml, origin, complaints);
  assert.deepEqual(complaints.problems, [], JSON.stringify(text));
  assert.deepEqual(bare(plain), bare(full), JSON.stringify(text));
  return true;
}

test("readPlainYaml agrees with the full parser on what both take", () => {
  const texts = [
    "a: 1\nb: two\n",
    "a:\n  b:\n    c: [1, two, \"three\", 'f''our', { x: y, z: [] }]\n",
    "# top\n\na: x # y\nb: # nothing\nc:\n  # in between\n  d: e#f\n",
    "list:\n- a\n- b: c\n  d: e\n- f\n",
    "list:\n  - a\n\n  # c\n  - {b: c}\nx: y",
    "n: ~\no: null\np: 0o17\nq: 0x1f\nr: -1.5e3\ns: .inf\nt: +1\nu: 007\nv: 1.10\nw: 1_000\n",
    "url: http://a:80/b?c=d#e\ntime: 12:30\npath: C:\\x\n",
    "multi: [\n    a, # one\n    b,\n  ]\nafter: { a: 1,\n  b: 2 }\n",
    '"quoted key": 1\n\'another\': "tab\\tnewline\\n"\n',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    'env: { A: b, C: 1.10, D: null }\nargs: [node, --port, "6379", -x, a:b, $HOME, "${X}"]\n',
    "a: x é — ü # ü\n",
    "a:\nb:\n",
    "k: v\n\n\n",
  ];
  for (const text of texts) assert.ok(agrees(text), JSON.stringify(text));
});

test("readPlainYaml leaves to the full parser what is not plain, and every mistake", () => {
  const texts = [
    "",
    "- a\n",
    "text",
    "a: &x 1\n",
    "a: *x\n",
    "a: !t 1\n",
    "a: |\n  x\n",
    "a: >\n  x\n",
    "? a\n: b\n",
    "a: b\n  c\n",
    "a: 1\na: 2\n",
    "a:\tb\n",
    "a: b\r\n",
    "--- \na: b\n",
    "%YAML 1.2\n---\na: b\n",
    "a: b: c\n",
    "a: [b\n",
    "a: {b}\n",
    "a: 'x\n",
    'a: "\\x41"\n',
    "a: @b\n",
    "a: `b\n",
    " a: b\n",
    "a:\n  b: 1\n c: 2\n",
    "<<: {a: 1}\n",
    "a: [b: c]\n",
    "a: {b: }\n",
    "1: a\n01: b\n",
    'a: "b" c\n',
    "a: [b]c\n",
    "\ufeffa: b\n",
    "a: - b\n",
    "a:\n-\n",
    "a: {b: c}\n  d: e\n",
    "a: [b,\nc]\n",
    "a\n",
    "a: b\n---\nc: d\n",
    "a: x\n...\n",
  ];
  for (const text of texts) assert.equal(agrees(text), false, JSON.stringify(text));
});

test("readPlainYaml agrees with the full parser on thousands of damaged configurations", () => {
  const texts = corpus();
  let taken = texts.filter(agrees).length;
  assert.ok(taken > texts.length / 2, `only ${taken} of ${texts.length} are plain`);
  for (let seed = 1; seed <= 4_000; seed++) {
    const random = randomOf(seed);
    if (agrees(mutate(random.pick(texts), texts, random))) taken += 1;
  }
  assert.ok(taken > 400, `only ${taken} were taken`);
});
