import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { loadPlan } from "../../src/adapters/config/load-plan.js";
import { container, find, helms, isHelm3, notes, render } from "./helm.js";
import { shop, withLog } from "./values.js";

// Helm 3 wants a cluster at hand to render notes
for (const helm of helms.filter((program) => !isHelm3(program))) {
  describe(`notes, ${helm}`, () => {
    test("ConfigMap is what pingora-entry accepts, with the same stop in the same order", async () => {
      for (const values of [{}, shop]) {
        const outcome = render(helm, values);
        const { env } = container(outcome);
        const { plan } = await loadPlan({
          texts: [{ name: "config.yaml", text: find(outcome, "ConfigMap").data["config.yaml"] }],
          env: { KUBERNETES_SERVICE_HOST: "10.0.0.1", [env[0].name]: env[0].value },
        });
        assert.deepEqual(plan.shutdown, { gracePeriodMs: 30_000, lameDuckMs: 5_000, reserveMs: 1_000 });
        const stops = [...notes(helm, values).matchAll(/ {2}stop ([^:\n]+)/g)].map(([, names = ""]) =>
          names.split(", "),
        );
        const oneshots = plan.services.filter(({ type }) => type === "oneshot").map(({ name }) => name);
        const waves = plan.waves.map((names) => names.filter((name) => !oneshots.includes(name)));
        assert.deepEqual(stops, waves.filter((names) => names.length > 0).reverse());
      }
    });

    test("notes print the shutdown plan in stop order", () => {
      const text = notes(helm, withLog);
      assert.match(
        text,
        /5 s {2}lame duck.*15 s {2}stop web.*5 s {2}stop cache.*stop log: a share.*26 s {2}in sum, 4 s are left/s,
      );
    });

    test("notes warn when almost nothing is left to share", () => {
      assert.match(
        notes(helm, { ...withLog, terminationGracePeriodSeconds: 26 }),
        /WARNING: less than a second each is left to stop log:/,
      );
    });

    test("main comes after all others when it says nothing", () => {
      const text = notes(helm, { ...shop, args: ["./server"] });
      assert.match(text, /stop main: a share.*stop web.*stop cache/s);
    });

    test("a chain of 60 services is planned in its order", () => {
      const names = Array.from({ length: 60 }, (_, i) => `s${i}`);
      const services = Object.fromEntries(
        names.map((name, i) => [
          name,
          { command: ["x"], stop: { graceSeconds: 1 }, dependsOn: i === 0 ? [] : [`s${i - 1}`] },
        ]),
      );
      const text = notes(helm, { ...shop, services, terminationGracePeriodSeconds: 70 });
      const order = [...text.matchAll(/stop (s\d+)/g)].map(([, name]) => name);
      assert.deepEqual(order, [...names].reverse());
    });
  });
}
