// upgrade.preflight: a release that cannot start never accepts a connection. Who accepted what is written down by the services themselves.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { inPath } from "../adopt/programs.js";
import { childrenOf, commandOf, descendantsOf, eventually, kill } from "../harness.js";
import { ask, load, Upgradable } from "./stage.js";

const program = resolve("test/fixtures/tried.mjs");

interface Options {
  readonly listener?: string;
  readonly probe?: string;
  readonly service?: string;
  readonly command?: string;
  readonly more?: string;
}

/** A generation that is tried first; `way`: what its program does when it is (test/fixtures/tried.mjs). */
function generation(number: number, way: string, options: Options = {}): string {
  const {
    listener = 'tcp: "127.0.0.1:{{port}}"',
    probe = "httpGet: { path: /, listener: http }",
    command = `["${process.execPath}", "${program}", "${number}", "${way}"]`,
    service = "",
    more = "",
  } = options;
  return `
listeners: { http: { ${listener} } }
services:
  web:
    command: ${command}
    listeners: [http]
    env: { TRIED_LOG: "{{dir}}/tried.log", ADDRESS: "{{listeners.http.address}}" }
    readinessProbe: { ${probe}, periodSeconds: 0.1 }
    upgrade: { preflight: true }
    ${service}
upgrade: { probationSeconds: 0.3, bootSeconds: 10 }
${more}
`;
}

/** "start 2 trial", "accept 1 real", ...: what each process did, without its pid and with how often. */
function said(stage: Upgradable): Map<string, number> {
  const counts = new Map<string, number>();
  const lines = readFileSync(`${stage.server.dir}/tried.log`, "utf8").trim().split("\n");
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}

const leftPaths = (stage: Upgradable) => readdirSync(stage.server.dir).filter((name) => name.startsWith("preflight-"));

test("upgrade.preflight tries a release on private sockets, stops it, and only then starts the real one", async () => {
  await using stage = await Upgradable.start(generation(1, "well"));
  await stage.server.phase("Running");
  assert.deepEqual(
    [...said(stage).keys()].filter((line) => line.includes("trial")),
    [],
    "no trial without an upgrade",
  );
  const stop = load(stage.port);
  const { code, out, err } = await stage.upgrade(generation(2, "well", { service: "instances: 2" }));
  assert.equal(code, 0, out + err + stage.server.stderr);
  const seen = await stop();
  assert.deepEqual([...seen.failed], []);
  await eventually(async () => (await ask(stage.port)) === 2);
  const counts = said(stage);
  assert.equal(counts.get("start 2 trial"), 1, "one trial is enough for all instances");
  assert.equal(counts.get("start 2 real"), 2);
  const order = [...counts.keys()];
  assert.ok(order.indexOf("term 2 trial") < order.indexOf("start 2 real"), order.join("; "));
  assert.equal(counts.get("accept 2 trial"), counts.get("probe 2 trial"), "nobody but the probe came to the trial");
  const status = await eventually(
    async () => {
      const now = await stage.server.status();
      return now?.generation === 2 && now.phase === "Running" ? now : undefined;
    },
    { what: "the status of generation 2" },
  );
  const web = status.services.find(({ name }) => name === "web");
  assert.deepEqual(
    web?.instances.map(({ id, restarts }) => [id, restarts]),
    [
      ["web/0", 0],
      ["web/1", 0],
    ],
  );
  assert.match(stage.server.stderr, /preflight of web passed after/);
});

const failures: Readonly<Record<string, { readonly next: string; readonly reason: RegExp }>> = {
  "crashes at its start": {
    next: generation(2, "crash"),
    reason: /service web failed: preflight: exited with code 3/,
  },
  "is never ready": {
    next: generation(2, "sick", { more: "" }).replace("bootSeconds: 10", "bootSeconds: 2"),
    reason: /service web failed: preflight: not ready within 1\.\d+ s \(readiness probe: HTTP 503\)/,
  },
  "is never ready within its own time": {
    next: generation(2, "sick", { service: "startTimeoutSeconds: 0.5" }),
    reason: /service web failed: preflight: not ready within 0\.5 s/,
  },
  "fails its liveness probe": {
    next: generation(2, "sick", {
      service: "livenessProbe: { httpGet: { path: /live, listener: http }, periodSeconds: 0.1, failureThreshold: 2 }",
    }),
    reason: /service web failed: preflight: liveness probe: HTTP 503/,
  },
  "has a program that is not there": {
    next: generation(2, "well", { command: "[/nowhere/program]" }),
    reason: /service web failed: preflight: cannot execute "\/nowhere\/program": not found/,
  },
  "is not allowed to decide by onFailure": {
    next: generation(2, "crash", { service: "onFailure: ignore" }),
    reason: /service web failed: preflight: exited with code 3/,
  },
};

