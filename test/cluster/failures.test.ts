import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, eventually, images, isReady, Namespace, type Pod, restarts, type Terminated } from "./cluster.js";
import { podWith, said, speaking } from "./pods.js";

let ns: Namespace;
before(async () => {
  ns = await Namespace.create("failures");
});
after(() => ns?.end());

function terminated(pod: Pod): Terminated | undefined {
  return pod.status.containerStatuses?.[0]?.state.terminated;
}

async function ends(name: string): Promise<Terminated> {
  return terminated(await ns.podUntil(name, "a terminated container", terminated)) as Terminated;
}

test("a service that fails its livenessProbe is restarted, the container is not", async () => {
  const config = `
services:
  well: { command: ${speaking("well")} }
  sick:
    command: ${speaking("sick")}
    livenessProbe: { exec: { command: [sh, -c, "! rm /tmp/sick"] }, periodSeconds: 0.2, failureThreshold: 1 }
    restart: { initialDelaySeconds: 0.1 }
`;
  await ns.apply(...podWith("sick", { config }));
  const pod = await ns.podUntil("sick", "Ready", isReady);
  const { text } = ns.follow("sick");
  await ns.sh("sick", "touch /tmp/sick");
  const lines = (): string[] => said(text()).flatMap(({ name, event }) => (name === "sick" ? [event] : []));
  await eventually(() => lines().length === 4, { what: "the second start of sick" });
  assert.deepEqual(lines(), ["start", "term", "end", "start"]);
  await eventually(async () => (await ask(pod, "/readyz")).status === 200, { what: "/readyz" });
  assert.equal(said(text()).filter(({ name }) => name === "well").length, 1);
  assert.equal(restarts(await ns.pod("sick")), 0);
});

test("a supervisor that hangs fails the kubelet's livenessProbe: services stop in order, the container starts anew", async () => {
  const config = `
services: { db: { command: ${speaking("db")} }, web: { command: ${speaking("web")}, dependsOn: [db] } }
shutdown: { lameDuckSeconds: 0 }
`;
  await ns.apply(...podWith("hung", { config, graceSeconds: 15 }));
  await ns.podUntil("hung", "Ready", isReady);
  const { text, ended } = ns.follow("hung");
  await ns.sh(
    "hung",
    `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '[p]ingora-entry.cjs run' && kill -STOP \${p#/proc/}; done; true`,
  );
  const again = await ns.podUntil(
    "hung",
    "Ready after a restart",
    (pod) => restarts(pod) === 1 && isReady(pod),
    60_000,
  );
  await ended;
  assert.deepEqual(
    said(text()).map(({ name, event }) => `${name} ${event}`),
    ["db start", "web start", "web term", "web end", "db term", "db end"],
  );
  assert.equal(again.status.containerStatuses?.[0]?.lastState.terminated?.exitCode, 0);
});

test("a command that is not executable ends with 126, one that is not there with 127", async () => {
  const service = (command: string): string => `services: { main: { command: [${command}] } }\n`;
  const restartPolicy = "Never";
  await ns.apply(
    ...podWith("wrap-126", { restartPolicy, args: ["--", "/etc/passwd"], container: { env: [] } }),
    ...podWith("wrap-127", { restartPolicy, args: ["--", "/nowhere"], container: { env: [] } }),
    ...podWith("run-126", { restartPolicy, config: service("/etc/passwd") }),
    ...podWith("run-127", { restartPolicy, config: service("/nowhere") }),
  );
  for (const [name, code, word] of [
    ["wrap-126", 126, "/etc/passwd"],
    ["wrap-127", 127, "/nowhere"],
    ["run-126", 126, "main"],
    ["run-127", 127, "main"],
  ] as const) {
    const { exitCode, message } = await ends(name);
    assert.equal(exitCode, code, name);
    assert.ok(`${message}${await ns.kubectl("logs", name)}`.includes(word), `${name} does not say "${word}"`);
  }
});

test("a wrong configuration ends with 78, every problem in the termination message", async () => {
  const config = "services:\n  web: { comand: [web] }\n  api: { command: [api], dependsOn: [wbe] }\n";
  await ns.apply(...podWith("wrong", { config, restartPolicy: "Never" }));
  const { exitCode, message = "" } = await ends("wrong");
  assert.equal(exitCode, 78);
  const { problems } = JSON.parse(message) as { problems: string[] };
  assert.equal(problems.length, 2);
  assert.match(problems[0] ?? "", /^2:10 +services\.web\.comand: unknown key.*command/);
  assert.match(problems[1] ?? "", /^3:\d+ +services\.api\.dependsOn\[0\]: unknown service "wbe".*web/);
});

test("a stop that cannot fit the pod's grace is refused with 78", async () => {
  const config = "services: { web: { command: [sleep, inf], stop: { graceSeconds: 40 } } }\n";
  await ns.apply(...podWith("unfit", { config, restartPolicy: "Never", graceSeconds: 30 }));
  const { exitCode, message } = await ends("unfit");
  assert.equal(exitCode, 78);
  assert.match(message ?? "", /stopping web needs 41 s but the pod grants 30 s/);
});

test("the init alone, an image of one file, runs one command and passes its exit code on", async () => {
  await ns.apply(
    ...podWith("alone", {
      image: images.init,
      restartPolicy: "Never",
      args: ["--", "/pingora-entry", "--version"],
      container: { env: [] },
    }),
  );
  assert.equal((await ends("alone")).exitCode, 0);
  assert.match(await ns.kubectl("logs", "alone"), /^pingora-entry \d+\.\d+\.\d+/);
});
