import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { phases } from "../../../src/core/phase.js";
import { conditions } from "../../../src/core/plan.js";
import {
  type DrainView,
  type ExitView,
  type GenerationView,
  type InstanceView,
  type ServiceView,
  type ShutdownView,
  type Snapshot,
  serviceStateNames,
  type UpgradeView,
} from "../../../src/core/snapshot.js";
import type { UpgradeOutcome } from "../../../src/core/upgrade-outcome.js";
import { Stage, serviceView, snapshotOf } from "./stage.js";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const schema: Schema = JSON.parse(readFileSync("docs/reference/status.schema.json", "utf8"));

/** What is wrong with the value, by the keywords that the schema uses. */
function problems(value: unknown, rule: Schema, path = "$"): string[] {
  const target = rule.$ref === undefined ? rule : { ...schema.$defs?.[rule.$ref.replace("#/$defs/", "")], ...rule };
  if (rule.$ref !== undefined && schema.$defs?.[rule.$ref.replace("#/$defs/", "")] === undefined)
    return [`${path}: ${rule.$ref} is not there`];
  const { type, properties = {}, required = [], additionalProperties = true, items } = target;
  if (target.enum !== undefined && !target.enum.includes(value)) return [`${path}: ${value} is none of ${target.enum}`];
  const kind = Array.isArray(value)
    ? "array"
    : Number.isInteger(value) && type === "integer"
      ? "integer"
      : typeof value;
  if (type !== undefined && kind !== type) return [`${path}: ${kind} instead of ${type}`];
  if (typeof value === "number" && (value < (target.minimum ?? value) || value > (target.maximum ?? value)))
    return [`${path}: ${value} is out of range`];
  if (Array.isArray(value))
    return items === undefined ? [] : value.flatMap((item, n) => problems(item, items, `${path}[${n}]`));
  if (typeof value !== "object" || value === null) return [];
  const missing = required.filter((name) => !(name in value)).map((name) => `${path}.${name} is missing`);
  const inside = Object.entries(value).flatMap(([name, item]) => {
    const found = properties[name] ?? additionalProperties;
    if (found === false) return [`${path}.${name} is not in the schema`];
    return found === true ? [] : problems(item, found, `${path}.${name}`);
  });
  return [...missing, ...inside];
}

/** Every field there is: the compiler refuses this when one is added to the snapshot and not here. */
const exit: Required<ExitView> = { code: 137, signal: "SIGKILL", killed: true, at: 5 };
const instance: Required<InstanceView> = {
  id: "web/0",
  state: "Backoff",
  since: 1,
  pid: 7,
  reason: "",
  output: "no route",
  restarts: 2,
  lastExit: exit,
  until: 9,
};
const service: Required<ServiceView> = {
  ...serviceView("web", { dependsOn: { db: "ready" }, restartsByReason: { exit: 1 } }),
  output: "no route",
  instances: [instance],
  excused: true,
  held: true,
};
const peer: Required<GenerationView> = {
  generation: 2,
  release: "r2",
  build: "0+1",
  pid: 12,
  phase: "Running",
  connections: 3,
  deadlineAt: 7,
};
const upgrade: Required<UpgradeView> = {
  attempt: "a1",
  role: "old",
  step: "READY",
  since: 1,
  until: 2,
  sockets: 3,
  peer,
};
const lastUpgrade: Required<UpgradeOutcome> = {
  attempt: "a0",
  result: "rolled-back",
  reason: "not ready",
  cause: "unready",
  at: 1,
  seconds: 2.5,
  generation: 1,
  stopping: true,
  warnings: ["one"],
};
const wave = { services: ["web"], deadlineAt: 8, graceMs: 5, done: false };
const shutdown: Required<ShutdownView> = {
  cause: "SIGTERM",
  requestedAt: 1,
  deadlineAt: 9,
  lameDuckUntil: 2,
  waves: [wave],
  killed: ["web"],
};
const listeners = [
  { name: "http", address: "tcp 0.0.0.0:8080", services: ["web"], waits: "tcp 0.0.0.0:8080 is in use" },
];
const drains: Required<DrainView>[] = [
  {
    listener: "http",
    since: 1,
    connections: 3,
    drained: 5,
    cut: 1,
    killed: 1,
    seconds: 0.25,
    done: false,
    exact: true,
    cutTotal: 2,
  },
];
const full: Required<Snapshot> = {
  ...snapshotOf([service]),
  listeners,
  shutdown,
  drains,
  upgrade,
  lastUpgrade,
  draining: [peer],
  exitCode: 143,
};

test("/status is what its published schema says, with every field and with the fewest", async () => {
  for (const snapshot of [full, snapshotOf([]), snapshotOf([serviceView("web")], { phase: "Setup" })]) {
    await using stage = await Stage.open(snapshot);
    assert.deepEqual(problems(JSON.parse((await stage.tcp("/status")).body), schema), []);
    assert.deepEqual(problems(JSON.parse((await stage.unix("/status")).body), schema), []);
  }
});

test("the published schema knows the words of the core", () => {
  assert.deepEqual(schema.properties?.phase?.enum, phases);
  assert.deepEqual(schema.$defs?.state?.enum, serviceStateNames);
  const condition = schema.$defs?.service?.properties?.dependsOn?.additionalProperties;
  assert.deepEqual(typeof condition === "object" && condition.enum, conditions);
});

test("the check of the schema finds what is wrong", () => {
  assert.deepEqual(
    problems({ ...full, live: true, ready: true, started: true, now: 1, phase: "Sleeping", extra: 1 }, schema),
    [`$.phase: Sleeping is none of ${phases}`, "$.extra is not in the schema"],
  );
  assert.equal(problems({}, schema).length, schema.required?.length);
});