for (const [what, { next, reason }] of Object.entries(failures)) {
  test(`upgrade.preflight ends the upgrade when the new release ${what}, which has accepted nobody`, async () => {
    await using stage = await Upgradable.start(generation(1, "well"));
    await stage.server.phase("Running");
    const stop = load(stage.port);
    const { code, out, err } = await stage.upgrade(next);
    assert.equal(code, 1, out + err + stage.server.stderr);
    assert.match(err, reason);
    await eventually(() => childrenOf(stage.server.initPid()).length === 2, { what: "nothing left of the trial" });
    const seen = await stop();
    assert.deepEqual([...seen.failed], []);
    assert.deepEqual([...seen.generations], [1]);
    const counts = said(stage);
    assert.equal(counts.get("start 2 real"), undefined, [...counts.keys()].join("; "));
    assert.equal(counts.get("accept 2 trial"), counts.get("probe 2 trial"));
    const again = await stage.upgrade(generation(3, "well"));
    assert.equal(again.code, 0, again.err + stage.server.stderr);
  });
}

const ways: Readonly<Record<string, Options>> = {
  "as an env variable": { listener: 'tcp: "127.0.0.1:{{port}}", passAs: env' },
  "by IPv6 for both families": { listener: 'tcp: "[::]:{{port}}"' },
  "to a probe that names the port": { probe: "httpGet: { path: /, port: {{port}} }" },
  "to an exec probe": {
    probe: `exec: ["${process.execPath}", "${resolve("test/fixtures/ask.mjs")}", "{{listeners.http.address}}"]`,
  },
  "as a unix path": { listener: 'unix: "{{dir}}/web.sock"' },
};

for (const [what, options] of Object.entries(ways)) {
  test(`upgrade.preflight gives the private socket ${what}`, async () => {
    await using stage = await Upgradable.start(generation(1, "well", options));
    await stage.server.phase("Running");
    const bad = await stage.upgrade(generation(2, "sick", { ...options, service: "startTimeoutSeconds: 1" }));
    assert.equal(bad.code, 1, bad.err + stage.server.stderr);
    assert.match(bad.err, /preflight: not ready within 1 s/);
    assert.equal(said(stage).get("start 2 real"), undefined);
    assert.deepEqual(leftPaths(stage), []);
    const good = await stage.upgrade(generation(3, "well", options));
    assert.equal(good.code, 0, good.err + stage.server.stderr);
    const counts = said(stage);
    assert.equal(counts.get("start 3 trial"), 1);
    assert.ok((counts.get("accept 3 trial") ?? 0) > 0, [...counts.keys()].join("; "));
    const addresses = [...counts.keys()].filter((line) => /^at .* 3 /.test(line)).map((line) => line.split(" ")[1]);
    assert.equal(new Set(addresses).size, 2, `the trial is told its own address: ${addresses.join(", ")}`);
    assert.deepEqual(leftPaths(stage), []);
  });
}

/** Where the listener is, and what the program is told to bind. */
const bound: Readonly<Record<string, readonly [listener: string, host: string, port: string]>> = {
  "127.0.0.1": ['tcp: "127.0.0.1:{{port}}"', "127.0.0.1", "{{port}}"],
  "0.0.0.0": ['tcp: "0.0.0.0:{{port}}"', "0.0.0.0", "{{port}}"],
  "[::]": ['tcp: "[::]:{{port}}"', "::", "{{port}}"],
  "0.0.0.0 on [::]": ['tcp: "[::]:{{port}}"', "0.0.0.0", "{{port}}"],
  "what placeholders say": ['tcp: "127.0.0.1:{{port}}"', "{{listeners.http.host}}", "{{listeners.http.port}}"],
  "a path": ['unix: "{{dir}}/web.sock"', "unix", "{{dir}}/web.sock"],
  "the path that a placeholder says": ['unix: "{{dir}}/web.sock"', "bare", "{{listeners.http.path}}"],
};

