import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, eventually, isReady, Namespace, restarts } from "./cluster.js";
import { podWith, said, speaking } from "./pods.js";

let ns: Namespace;
before(async () => {
  ns = await Namespace.create("ready");
});
after(() => ns?.end());

test("pod is Ready only when the required services are, started in order", async () => {
  const config = `
services:
  db:    { command: ${speaking("db")}, readinessProbe: { file: /tmp/db, periodSeconds: 0.1 } }
  api:   { command: ${speaking("api")}, dependsOn: [db], readinessProbe: { file: /tmp/api, periodSeconds: 0.1, failureThreshold: 1 } }
  extra: { command: ${speaking("extra")}, required: false, readinessProbe: { file: /tmp/extra, periodSeconds: 0.1 } }
`;
  await ns.apply(...podWith("order", { config }));
  const log = ns.follow.bind(ns, "order");
  const running = await ns.podUntil(
    "order",
    "a running container",
    (pod) => pod.status.containerStatuses?.[0]?.state.running,
  );

  const waits = await eventually(
    async () => {
      const { status, body } = await ask(running, "/readyz?verbose");
      return status === 503 && body.includes("service/db") ? body : undefined;
    },
    { what: "/readyz that waits for db" },
  );
  assert.match(waits, /\[-\]service\/db/);
  const { text } = log();
  await eventually(() => said(text()).some(({ name }) => name === "db"), { what: "a line of db" });
  assert.deepEqual(new Set(said(text()).map(({ name }) => name)), new Set(["db", "extra"]));
  assert.equal(isReady(await ns.pod("order")), false);

  await ns.sh("order", "touch /tmp/db");
  await eventually(() => said(text()).some(({ name }) => name === "api"), { what: "a line of api" });
  assert.equal(isReady(await ns.pod("order")), false, "api is required and not ready");
  assert.equal((await ask(running, "/startupz")).status, 503);

  await ns.sh("order", "touch /tmp/api");
  await ns.podUntil("order", "Ready", isReady);
  assert.equal((await ask(running, "/readyz")).status, 200, "extra is not required");

  // a required service that stops being ready takes the pod out, without a restart
  await ns.sh("order", "rm /tmp/api");
  await ns.podUntil("order", "not Ready", (pod) => !isReady(pod));
  await ns.sh("order", "touch /tmp/api");
  const again = await ns.podUntil("order", "Ready again", isReady);
  assert.equal(restarts(again), 0);
});

test("supervisor killed with -9 comes back: services live on, the pod stays as it was", async () => {
  const config = `services: { one: { command: ${speaking("one")} }, two: { command: ${speaking("two")}, dependsOn: [one] } }\n`;
  await ns.apply(...podWith("kill", { config }));
  const pod = await ns.podUntil("kill", "Ready", isReady);
  const find = `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '[p]ingora-entry.cjs run' && echo \${p#/proc/}; done; true`;
  const before = await ns.sh("kill", find);
  assert.match(before, /^\d+$/);
  const pids = async () => {
    const { body } = await ask(pod, "/status");
    const { services } = JSON.parse(body) as { services: { instances: { pid?: number }[] }[] };
    return services.map(({ instances }) => instances[0]?.pid);
  };
  const services = await pids();
  const { text } = ns.follow("kill");
  await ns.sh("kill", `kill -9 ${before}`);
  await eventually(async () => (await ns.sh("kill", find)) !== before && (await ask(pod, "/readyz")).status === 200, {
    what: "/readyz from another supervisor",
  });
  assert.deepEqual(await pids(), services);
  assert.equal(said(text()).length, 2, "no service was started twice or told to end");
  assert.equal(restarts(await ns.pod("kill")), 0);
});

test("status answers in the container, which is neither root nor able to write to its root", async () => {
  const config = `services: { one: { command: ${speaking("one")} } }\n`;
  await ns.apply(...podWith("inside", { config }));
  await ns.podUntil("inside", "Ready", isReady);
  const status = await ns.kubectl("exec", "inside", "--", "pingora-entry", "status");
  assert.match(status, /Running/);
  assert.match(status, /one +Ready/);
  const { services } = JSON.parse(await ns.kubectl("exec", "inside", "--", "pingora-entry", "status", "--json"));
  assert.equal(services[0].name, "one");
  assert.equal(await ns.kubectl("exec", "inside", "--", "pingora-entry", "phase"), "Running\n");
  assert.equal((await ns.try("exec", "inside", "--", "pingora-entry", "healthcheck")).code, 0);

  assert.equal(await ns.sh("inside", "id -u"), "65532");
  assert.match(await ns.sh("inside", "touch /new 2>&1; true"), /Read-only file system/);
  const facts = await ns.sh("inside", "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/1/status");
  assert.deepEqual(
    facts.split("\n").map((line) => line.split(/:\s+/)[1]),
    ["0000000000000000", "1", "2"],
  );
});
