import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { childrenOf, eventually, freePort, startServer } from "../harness.js";
import { Upgradable } from "../upgrade/stage.js";
import { realPingora } from "./real-pingora.js";
import { ask, Folder, load, ours, pingora, queue, total } from "./stage.js";

const real = realPingora();
const skip = "missing" in real ? { skip: real.missing } : {};
const program = "program" in real ? real.program : "";

test(
  "SIGQUIT hands over to a real pingora, which serves on the same sockets, with what waited in their queues",
  skip,
  async () => {
    using folder = new Folder();
    const port = await freePort();
    const sock = folder.at("up.sock");
    await using server = startServer(ours(port, folder));
    await server.phase("Running");
    await eventually(async () => (await ask(port)) === "ours" && (await ask(folder.at("side.sock"))) === "ours");
    const stop = [load(port), load(folder.at("side.sock"))];
    const listeners = [`127.0.0.1:${port}`, folder.at("side.sock")];
    await using successor = pingora(program, folder, { upgrade: true, generation: "rust", listeners, sock });
    await successor.said("Trying to receive socks");
    server.signal("SIGQUIT");
    await server.phase("GracefulUpgradeCloseTimeout");
    assert.equal((await server.exited).code, 0, server.stderr);
    for (const where of [port, folder.at("side.sock")]) assert.equal(await ask(where), "rust");
    for (const seen of await Promise.all(stop.map((each) => each()))) {
      const { failed, by } = total(seen);
      assert.deepEqual(failed, []);
      assert.deepEqual(by, ["ours", "rust"]);
    }
    assert.match(server.stderr, /a pingora \(process \d+\) serves; this generation ends its services/);
  },
);

test("SIGQUIT loses no connection that waits in the queue while nobody of ours accepts", skip, async () => {
  using folder = new Folder();
  const port = await freePort();
  await using server = startServer(ours(port, folder));
  const { services } = await server.phase("Running");
  await eventually(async () => (await ask(port)) === "ours");
  const pid = services.find(({ name }) => name === "web")?.instances[0]?.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  const answers = await queue(port, 50);
  const listeners = [`127.0.0.1:${port}`, folder.at("side.sock")];
  await using successor = pingora(program, folder, {
    upgrade: true,
    generation: "rust",
    listeners,
    sock: folder.at("up.sock"),
  });
  await successor.said("Trying to receive socks");
  server.signal("SIGQUIT");
  assert.deepEqual([...new Set(await answers())], ["rust"]);
  process.kill(pid, "SIGCONT");
  assert.equal((await server.exited).code, 0, server.stderr);
});

test("-u takes over from a real pingora that gets SIGQUIT, whichever of the two comes first", skip, async () => {
  for (const first of ["-u", "SIGQUIT"]) {
    using folder = new Folder();
    const port = await freePort();
    const listeners = [`127.0.0.1:${port}`, folder.at("side.sock")];
    await using old = pingora(program, folder, { generation: "rust", listeners, sock: folder.at("up.sock") });
    await eventually(async () => (await ask(port)) === "rust", { what: old.out });
    const stop = [load(port), load(folder.at("side.sock"))];
    if (first === "SIGQUIT") old.child.kill("SIGQUIT");
    await using server = startServer(ours(port, folder), { args: ["-u"] });
    if (first === "-u") {
      await eventually(() => server.stderr.includes("for who hands over in pingora's way"));
      old.child.kill("SIGQUIT");
    }
    await server.phase("Running");
    assert.match(server.stderr, /2 sockets from process/);
    assert.equal(await old.exited, 0, old.out);
    for (const where of [port, folder.at("side.sock")]) assert.equal(await ask(where), "ours");
    for (const seen of await Promise.all(stop.map((each) => each()))) {
      const { failed, by } = total(seen);
      assert.deepEqual(failed, [], first);
      assert.deepEqual(by, ["ours", "rust"]);
    }
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0);
  }
});

test("a pingora that spells an address otherwise is found out, and the server serves on", skip, async () => {
  using folder = new Folder();
  const port = await freePort();
  await using server = startServer(ours(port, folder));
  await server.phase("Running");
  const listeners = [`localhost:${port}`, folder.at("side.sock")];
  await using successor = pingora(program, folder, {
    upgrade: true,
    generation: "rust",
    listeners,
    sock: folder.at("up.sock"),
  });
  await successor.said("Trying to receive socks");
  server.signal("SIGQUIT");
  await eventually(async () => (await server.status())?.lastUpgrade?.result === "rolled-back", { timeoutMs: 15_000 });
  const { reason } = (await server.phase("Running")).lastUpgrade ?? { reason: "" };
  assert.match(reason, /does not accept on "127\.0\.0\.1:\d+"/);
  assert.equal(await ask(port), "ours");
});

