import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { ConfigFiles } from "../../src/adapters/config/config-files.js";
import { impossibleIdentities } from "../../src/adapters/config/identities-possible.js";
import { type LoadInput, loadPlan } from "../../src/adapters/config/load-plan.js";
import { EntryError } from "../../src/core/entry-error.js";

function files(texts: Readonly<Record<string, string>>): ConfigFiles {
  return {
    readText: (path) => {
      const text = Object.hasOwn(texts, path) ? texts[path] : undefined;
      if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return text;
    },
    kind: (path) => (Object.hasOwn(texts, path) ? "file" : undefined),
    names: () => [],
  };
}

const service = (name: string): string => `services: { ${name}: { command: ./x } }\n`;
const defaultPath = "/etc/pingora-entry/config.yaml";

async function names(input: LoadInput): Promise<string[]> {
  return (await loadPlan(input)).plan.services.map(({ name }) => name);
}

test("loadPlan reads the default file only when nothing else is named", async () => {
  const all = files({ [defaultPath]: service("default"), "/a": service("a"), "/b": service("b") });
  assert.deepEqual(await names({ env: {}, files: all }), ["default"]);
  assert.deepEqual(await names({ env: { PINGORA_ENTRY_CONF: "" }, files: all }), ["default"]);
  assert.deepEqual(await names({ env: { PINGORA_ENTRY_CONF: "/a:/b" }, files: all }), ["a", "b"]);
  assert.deepEqual(await names({ env: { PINGORA_ENTRY_CONF: "/a" }, options: { conf: ["/b"] }, files: all }), ["b"]);
  assert.deepEqual(await names({ env: {}, texts: [{ name: "t", text: service("t") }], files: all }), ["t"]);
  assert.deepEqual(await names({ env: {}, files: files({}) }), []);
});

test("loadPlan beats files by variables, and knows where each came from", async () => {
  const text = "daemon: true\nlog:\n  level: debug\n  format: json\n";
  const loaded = await loadPlan({
    env: { PINGORA_ENTRY_LOG_LEVEL: "warn" },
    options: { daemon: true },
    files: files({ [defaultPath]: text }),
  });
  const { log } = loaded.configuration;
  assert.deepEqual([log.level, log.format], ["warn", "json"]);
  assert.deepEqual(loaded.sourceOf("log.level"), { name: "PINGORA_ENTRY_LOG_LEVEL" });
  assert.deepEqual(loaded.sourceOf("log.format"), { name: defaultPath, line: 4, column: 11 });
  assert.equal(loaded.sourceOf("bind.retries"), undefined);
  assert.equal(loaded.plan.pidFile, "/tmp/pingora.pid");
});

test("loadPlan says that pingora's daemon keys have no effect, and that -d has", async () => {
  const text = "daemon: true\nerror_log: /e\ndaemon_wait_for_ready: true\nca_file: /c\n";
  const { notices, plan } = await loadPlan({ env: {}, files: files({}), texts: [{ name: "p.yaml", text }] });
  assert.deepEqual(
    notices.map(({ message, hint }) => [message, hint]),
    [
      [
        "keys of pingora's that mean nothing here: daemon, error_log, daemon_wait_for_ready, ca_file",
        "instead of daemon, daemon_wait_for_ready use the option -d; instead of error_log redirect stderr: pingora-entry -d ... 2>>FILE",
      ],
    ],
  );
  assert.equal(plan.pidFile, undefined);
});

test("loadPlan passes over a byte order mark and refuses more than 1 MiB", async () => {
  assert.deepEqual(await names({ env: {}, files: files({ [defaultPath]: `\uFEFF${service("a")}` }) }), ["a"]);
  const long = `${service("a")}#${"x".repeat(1024 * 1024)}`;
  await assert.rejects(
    names({ env: {}, files: files({ [defaultPath]: long }) }),
    (error) => error instanceof EntryError && /characters/.test(error.problems[0]?.message ?? ""),
  );
});

test("fingerprint is equal for equal configurations only, however they are written", async () => {
  const of = async (text: string, command: string[] = []): Promise<string> =>
    (await loadPlan({ env: {}, texts: [{ name: "x", text }], options: { command } })).fingerprint();
  const one = await of("services:\n  a: { command: [./x], instances: 1 }\n");
  assert.equal(one, await of("# same\nservices: {a: {instances: 1, command: ./x}}"));
  assert.notEqual(one, await of("services:\n  a: { command: [./y], instances: 1 }\n"));
  assert.notEqual(await of("", ["./a"]), await of("", ["./b"]));
  assert.match(one, /^[0-9a-f]{14}$/);
});

test("impossibleIdentities names services whose user we cannot become", async () => {
  const text = "services: { a: { command: ./x, user: '7:7' }, b: { command: ./x } }";
  const loaded = await loadPlan({ env: {}, files: files({}), texts: [{ name: "x.yaml", text }] });
  assert.deepEqual(impossibleIdentities(loaded, 0), []);
  assert.deepEqual(impossibleIdentities(loaded, 7), []);
  const [problem, ...rest] = impossibleIdentities(loaded, 1000);
  assert.equal(problem?.path, "services.a.user");
  assert.deepEqual(rest, []);
});

test("loadPlan refuses a service with more listeners to adopt than a process can", async () => {
  const load = (count: number) => {
    const names = Array.from({ length: count }, (_, index) => `l${index}`);
    const listeners = names.map((name, index) => `  ${name}: { tcp: "127.0.0.1:${20000 + index}", passAs: adopt }\n`);
    const text = `listeners:\n${listeners.join("")}services: { web: { command: ./x, listeners: [${names.join(", ")}] } }\n`;
    return loadPlan({ env: {}, texts: [{ name: "t", text }], files: files({}) });
  };
  // what the library has room for
  const most = Number(/MOST_OFFERS = (\d+)/.exec(readFileSync("src/native/adopt/offers.h", "utf8"))?.[1]);
  await load(most);
  await assert.rejects(load(most + 1), (error) => {
    assert.ok(error instanceof EntryError);
    assert.deepEqual(
      error.problems.map(({ path, message }) => [path, message]),
      [["services.web.listeners", `${most + 1} listeners are to be adopted, a process can adopt ${most}`]],
    );
    return true;
  });
});