for (const [what, [at, host, place]] of Object.entries(bound)) {
  const skip = inPath("python3") ? false : "python3 is not installed";
  test(`upgrade.preflight hands the private socket to an unchanged program that binds ${what}`, { skip }, async () => {
    const of = (number: number, way: string): string => {
      const command = JSON.stringify(["python3", resolve("test/fixtures/tried.py"), `${number}`, way, host, place]);
      return generation(number, way, { listener: `${at}, passAs: adopt`, command });
    };
    await using stage = await Upgradable.start(of(1, "well"));
    await stage.server.phase("Running");
    const bad = await stage.upgrade(of(2, "crash"));
    assert.equal(bad.code, 1, bad.err + stage.server.stderr);
    assert.match(bad.err, /preflight: exited with code 3/);
    const sick = await stage.upgrade(of(3, "sick").replace("bootSeconds: 10", "bootSeconds: 2"));
    assert.match(sick.err, /preflight: not ready within 1\.\d+ s \(readiness probe: HTTP 503\)/);
    const good = await stage.upgrade(of(4, "well"));
    assert.equal(good.code, 0, good.err + stage.server.stderr);
    const counts = said(stage);
    for (const number of [2, 3]) assert.equal(counts.get(`start ${number} real`), undefined);
    assert.equal(counts.get("start 4 trial"), 1);
    assert.ok((counts.get("serve 4 trial") ?? 0) > 0, [...counts.keys()].join("; "));
    assert.deepEqual(leftPaths(stage), []);
    if (at.startsWith("unix"))
      assert.ok(readdirSync(stage.server.dir).includes("web.sock"), "the path is not the trial's");
    else await eventually(async () => (await ask(stage.port)) === 4);
  });
}

const nginx = ["nginx", "/usr/sbin/nginx"].find((file) => (file.startsWith("/") ? existsSync(file) : inPath(file)));

test("upgrade.preflight tries an nginx, which finds its sockets by their address", {
  skip: nginx === undefined ? "nginx is not installed" : false,
}, async () => {
  const stage = await Upgradable.start(generation(1, "well"));
  await using _ = stage;
  await stage.server.phase("Running");
  const of = (number: number, answer: string): string => {
    const prefix = `${stage.server.dir}/nginx-${number}`;
    mkdirSync(`${prefix}/logs`, { recursive: true });
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path tmp;`);
    writeFileSync(
      `${prefix}/nginx.conf`,
      `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; events {}
       http { access_log access.log; ${temporary.join(" ")}
       server { listen 127.0.0.1:${stage.port}; location / { ${answer} } } }`,
    );
    const command = JSON.stringify([nginx, "-e", "stderr", "-p", prefix, "-c", `${prefix}/nginx.conf`]);
    return generation(number, "", { listener: 'tcp: "127.0.0.1:{{port}}", passAs: nginx', command }).replace(
      "bootSeconds: 10",
      number === 2 ? "bootSeconds: 2" : "bootSeconds: 10",
    );
  };
  const stop = load(stage.port, 2);
  const bad = await stage.upgrade(of(2, "return 503;"));
  assert.equal(bad.code, 1, bad.err + stage.server.stderr);
  assert.match(bad.err, /preflight: not ready within 1\.\d+ s \(readiness probe: HTTP 503\)/);
  const good = await stage.upgrade(of(3, `return 200 '{"generation":3}';`));
  assert.equal(good.code, 0, good.err + stage.server.stderr);
  assert.match(stage.server.stderr, /preflight of web passed/);
  await eventually(async () => (await ask(stage.port)) === 3);
  assert.deepEqual([...(await stop()).generations].sort(), [1, 3]);
});

/** The trial's process. */
function trialOf(init: number): number | undefined {
  return descendantsOf(init).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes("PINGORA_ENTRY_PREFLIGHT=1");
    } catch {
      return false;
    }
  });
}

test("upgrade.preflight leaves no process behind when the new supervisor is killed in the middle", async () => {
  await using stage = await Upgradable.start(generation(1, "well"));
  await stage.server.phase("Running");
  const init = stage.server.initPid();
  const old = stage.server.supervisor();
  const upgrade = stage.upgrade(generation(2, "sick"));
  await eventually(() => trialOf(init), { what: "a trial" });
  const victim = childrenOf(init).find((pid) => pid !== old && commandOf(pid).includes("pingora-entry.cjs"));
  assert.ok(victim !== undefined);
  kill(victim);
  assert.equal((await upgrade).code, 1);
  await eventually(() => trialOf(init) === undefined && childrenOf(init).length === 2, { what: "no trial" });
  assert.equal(await ask(stage.port), 1);
  assert.equal(said(stage).get("start 2 real"), undefined);
});

test("SIGTERM in the middle of a preflight ends both generations and the trial", async () => {
  await using stage = await Upgradable.start(generation(1, "well"));
  await stage.server.phase("Running");
  const upgrade = stage.upgrade(generation(2, "sick"));
  await eventually(() => said(stage).has("accept 2 trial"), { what: "a trial that is asked" });
  const trial = trialOf(stage.server.initPid()) ?? 0;
  stage.server.signal("SIGTERM");
  assert.equal((await stage.server.exited).code, 0, stage.server.stderr);
  assert.equal(commandOf(trial), "");
  assert.equal(said(stage).get("term 2 trial"), 1);
  await upgrade;
});