for (const count of [32, 33]) {
  test(
    `${count} sockets: a real pingora ${count === 32 ? "gets them all" : "is refused, and everything stays as it is"}`,
    skip,
    async () => {
      using folder = new Folder();
      const port = await freePort();
      const paths = Array.from({ length: count - 2 }, (_, i) => folder.at(`${i}.sock`));
      const text = ours(port, folder).replace(
        "services:",
        `${paths.map((path, i) => `  l${i}: { unix: "${path}" }`).join("\n")}\nservices:`,
      );
      await using server = startServer(text.trim());
      await server.phase("Running");
      const listeners = [`127.0.0.1:${port}`, folder.at("side.sock"), ...paths];
      await using successor = pingora(program, folder, {
        upgrade: true,
        generation: "rust",
        listeners,
        sock: folder.at("up.sock"),
      });
      await successor.said("Trying to receive socks");
      server.signal("SIGQUIT");
      if (count === 33) {
        await eventually(() => server.stderr.includes("there are 33 sockets, pingora takes 32"));
        assert.equal((await server.status())?.phase, "Running");
        return;
      }
      assert.equal((await server.exited).code, 0, server.stderr);
      for (const where of listeners.slice(1)) assert.equal(await ask(where), "rust");
      assert.equal(await ask(port), "rust");
    },
  );
}

test(
  "a real pingora as a service with strategy own hands over to its successor, under upgrades of ours",
  skip,
  async () => {
    using folder = new Folder();
    const port = await freePort();
    const conf = folder.at("pingora.yaml");
    const grace = "grace_period_seconds: 1\ngraceful_shutdown_timeout_seconds: 1";
    writeFileSync(
      conf,
      `---\nversion: 1\nthreads: 1\nupgrade_sock: ${folder.at("up.sock")}\npid_file: ${conf}.pid\n${grace}\n`,
    );
    const generation = (name: string) => `
services:
  proxy:
    command: [${program}, -c, ${conf}]
    env: { GENERATION: "${name}", LISTENERS: "127.0.0.1:${port} ${folder.at("side.sock")}" }
    readinessProbe: { tcpSocket: { host: 127.0.0.1, port: ${port} }, periodSeconds: 0.2 }
    upgrade: { strategy: own, arguments: [-u] }
shutdown: { gracePeriodSeconds: 20 }
upgrade: { probationSeconds: 1, drainSeconds: 15 }
`;
    await using stage = await Upgradable.start(generation("first"));
    await stage.server.phase("Running");
    const stop = [load(port), load(folder.at("side.sock"))];
    const { code, err } = await stage.upgrade(generation("second"));
    assert.equal(code, 0, err + stage.server.stderr);
    await eventually(() => childrenOf(stage.server.initPid()).length === 2, {
      what: "end of the first",
      timeoutMs: 20_000,
    });
    for (const where of [port, folder.at("side.sock")]) assert.equal(await ask(where), "second");
    for (const seen of await Promise.all(stop.map((each) => each())))
      assert.deepEqual(total(seen), { failed: [], by: ["first", "second"] });
  },
);

test("a real pingora as a service with strategy own is replaced when the upgrade is rolled back", skip, async () => {
  using folder = new Folder();
  const port = await freePort();
  const conf = folder.at("pingora.yaml");
  const grace = "grace_period_seconds: 60\ngraceful_shutdown_timeout_seconds: 1";
  writeFileSync(
    conf,
    `---\nversion: 1\nthreads: 1\nupgrade_sock: ${folder.at("up.sock")}\npid_file: ${conf}.pid\n${grace}\n`,
  );
  const generation = (name: string, more = "") => `
services:
  proxy:
    command: [${program}, -c, ${conf}]
    env: { GENERATION: "${name}", LISTENERS: "127.0.0.1:${port}" }
    restart: on-failure
    readinessProbe: { tcpSocket: { host: 127.0.0.1, port: ${port} }, periodSeconds: 0.2 }
    upgrade: { strategy: own, arguments: [-u] }
${more}
shutdown: { gracePeriodSeconds: 20 }
upgrade: { probationSeconds: 30, drainSeconds: 15 }
`;
  await using stage = await Upgradable.start(generation("first"));
  const { pid } = (await stage.server.phase("Running")).services[0]?.instances[0] ?? {};
  const fatal = folder.at("fatal");
  const fragile = `  fragile:
    command: [/bin/sh, -c, "until [ -e ${fatal} ]; do sleep 0.02; done; exit 3"]
    restart: never`;
  const upgrade = stage.upgrade(generation("second", fragile));
  await eventually(async () => (await ask(port)) === "second", { what: "the second", timeoutMs: 20_000 });
  await stage.step("new", "PROBATION");
  writeFileSync(fatal, "");
  assert.equal((await upgrade).code, 1);
  const proxy = async () => (await stage.server.status())?.services[0]?.instances[0];
  await eventually(async () => (await proxy())?.state === "Ready" && (await proxy())?.pid !== pid, {
    what: "another process",
  });
  // it would accept for five seconds, and end its connections for a minute: the address is free as soon as it is gone
  process.kill(pid ?? 0, "SIGKILL");
  await eventually(async () => (await ask(port)) === "first", { what: "an answer of the other process" });
  await eventually(async () => (await stage.server.ask("/readyz")).status === 200, { what: "ready" });
  assert.equal((await proxy())?.restarts, 1);
});
