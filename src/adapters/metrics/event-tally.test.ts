import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceView, snapshotOf } from "../../../test/integration/http/stage.js";
import type { InstanceView, ServiceView, Snapshot } from "../../core/snapshot.js";
import type { UpgradeCause } from "../../core/upgrade-cause.js";
import { EventTally } from "./event-tally.js";

function open(attached = true) {
  const seen: string[] = [];
  const tally = new EventTally();
  const observer = {
    ready: (service: string, seconds: number) => seen.push(`${service} ready ${seconds}`),
    stopped: (service: string, how: string, seconds: number) => seen.push(`${service} ${how} ${seconds}`),
    upgraded: (step: string, seconds: number) => seen.push(`upgrade ${step} ${seconds}`),
  };
  if (attached) tally.attach(observer);
  const show = (change: Partial<InstanceView>, service: Partial<ServiceView> = {}) => {
    const view = serviceView("web", service);
    tally.snapshot(
      snapshotOf([
        { ...view, instances: [{ id: "web/0", state: "Waiting", since: 0, reason: "", restarts: 0, ...change }] },
      ]),
    );
  };
  return { tally, seen, show, attach: () => tally.attach(observer) };
}

test("EventTally measures from the start of a process until it is ready, once per process", () => {
  const { seen, show } = open();
  show({ state: "Waiting" });
  show({ state: "Starting", since: 1_000 });
  show({ state: "Starting", since: 1_000, pid: 5 });
  show({ state: "Ready", since: 1_250, pid: 5 });
  show({ state: "Ready", since: 1_250, pid: 5 });
  assert.deepEqual(seen, ["web ready 0.25"]);
  show({ state: "Starting", since: 3_000, pid: 5, reason: "readiness probe: refused" });
  show({ state: "Ready", since: 9_000, pid: 5 });
  assert.deepEqual(seen, ["web ready 0.25"], "a probe that failed for a while is no start");
  show({ state: "Backoff", since: 10_000 });
  show({ state: "Starting", since: 11_000 });
  show({ state: "Ready", since: 11_100, pid: 6 });
  assert.deepEqual(seen, ["web ready 0.25", "web ready 0.1"]);
});

test("EventTally measures a oneshot until it has completed, and a failed one not at all", () => {
  const { seen, show } = open();
  const oneshot = { type: "oneshot" } as const;
  show({ state: "Starting", since: 1_000 }, oneshot);
  show({ state: "Stopped", since: 1_500, lastExit: { code: 0, at: 1_500 } }, oneshot);
  show({ state: "Starting", since: 2_000 }, oneshot);
  show({ state: "Failed", since: 2_500, lastExit: { code: 1, at: 2_500 } }, oneshot);
  assert.deepEqual(seen, ["web ready 0.5"]);
});

test("EventTally keeps what it sees until somebody renders it", () => {
  const { tally, seen, show, attach } = open(false);
  show({ state: "Starting", since: 1_000 });
  show({ state: "Ready", since: 1_010, pid: 5 });
  tally.stopped({ service: "web", stopMs: 120, killed: false, usage: { userMs: 10, systemMs: 5, maxRssKb: 0 } });
  tally.stopped({ service: "web", stopMs: 5_000, killed: true });
  tally.stopped({ service: "web", killed: false, usage: { userMs: 1, systemMs: 0, maxRssKb: 0 } });
  attach();
  assert.deepEqual(seen, ["web ready 0.01", "web exited 0.12", "web killed 5"]);
  assert.equal(tally.endedCpuMs.get("web"), 16);
  tally.transition({ from: "Setup", to: "Bootstrap", event: "Begin", at: 0 });
  tally.transition({ from: "Setup", to: "Bootstrap", event: "Begin", at: 0 });
  assert.equal(tally.transitions.get("Setup Bootstrap"), 2);
});

test("EventTally measures the steps of upgrades and counts how they ended, once each", () => {
  const { tally, seen } = open();
  const show = (change: Partial<Snapshot>) => tally.snapshot(snapshotOf([], change));
  const peer = { generation: 2, release: "", build: "", pid: 7 };
  const step = (name: string, since: number, sockets?: number) => ({
    upgrade: {
      attempt: "a",
      role: "old",
      step: name,
      since,
      peer,
      ...(sockets === undefined ? {} : { sockets }),
    } as const,
  });
  const outcome = (attempt: string, result: "completed" | "rolled-back", cause: UpgradeCause) => ({
    lastUpgrade: { attempt, result, reason: "in words", cause, at: 4_000, seconds: 3, generation: 1, warnings: [] },
  });
  // known from before this supervisor
  show(outcome("z", "completed", "none"));
  show({ ...outcome("z", "completed", "none"), ...step("LEASE", 1_000) });
  show(step("OFFER", 1_500));
  show(step("PREPARING", 2_000, 3));
  show(step("PREPARING", 2_000, 3));
  show(outcome("a", "rolled-back", "lost"));
  show(outcome("a", "rolled-back", "lost"));
  show(outcome("b", "completed", "none"));
  assert.deepEqual(seen, [
    "upgrade LEASE 0.5",
    "upgrade OFFER 0.5",
    "upgrade PREPARING 2",
    "upgrade all 3",
    "upgrade all 3",
  ]);
  tally.upgradeRefused();
  tally.upgradeRefused();
  assert.deepEqual(Object.fromEntries(tally.upgrades), {
    "rolled-back lost": 1,
    "completed none": 1,
    "busy busy": 2,
  });
  assert.equal(tally.handoverSockets, 3);
});
