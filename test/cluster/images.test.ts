import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { ask, eventually, images, Namespace, type Pod } from "./cluster.js";
import { podWith } from "./pods.js";

let ns: Namespace;
before(async () => {
  ns = await Namespace.create("images");
});
after(() => ns?.end());

test("examples/three-services runs as it is written", async () => {
  const text = readFileSync("examples/three-services/deployment.yaml", "utf8").replace(
    "three-services:latest",
    images.threeServices,
  );
  await ns.apply(...parseAllDocuments(text).map((document) => document.toJS()));
  await ns.kubectl("rollout", "status", "deployment/three-services", "--timeout=60s");
  const { items } = JSON.parse(await ns.kubectl("get", "pods", "-l", "app=three-services", "-o", "json")) as {
    items: Pod[];
  };
  assert.equal(items.length, 2);
  const [pod] = items as [Pod];
  assert.match((await ask(pod, "/", 8080)).body, /You are visitor 1\./);
  assert.match((await ask(pod, "/", 8080)).body, /You are visitor 2\./);
  const find = "find / -xdev -perm /6000 -type f 2>/dev/null; true";
  assert.equal((await ns.kubectl("exec", pod.metadata.name, "--", "sh", "-c", find)).trim(), "", "setuid programs");
  const log = await ns.kubectl("logs", pod.metadata.name);
  const first = (word: string): number => log.indexOf(word);
  assert.ok(
    first("migrate: to version 3") < first("cache: listening") && first("cache: listening") < first("web: listening"),
    log,
  );

  // the Service's endpoints follow the pods
  const ready = async (): Promise<number> => {
    const slices = JSON.parse(
      await ns.kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=three-services", "-o", "json"),
    );
    // biome-ignore lint/suspicious/noExplicitAny: a list as the API gives it
    return slices.items.flatMap((slice: any) => slice.endpoints ?? []).filter((end: any) => end.conditions.ready)
      .length;
  };
  await eventually(async () => (await ready()) === 2, { what: "two ready endpoints" });
  const follow = ns.follow(pod.metadata.name);
  await ns.kubectl("delete", "pod", pod.metadata.name, "--wait=false");
  await follow.ended;
  assert.ok(follow.text().indexOf("web: closed") < follow.text().indexOf("cache: closed"), follow.text());
  await ns.kubectl("rollout", "status", "deployment/three-services", "--timeout=60s");
});

test("examples/existing-image runs python and shell on an image without Node", async () => {
  const security = { runAsUser: 1000 };
  const [pod] = podWith("existing", { image: images.existingImage }) as [
    { spec: { containers: Record<string, unknown>[] } },
  ];
  const [app] = pod.spec.containers as [Record<string, unknown>];
  app.securityContext = { ...(app.securityContext as object), ...security };
  (app.volumeMounts as object[]).push({ name: "tmp", mountPath: "/run/app" });
  await ns.apply(pod);
  const running = await ns.podUntil(
    "existing",
    "a running container",
    (now) => now.status.containerStatuses?.[0]?.state.running,
  );
  const page = await eventually(
    async () => {
      const { status, body } = await ask(running, "/", 8080);
      return status === 200 ? body : undefined;
    },
    { what: "the page", timeoutMs: 20_000 },
  );
  assert.match(page, /began .*\d\d:\d\d:\d\d.*now/s);
  assert.notEqual((await ns.try("exec", "existing", "--", "sh", "-c", "command -v node")).code, 0);
  const { text, ended } = ns.follow("existing");
  await ns.kubectl("delete", "pod", "existing", "--wait=false");
  await ended;
  assert.match(text(), /clock: stopped/);
});
