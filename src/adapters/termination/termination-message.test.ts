import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seeded } from "../../../test/fakes/random.js";
import { serviceView, snapshotOf } from "../../../test/integration/http/stage.js";
import { refusalMessage, terminationMessage, writeTermination } from "./termination-message.js";

const ended = (name: string, code: number, change = {}) => {
  const view = serviceView(name, { state: "Stopped", ready: false, ...change });
  return { ...view, instances: view.instances.map((each) => ({ ...each, lastExit: { code, at: 12_000 } })) };
};

test("terminationMessage names cause, exit code and how services ended, failures first", () => {
  const shutdown = { cause: "SIGTERM", requestedAt: 10_000, deadlineAt: 40_000, waves: [], killed: ["slow"] };
  const services = [
    ended("web", 0),
    ended("slow", 137),
    ended("db", 1, { state: "Failed", reason: "exited with code 1" }),
  ];
  const message = JSON.parse(
    terminationMessage(snapshotOf(services, { phase: "Terminated", exitCode: 143, shutdown, release: "" })),
  );
  assert.deepEqual(message, {
    phase: "Terminated",
    exitCode: 143,
    cause: "SIGTERM",
    seconds: 2,
    killed: ["slow"],
    services: [
      { name: "db", state: "Failed", exitCode: 1, reason: "exited with code 1" },
      { name: "slow", state: "Stopped", exitCode: 137 },
      { name: "web", state: "Stopped", exitCode: 0 },
    ],
  });
});

test("terminationMessage sums up the connections of the stop, and of no other", () => {
  const shutdown = { cause: "SIGTERM", requestedAt: 10_000, deadlineAt: 40_000, waves: [], killed: [] };
  const drain = {
    listener: "http",
    since: 10_000,
    connections: 4,
    drained: 12,
    cut: 1,
    killed: 0,
    seconds: 2.5,
    done: false,
    exact: true,
    cutTotal: 3,
  };
  const drains = [drain, { ...drain, listener: "grpc" }, { ...drain, listener: "old", since: 9_000 }];
  const { drained, cut } = JSON.parse(terminationMessage(snapshotOf([ended("web", 0)], { shutdown, drains })));
  assert.deepEqual([drained, cut], [24, 2]);
});

test("terminationMessage is JSON of at most 4096 bytes whatever there is to say", () => {
  const random = seeded(7);
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const alphabets = ["x", "ä", "\u0000", '"', "\\", "😀", "\ud800", "\n"];
  for (let round = 0; round < 200; round++) {
    const text = (): string => pick(alphabets).repeat(below(6_000));
    const services = Array.from({ length: below(300) }, (_, n) =>
      ended(`service-${"n".repeat(below(50))}${n}`, below(2), { state: pick(["Failed", "Stopped"]), reason: text() }),
    );
    const killed = services.map(({ name }) => name);
    const shutdown = { cause: text(), requestedAt: 0, deadlineAt: 0, waves: [], killed };
    const message = terminationMessage(snapshotOf(services, { shutdown, release: text() }));
    assert.ok(Buffer.byteLength(message) <= 4096, `${Buffer.byteLength(message)} bytes`);
    const { services: kept, more = 0 } = JSON.parse(message);
    assert.equal(kept.length + more, services.length);
  }
});

test("refusalMessage keeps as many problems as there is room for, and counts the others", () => {
  const short = 'pingora-entry: cannot use "config.yaml": 1 problem\n  14:18  services.web: unknown key\n';
  assert.deepEqual(JSON.parse(refusalMessage(short)), {
    error: 'pingora-entry: cannot use "config.yaml": 1 problem',
    problems: ["14:18  services.web: unknown key"],
  });
  const long = `cannot use it: 500 problems\n${Array.from({ length: 500 }, (_, n) => `  ${n}:1  a problem ${"ü".repeat(n)}\n`).join("")}`;
  const message = refusalMessage(long);
  assert.ok(Buffer.byteLength(message) <= 4096);
  const { problems, more } = JSON.parse(message);
  assert.ok(problems.length > 20);
  assert.equal(problems.length + more, 500);
});

test("writeTermination replaces the file, and says nothing where it cannot", () => {
  const dir = mkdtempSync(join(tmpdir(), "pe-last-"));
  const path = join(dir, "log");
  writeFileSync(path, "x".repeat(10_000));
  writeTermination(path, "{}");
  assert.equal(readFileSync(path, "utf8"), "{}");
  writeTermination(join(dir, "none", "log"), "{}");
  writeTermination(dir, "{}");
  assert.equal(existsSync(join(dir, "none")), false);
  rmSync(dir, { recursive: true });
});
