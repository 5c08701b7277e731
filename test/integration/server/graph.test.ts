import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../fakes/random.js";
import { type ServiceLine, startServer } from "../harness.js";

interface Node {
  readonly name: string;
  readonly needs: readonly string[];
  readonly fails: boolean;
}

function configOf(nodes: readonly Node[]): string {
  const services = nodes.map(({ name, needs, fails }) => {
    const run = fails ? '-x, "5:3"' : '-r, "1"';
    const policy = fails ? ", required: false, restart: { policy: never }" : ", readinessProbe: { notify: true }";
    return `  ${name}: { command: [{{service}}, -n, ${name}, ${run}], dependsOn: [${needs.join(", ")}]${policy} }`;
  });
  return `services:\n${services.join("\n")}\nshutdown: { gracePeriodSeconds: 60, lameDuckSeconds: 0, reserveSeconds: 1 }\n`;
}

function at(lines: readonly ServiceLine[], name: string, event: string): number | undefined {
  return lines.find((line) => line.name === name && line.event === event)?.at;
}

/** Starts and stops; asserts by the services' own clocks that nobody started before a need was ready or ended before a dependent had ended. */
async function assertOrder(nodes: readonly Node[]): Promise<void> {
  await using server = startServer(configOf(nodes));
  await server.phase("Running", 60_000);
  server.signal("SIGTERM");
  const { code } = await server.exited;
  assert.equal(code, 0, server.stderr.slice(-3_000));
  const lines = server.lines();
  for (const { name, needs, fails } of nodes) {
    const starts = lines.filter((line) => line.name === name && line.event === "start");
    assert.equal(starts.length, 1, name);
    for (const need of needs) {
      const ready = at(lines, need, "ready");
      assert.ok(ready !== undefined && ready <= (starts[0]?.at ?? 0), `${name} started before ${need} was ready`);
      if (!fails)
        assert.ok((at(lines, need, "exit") ?? 0) > (at(lines, name, "exit") ?? 1e15), `${need} ended before ${name}`);
    }
  }
}

test("pingora-entry keeps the order of 200 services in a random graph, 20 of which fail", async () => {
  const random = seeded(5);
  const nodes: Node[] = [];
  for (let i = 0; i < 200; i++) {
    const sound = nodes.filter(({ fails }) => !fails);
    const needs = new Set<string>();
    for (let k = 0; k < Math.floor(random() * 4); k++) {
      const need = sound[Math.floor(random() * sound.length)];
      if (need !== undefined) needs.add(need.name);
    }
    nodes.push({ name: `s${i}`, needs: [...needs], fails: i % 10 === 9 });
  }
  await assertOrder(nodes);
});

test("pingora-entry keeps the order of a chain of 200 services", async () => {
  await assertOrder(
    Array.from({ length: 200 }, (_, i) => ({ name: `c${i}`, needs: i === 0 ? [] : [`c${i - 1}`], fails: false })),
  );
});
