import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { blocks, eventually, freePort, kill, startServer } from "../harness.js";
import { ask, Folder, imitation, load, ours, total } from "./stage.js";

test("SIGQUIT hands over to an imitation of a pingora, of either version", async () => {
  for (const mode of ["take", "close"]) {
    using folder = new Folder();
    const port = await freePort();
    await using server = startServer(ours(port, folder));
    await server.phase("Running");
    await eventually(async () => (await ask(port)) === "ours");
    const stop = load(port);
    await using successor = imitation("new", folder.at("up.sock"), mode);
    await successor.said("waiting");
    server.signal("SIGQUIT");
    assert.equal((await server.exited).code, 0, server.stderr);
    assert.equal(await ask(port), "imitation");
    const { failed, by } = total(await stop());
    assert.deepEqual(failed, []);
    assert.deepEqual(by, ["imitation", "ours"]);
  }
});

test("-u takes over from an imitation of a pingora", async () => {
  using folder = new Folder();
  const port = await freePort();
  await using old = imitation("old", folder.at("up.sock"), "send", `127.0.0.1:${port}`, folder.at("side.sock"));
  await old.said("serving");
  const stop = load(port);
  await using server = startServer(ours(port, folder), { args: ["-u"] });
  await eventually(() => server.stderr.includes("for who hands over in pingora's way"));
  old.child.kill("SIGQUIT");
  await server.phase("Running");
  await old.exited;
  assert.equal(await ask(port), "ours");
  assert.deepEqual(total(await stop()).failed, []);
});

const failing: Readonly<Record<string, RegExp>> = {
  idle: /does not accept on/,
  die: /has ended/,
  unread: /went away before it took the sockets/,
  chatter: /neither a pingora nor one of ours/,
  deaf: /did not take the sockets/,
};

for (const [mode, reason] of Object.entries(failing)) {
  test(`the server serves on when its successor is one of "${mode}", and hands over to the next`, async () => {
    using folder = new Folder();
    const port = await freePort();
    const text = ours(port, folder).replace("{ probationSeconds: 1 }", "{ probationSeconds: 1, bootSeconds: 1 }");
    await using server = startServer(text);
    await server.phase("Running");
    await eventually(async () => (await ask(port)) === "ours");
    const stop = load(port);
    {
      await using successor = imitation("new", folder.at("up.sock"), mode);
      await successor.said("waiting");
      server.signal("SIGQUIT");
      await eventually(async () => (await server.status())?.lastUpgrade?.result === "rolled-back", {
        what: server.stderr,
      });
    }
    const status = await server.phase("Running");
    assert.match(status.lastUpgrade?.reason ?? "", reason);
    assert.equal(status.upgrade, undefined);
    assert.equal((await server.ask("/readyz")).status, 200);
    await using next = imitation("new", folder.at("up.sock"), "take");
    await next.said("waiting");
    server.signal("SIGQUIT");
    assert.equal((await server.exited).code, 0, server.stderr);
    assert.deepEqual(total(await stop()).failed, []);
  });
}

test("a service that waits in accept(2) goes on when a pingora has failed, which needs its sockets non-blocking", async () => {
  using folder = new Folder();
  const port = await freePort();
  const text = `
upgrade_sock: ${folder.at("up.sock")}
listeners: { front: { tcp: "127.0.0.1:${port}" } }
services:
  web: { command: [python3, ${resolve("test/fixtures/waits.py")}, "1"], listeners: [front], restart: { limit: 0 } }
`;
  await using server = startServer(text);
  await server.phase("Running");
  await using successor = imitation("new", folder.at("up.sock"), "die");
  await successor.said("waiting");
  server.signal("SIGQUIT");
  await eventually(async () => (await server.status())?.lastUpgrade?.result === "rolled-back", { what: server.stderr });
  const status = await server.phase("Running");
  assert.equal(blocks(status.services[0]?.instances[0]?.pid), true);
  for (let i = 0; i < 3; i++) assert.equal(await ask(port), "ours", server.stderr);
  assert.equal((await server.status())?.services[0]?.instances[0]?.restarts, 0);
});

test("SIGQUIT with nobody at upgrade_sock tries as often as it is told, and the server serves on", async () => {
  using folder = new Folder();
  const port = await freePort();
  await using server = startServer(ours(port, folder).replace("max_retries: 5", "max_retries: 1"));
  await server.phase("Running");
  server.signal("SIGQUIT");
  await server.phase("GracefulUpgradeTransferringFds");
  const { lastUpgrade } = await server.phase("Running");
  assert.equal(lastUpgrade?.result, "rolled-back");
  assert.match(lastUpgrade?.reason ?? "", /nobody listens at .*up\.sock \(ENOENT\), 2 tries/);
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0);
});

const impossible: Readonly<Record<string, { readonly listener: (folder: Folder) => string; readonly reason: RegExp }>> =
  {
    "a path with a space": {
      listener: (folder) => `unix: "${folder.at("a b.sock")}"`,
      reason: /splits names at spaces.*"odd"/,
    },
    "a UDP socket": { listener: () => 'udp: "127.0.0.1:0"', reason: /stream sockets only, not "odd"/ },
  };

