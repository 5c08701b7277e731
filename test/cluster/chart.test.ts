import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { helms, isHelm3 } from "../chart/helm.js";
import { ask, must, Namespace, type Pod } from "./cluster.js";
import { speaking } from "./pods.js";

async function podsOf(ns: Namespace): Promise<Pod[]> {
  const args = [
    "get",
    "pods",
    "-l",
    "app.kubernetes.io/instance=shop",
    "--field-selector=status.phase=Running",
    "-o",
    "json",
  ];
  const { items } = JSON.parse(await ns.kubectl(...args)) as { items: Pod[] };
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

for (const helm of helms) {
  test(`chart is installed, tested, upgraded and removed, ${helm}`, async () => {
    await using ns = await Namespace.create("chart");
    const dir = mkdtempSync(join(tmpdir(), "chart-"));
    try {
      const values = join(dir, "values.yaml");
      const image = { registry: "docker.io", repository: "library/pingora-entry", tag: "test", pullPolicy: "Never" };
      const chart = (...args: string[]): Promise<string> => must(helm, ["-n", ns.name, ...args]);
      writeFileSync(values, stringify({ image }));
      await chart("install", "shop", "charts/pingora-entry", "-f", values, "--wait", "--timeout", "60s");
      const [first] = await podsOf(ns);
      assert.ok(first);
      assert.equal((await ask(first, "/", 8080)).body, "Hello from pingora-entry\n");
      // Helm 3 asks for the log of a pod that it has deleted already
      if (isHelm3(helm)) assert.match(await chart("test", "shop"), /Phase: +Succeeded/);
      else assert.match(await chart("test", "shop", "--logs"), /\/readyz\?verbose 200\n\/metrics 200\nready/);

      const services = {
        first: { command: JSON.parse(speaking("first")) },
        second: { command: JSON.parse(speaking("second")), dependsOn: ["first"], stop: { graceSeconds: 5 } },
      };
      const shutdown = { lameDuckSeconds: 1 };
      writeFileSync(
        values,
        stringify({ image, services, shutdown, service: { enabled: false }, terminationGracePeriodSeconds: 15 }),
      );
      const log = ns.follow(first.metadata.name);
      await chart("upgrade", "shop", "charts/pingora-entry", "-f", values, "--wait", "--timeout", "60s");
      await log.ended;
      assert.match(log.text(), /"exitCode":0/, "the pod of the first revision ended cleanly");
      const [second] = await podsOf(ns);
      assert.ok(second);
      assert.notEqual(second.metadata.name, first.metadata.name);
      const check = await ns.kubectl("exec", second.metadata.name, "--", "pingora-entry", "check");
      assert.match(check, /15 s of the 15 s/);
      await chart("uninstall", "shop", "--wait", "--timeout", "60s");
      assert.deepEqual(await podsOf(ns), []);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
}
