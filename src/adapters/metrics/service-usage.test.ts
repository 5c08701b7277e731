import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { eventually } from "../../../test/integration/eventually.js";
import { serviceView } from "../../../test/integration/http/stage.js";
import { treeUsage } from "./process-usage.js";
import { ServiceUsage } from "./service-usage.js";

test("treeUsage adds up a process and everything below it, and is undefined for one that is gone", async () => {
  const child = spawn("sh", ["-c", "sh -c 'while [ $((n+=1)) -lt 30000 ]; do :; done; exec sleep 100' & sleep 100"], {
    detached: true,
    stdio: "ignore",
  });
  const pid = child.pid ?? 0;
  await eventually(() => (treeUsage(pid)?.cpuSeconds ?? 0) > 0, 30_000);
  const { residentBytes = 0 } = treeUsage(pid) ?? {};
  assert.ok(residentBytes > 1e6 && residentBytes < 50e6, `${residentBytes} bytes`);
  // the whole group: what is left of it would keep this file from ending
  process.kill(-pid, "SIGKILL");
  await eventually(() => treeUsage(pid) === undefined);
});

test("ServiceUsage never goes back, and goes on counting after a process has ended", () => {
  const ended = new Map<string, number>();
  const usage = new ServiceUsage(ended);
  const running = serviceView("web");
  const gone = { ...running, instances: [] };
  const first = usage.of(running);
  assert.ok(first.cpuSeconds > 0 && first.residentBytes > 0);
  assert.deepEqual(usage.of(gone), { cpuSeconds: first.cpuSeconds, residentBytes: 0 });
  ended.set("web", first.cpuSeconds * 1000 + 500);
  assert.equal(usage.of(gone).cpuSeconds, first.cpuSeconds + 0.5);
});
