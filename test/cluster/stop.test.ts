import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, eventually, isReady, Namespace, type Pod } from "./cluster.js";
import { podWith, said, speaking } from "./pods.js";

let ns: Namespace;
before(async () => {
  ns = await Namespace.create("stop");
});
after(() => ns?.end());

function ended(states: readonly Pod[]) {
  const last = states.findLast((pod) => pod.status.containerStatuses?.[0]?.state.terminated !== undefined);
  const terminated = last?.status.containerStatuses?.[0]?.state.terminated;
  assert.ok(terminated, "no state of the pod shows its container terminated");
  return terminated;
}

const phases = (log: string): string[] => [...log.matchAll(/"to":"(\w+)"/g)].map(([, phase = ""]) => phase);

test("kubectl delete: preStop serves on, services stop in reverse order, exit 0 inside the grace", async () => {
  const config = `
services:
  db:  { command: ${speaking("db")} }
  api: { command: ${speaking("api")}, dependsOn: [db] }
  web: { command: ${speaking("web")}, dependsOn: [api] }
shutdown: { lameDuckSeconds: 2 }
`;
  await ns.apply(...podWith("chain", { config, graceSeconds: 20 }));
  const pod = await ns.podUntil("chain", "Ready", isReady);
  const { text, ended: logEnded } = ns.follow("chain");
  const { states, deleted } = ns.watch("chain");
  await eventually(() => states.length > 0, { what: "the watch's first state" });

  const from = performance.now();
  await ns.kubectl("delete", "pod", "chain", "--wait=false");
  await eventually(async () => (await ask(pod, "/status")).body.includes('"phase":"GracefulTerminate"'), {
    what: "lame duck",
  });
  // auto: the endpoint is not ready by itself; kube-proxy may still want us
  assert.ok(
    said(text()).every(({ event }) => event === "start"),
    "nobody is told to end in the lame duck",
  );
  await deleted;
  const seconds = (performance.now() - from) / 1000;
  await logEnded;

  assert.deepEqual(
    said(text()).map(({ name, event }) => `${name} ${event}`),
    ["db start", "api start", "web start", "web term", "web end", "api term", "api end", "db term", "db end"],
  );
  assert.deepEqual(phases(text()).slice(-5), [
    "GracefulTerminate",
    "ShutdownStarted",
    "ShutdownGracePeriod",
    "ShutdownRuntimes",
    "Terminated",
  ]);
  // two of the lame duck, three times 0.3; the kubelet's share is not ours
  assert.ok(seconds > 2.9 && seconds < 10, `the pod was gone after ${seconds} s`);
  const { exitCode, reason, message = "" } = ended(states);
  assert.deepEqual({ exitCode, reason }, { exitCode: 0, reason: "Completed" });
  const words = JSON.parse(message);
  assert.equal(words.exitCode, 0);
  assert.equal(words.cause, "preStop");
  assert.deepEqual(words.killed, []);
  assert.deepEqual(words.services.map(({ name }: { name: string }) => name).sort(), ["api", "db", "web"]);
});

test("a service that ignores SIGTERM is killed before the kubelet kills, and named", async () => {
  const deaf = JSON.stringify(["sh", "-c", "trap '' TERM; while :; do sleep 60 & wait $!; done"]);
  const config = `
services:
  db:   { command: ${speaking("db")} }
  deaf: { command: ${deaf}, dependsOn: [db], stop: { graceSeconds: 2 } }
shutdown: { lameDuckSeconds: 0 }
`;
  await ns.apply(...podWith("deaf", { config, graceSeconds: 10 }));
  await ns.podUntil("deaf", "Ready", isReady);
  const { text, ended: logEnded } = ns.follow("deaf");
  const { states, deleted } = ns.watch("deaf");
  await eventually(() => states.length > 0, { what: "the watch's first state" });
  await ns.kubectl("delete", "pod", "deaf", "--wait=false");
  await deleted;
  await logEnded;
  const { exitCode, message = "", finishedAt } = ended(states);
  assert.equal(exitCode, 143, "documented: a stop that had to kill");
  assert.deepEqual(JSON.parse(message).killed, ["deaf"]);
  assert.deepEqual(
    said(text()).map(({ event }) => event),
    ["start", "term", "end"],
    "db was stopped in order all the same",
  );
  const granted = states.find(({ metadata }) => metadata.deletionTimestamp !== undefined)?.metadata.deletionTimestamp;
  assert.ok(Date.parse(finishedAt) < Date.parse(granted ?? ""), "over before the grace was");
});

test("a pod that is deleted while it starts stops what has started, and exits 0", async () => {
  const config = `
services:
  db:  { command: ${speaking("db")}, readinessProbe: { file: /tmp/never, periodSeconds: 0.1 } }
  api: { command: ${speaking("api")}, dependsOn: [db] }
shutdown: { lameDuckSeconds: 0 }
`;
  await ns.apply(...podWith("early", { config, graceSeconds: 10 }));
  await ns.podUntil("early", "a running container", (pod) => pod.status.containerStatuses?.[0]?.state.running);
  const { text, ended: logEnded } = ns.follow("early");
  await eventually(() => said(text()).length > 0, { what: "the first line of db" });
  const { states, deleted } = ns.watch("early");
  await eventually(() => states.length > 0, { what: "the watch's first state" });
  await ns.kubectl("delete", "pod", "early", "--wait=false");
  await deleted;
  await logEnded;
  assert.deepEqual(
    said(text()).map(({ name, event }) => `${name} ${event}`),
    ["db start", "db term", "db end"],
  );
  assert.equal(ended(states).exitCode, 0);
});
