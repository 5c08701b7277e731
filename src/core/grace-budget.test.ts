import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../test/fakes/random.js";
import { planShutdown, type StopBudget } from "./grace-budget.js";

const budget = (change: Partial<StopBudget>): StopBudget => ({
  requestedAt: 1_000,
  graceMs: 30_000,
  reserveMs: 1_000,
  lameDuckMs: 5_000,
  waves: [],
  ...change,
});

test("planShutdown keeps explicit graces and shares the rest equally when it fits", () => {
  const plan = planShutdown(
    budget({
      waves: [
        { services: [{ name: "web", graceMs: 10_000 }] },
        { services: [{ name: "api" }] },
        { services: [{ name: "db" }] },
      ],
    }),
  );
  assert.equal(plan.lameDuckUntil, 6_000);
  assert.deepEqual(
    plan.waves.map(({ graceMs }) => graceMs),
    [10_000, 7_000, 7_000],
  );
  assert.deepEqual(
    plan.waves.map(({ deadline }) => deadline),
    [16_000, 23_000, 30_000],
  );
  assert.equal(plan.excessMs, 0);
});

test("planShutdown lets the lame duck give way first when the grant is too small", () => {
  const plan = planShutdown(budget({ graceMs: 12_000, waves: [{ services: [{ name: "web", graceMs: 10_000 }] }] }));
  assert.equal(plan.lameDuckUntil, 2_000);
  assert.equal(plan.waves[0]?.graceMs, 10_000);
  assert.equal(plan.excessMs, 4_000);
});

test("planShutdown shrinks every wave in proportion when even the waves do not fit", () => {
  const waves = [{ services: [{ name: "a", graceMs: 20_000 }] }, { services: [{ name: "b", graceMs: 10_000 }] }];
  const plan = planShutdown(budget({ graceMs: 16_000, waves }));
  assert.equal(plan.lameDuckUntil, 1_000);
  assert.deepEqual(
    plan.waves.map(({ graceMs }) => graceMs),
    [10_000, 5_000],
  );
  assert.equal(plan.deadline, 16_000);
});

test("planShutdown gives waves without a grace of their own a second before the lame duck has any", () => {
  const waves = [{ services: [{ name: "web", graceMs: 20_000 }] }, { services: [{ name: "cache" }] }];
  const plan = planShutdown(budget({ graceMs: 25_000, waves }));
  assert.equal(plan.lameDuckUntil, 4_000);
  assert.deepEqual(
    plan.waves.map(({ graceMs }) => graceMs),
    [20_000, 1_000],
  );
});

test("planShutdown gives no time to a wave in which nothing runs", () => {
  const waves = [{ services: [{ name: "web" }] }, { services: [{ name: "migrate", idle: true, graceMs: 5_000 }] }];
  const plan = planShutdown(budget({ waves }));
  assert.deepEqual(
    plan.waves.map(({ graceMs }) => graceMs),
    [24_000, 0],
  );
});

test("planShutdown passes no deadline beyond grace less reserve, whatever is configured", () => {
  const random = seeded(7);
  const pick = (max: number): number => Math.floor(random() * max);
  for (let i = 0; i < 20_000; i++) {
    const waves = Array.from({ length: pick(6) }, (_, w) => ({
      services: Array.from({ length: 1 + pick(4) }, (_, s) => ({
        name: `${w}.${s}`,
        ...(random() < 0.5 ? { graceMs: pick(60_000) } : {}),
      })),
    }));
    const given = budget({ graceMs: pick(60_000), reserveMs: pick(5_000), lameDuckMs: pick(20_000), waves });
    const plan = planShutdown(given);
    const end = given.requestedAt + Math.max(0, given.graceMs - given.reserveMs);
    const instants = [plan.requestedAt, plan.lameDuckUntil, ...plan.waves.map(({ deadline }) => deadline)];
    for (const [k, instant] of instants.entries()) {
      assert.ok(instant <= end + 1e-6, `seed 7, case ${i}`);
      assert.ok(instant >= (instants[k - 1] ?? 0) - 1e-6, `seed 7, case ${i}: deadlines go back`);
    }
    assert.equal(plan.waves.length, given.waves.length);
  }
});