for (const [what, { listener, reason }] of Object.entries(impossible)) {
  test(`SIGQUIT is refused before anything changes when there is ${what}`, async () => {
    using folder = new Folder();
    const port = await freePort();
    const text = ours(port, folder).replace("services:", `  odd: { ${listener(folder)} }\nservices:`);
    await using server = startServer(text.replace("  side:", "  side:"));
    await server.phase("Running");
    server.signal("SIGQUIT");
    await eventually(async () => reason.test((await server.status())?.lastUpgrade?.reason ?? ""), {
      what: server.stderr,
    });
    assert.equal((await server.status())?.phase, "Running");
    assert.doesNotMatch(server.stderr, /GracefulUpgradeTransferringFds/);
  });
}

test("SIGQUIT stops the server as SIGTERM does when upgrade_sock is not set", async () => {
  using folder = new Folder();
  const port = await freePort();
  await using server = startServer(ours(port, folder).replace(/upgrade_sock.*\n/g, ""));
  await server.phase("Running");
  server.signal("SIGQUIT");
  assert.equal((await server.exited).code, 0);
  assert.match(server.stderr, /GracefulTerminate/);
});

test("SIGTERM ends the server at once while it looks for a successor, or watches one", async () => {
  for (const there of [false, true]) {
    using folder = new Folder();
    const port = await freePort();
    await using server = startServer(
      ours(port, folder, "shutdown: { gracePeriodSeconds: 8 }").replace("Seconds: 1 }", "Seconds: 60 }"),
    );
    await server.phase("Running");
    await using successor = imitation("new", there ? folder.at("up.sock") : folder.at("elsewhere"), "take");
    await successor.said("waiting");
    server.signal("SIGQUIT");
    await server.phase(there ? "GracefulUpgradeCloseTimeout" : "GracefulUpgradeTransferringFds");
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0, server.stderr);
  }
});

test("-u of one of ours is served by its own protocol while the old one looks for somebody at upgrade_sock", async () => {
  using folder = new Folder();
  const port = await freePort();
  const directory = folder.at("upgrade");
  const text = ours(port, folder).replace("upgrade: { prob", `upgrade: { directory: ${directory}, prob`);
  await using old = startServer(text);
  await old.phase("Running");
  const stop = load(port);
  old.signal("SIGQUIT");
  await old.phase("GracefulUpgradeTransferringFds");
  await using server = startServer(text, { args: ["-u"] });
  await server.phase("Running");
  assert.equal((await old.exited).code, 0, old.stderr);
  assert.match(old.stderr, /lent to generation 2/);
  assert.deepEqual(total(await stop()), { failed: [], by: ["ours"] });
});

test("-u of one of ours with another upgrade directory gets the sockets in pingora's way", async () => {
  using folder = new Folder();
  const port = await freePort();
  await using old = startServer(ours(port, folder));
  await old.phase("Running");
  const stop = load(port);
  await using server = startServer(ours(port, folder), { args: ["-u"] });
  await eventually(() => server.stderr.includes("for who hands over in pingora's way"));
  old.signal("SIGQUIT");
  await server.phase("Running");
  assert.equal((await old.exited).code, 0, old.stderr);
  assert.match(old.stderr, /a pingora-entry with an upgrade directory of its own \(process \d+\) serves/);
  assert.doesNotMatch(old.stderr + server.stderr, /\b(a|the) pingora(?!-)\b(?! *')/);
  assert.deepEqual(total(await stop()), { failed: [], by: ["ours"] });
});

test("-u starts without a predecessor when nobody hands over in time", async () => {
  using folder = new Folder();
  const port = await freePort();
  await using server = startServer(ours(port, folder).replace("max_retries: 5", "max_retries: 0"), { args: ["-u"] });
  await server.phase("Running");
  assert.match(server.stderr, /nobody handed over at .* within 1 s/);
  assert.equal(await ask(port), "ours");
});

test("a supervisor that is killed in the probation comes back to Running, and can hand over again", async () => {
  using folder = new Folder();
  const port = await freePort();
  const text = ours(port, folder).replace("probationSeconds: 1 }", "probationSeconds: 2 }");
  await using server = startServer(text);
  await server.phase("Running");
  await eventually(async () => (await ask(port)) === "ours");
  const stop = load(port);
  {
    await using successor = imitation("new", folder.at("up.sock"), "take");
    await successor.said("waiting");
    server.signal("SIGQUIT");
    await server.phase("GracefulUpgradeCloseTimeout");
    kill(server.supervisor() ?? 0);
    const status = await server.phase("Running");
    assert.equal(status.supervisorRestarts, 1);
  }
  await using next = imitation("new", folder.at("up.sock"), "take");
  await next.said("waiting");
  server.signal("SIGQUIT");
  assert.equal((await server.exited).code, 0, server.stderr);
  assert.equal(await ask(port), "imitation");
  const { by } = total(await stop());
  assert.deepEqual(by, ["imitation", "ours"]);
});
