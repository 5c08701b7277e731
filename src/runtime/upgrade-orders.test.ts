import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { ExitStatus } from "./ports.js";
import { type OrderParts, UpgradeOrders } from "./upgrade-orders.js";

/** Orders whose candidate, on line 5, has ended before the init's answer is looked at. */
function withQuickEnd(
  status: ExitStatus,
  words: Record<string, string>,
  stop?: { readonly signalled: boolean; readonly cause: string },
): UpgradeOrders {
  const orders: UpgradeOrders = new UpgradeOrders({
    clock: new ManualClock(),
    log: { info() {} },
    bootMs: 60_000,
    generation: 1,
    init: {
      successor: () => {
        const answer = Promise.resolve({ ok: true, line: 5, pid: 9 });
        orders.ended(5, status);
        return answer;
      },
    },
    old: { onStep: () => () => {}, makeRoom() {}, mend() {}, candidate: undefined, replacedBy: undefined },
    upgrade: {
      attemptId: () => "a1",
      command: () => ({ argv: [], env: [] }),
      refusal: (attempt: string) => words[attempt],
    },
    stop: () => stop,
    busy: () => undefined,
    outcome() {},
    save() {},
  } as unknown as OrderParts);
  return orders;
}

for (const [what, status, words, cause, reason] of [
  ["a wrong configuration", { code: 78 }, { a1: "pingora-entry: 1 problem" }, "check", "check failed: 1 problem"],
  ["another reason", { code: 71 }, { a1: "no addon" }, "start", /exited with code 71 before .*: no addon$/],
  ["no word", { code: 78 }, {}, "check", /exited with code 78 before .*; the log may say why$/],
  ["a signal", { signal: "SIGKILL" }, {}, "start", /died of SIGKILL before/],
] as const)
  test(`an order tells of a candidate that has ended before the init's answer was looked at: ${what}`, async () => {
    const orders = withQuickEnd(status, words);
    const outcome = await orders.run({ conf: [], wait: false }, () => {}, new AbortController().signal);
    assert.deepEqual([outcome.result, outcome.cause], ["rolled-back", cause]);
    if (typeof reason === "string") assert.equal(outcome.reason, reason);
    else assert.match(outcome.reason, reason);
  });

test("an order whose candidate is refused because the server ends is rolled back: there is no later", async () => {
  const ended = { signalled: true, cause: "SIGTERM" };
  for (const [stop, result, reason] of [
    [ended, "rolled-back", "SIGTERM"],
    [{ ...ended, signalled: false }, "busy", "the new generation was refused: no"],
  ] as const) {
    const orders = withQuickEnd({ code: 75 }, { a1: "pingora-entry: no" }, stop);
    const outcome = await orders.run({ conf: [], wait: false }, () => {}, new AbortController().signal);
    assert.deepEqual([outcome.result, outcome.reason], [result, reason]);
  }
});
