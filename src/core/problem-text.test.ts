import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryError } from "./entry-error.js";
import { problemText, sourceText } from "./problem-text.js";

const at = (name: string, line: number, column: number) => ({ name, line, column });

test("problemText aligns the problems of one file by line and column", () => {
  const error = new EntryError("config", 'cannot use "/etc/pingora-entry/config.yaml": 2 problems', {
    problems: [
      {
        path: "services.web.dependsOn[1]",
        message: 'unknown service "chache"',
        hint: 'did you mean "cache"?',
        source: at("/etc/pingora-entry/config.yaml", 14, 18),
      },
      {
        path: "shutdown",
        message: "stopping web, api, db needs 45 s but the pod grants 30 s (terminationGracePeriodSeconds)",
        source: at("/etc/pingora-entry/config.yaml", 3, 3),
      },
    ],
  });
  assert.equal(
    problemText("pingora-entry", error),
    `pingora-entry: cannot use "/etc/pingora-entry/config.yaml": 2 problems
  14:18  services.web.dependsOn[1]: unknown service "chache"; did you mean "cache"?
   3:3   shutdown: stopping web, api, db needs 45 s but the pod grants 30 s (terminationGracePeriodSeconds)
`,
  );
});

test("problemText names each place when there are several, and when the message does not name the only one", () => {
  const problems = [
    { path: "log.level", message: "bad", source: { name: "PINGORA_ENTRY_LOG_LEVEL" } },
    { message: "worse", source: at("b.yaml", 1, 2) },
    { message: "nowhere" },
  ];
  assert.equal(
    problemText("p", { message: "cannot", problems }),
    "p: cannot\n  PINGORA_ENTRY_LOG_LEVEL\n    log.level: bad\n  b.yaml\n    1:2  worse\n  nowhere\n",
  );
  assert.equal(
    problemText("p", { message: "cannot", problems: problems.slice(1, 2) }),
    "p: cannot\n  b.yaml\n    1:2  worse\n",
  );
});

test("problemText is one line for an error without problems, and counts what it does not print", () => {
  assert.equal(problemText("p", { message: "cannot bind", problems: [] }), "p: cannot bind\n");
  const many = Array.from({ length: 103 }, (_, i) => ({ message: `m${i}` }));
  assert.match(problemText("p", { message: "x", problems: many }), /m99\n {2}\.\.\. and 3 more\n$/);
});

test("sourceText is name, line and column as far as they are known", () => {
  assert.equal(sourceText(at("a.yaml", 3, 4)), "a.yaml:3:4");
  assert.equal(sourceText({ name: "--conf" }), "--conf");
  assert.equal(sourceText(undefined), "");
});
