import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { InitAlarm } from "./init-alarm.js";

async function until(look: () => boolean): Promise<void> {
  while (!look()) await new Promise((wake) => setTimeout(wake, 5));
}

test("InitAlarm wakes a stopped process that owes an answer, and no other", { timeout: 10_000 }, async () => {
  const child = spawn("sleep", ["100"]);
  const pid = child.pid ?? 0;
  const stopped = () => readFileSync(`/proc/${pid}/stat`, "latin1").includes(") T ");
  try {
    let owes = false;
    const alarm = new InitAlarm(pid, () => owes, 50);
    child.kill("SIGSTOP");
    await until(stopped);
    alarm.asked();
    await new Promise((wake) => setTimeout(wake, 150));
    assert.ok(stopped(), "nothing is owed");
    owes = true;
    alarm.asked();
    await until(() => !stopped());
  } finally {
    child.kill("SIGKILL");
  }
});
