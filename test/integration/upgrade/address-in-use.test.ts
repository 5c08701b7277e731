import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { test } from "node:test";
import { eventually, startServer } from "../harness.js";
import { ask, Upgradable } from "./stage.js";

async function holder(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer().listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

const generation = (number: number, { boot = 10, retries = 30, other = 0 } = {}): string => `
listeners:
  http: { tcp: "127.0.0.1:{{port}}" }
${other === 0 ? "" : `  other: { tcp: "127.0.0.1:${other}" }`}
services:
  web: { command: [{{web}}, "${number}"], listeners: [http${other === 0 ? "" : ", other"}] }
upgrade: { probationSeconds: 0.5, bootSeconds: ${boot} }
bind: { retries: ${retries}, retryIntervalSeconds: 0.2 }
`;

const cases: Readonly<Record<string, { readonly old?: number; readonly next: object; readonly words: RegExp }>> = {
  "with all its tries": { next: { retries: 2 }, words: /must be free \(EADDRINUSE, tried 2 times\)/ },
  "when its own time is over": { next: { boot: 2 }, words: /rolled back .*: NEW: cannot bind .*\(EADDRINUSE, tried/ },
  "when the old generation's time is over": {
    old: 2,
    next: { boot: 60 },
    words: /did not go on within 2 s .*EADDRINUSE/,
  },
};

for (const [what, { old = 20, next, words }] of Object.entries(cases)) {
  test(`pingora-entry upgrade says which listener could not be bound, and who has its address, ${what}`, async () => {
    const { server: taken, port } = await holder();
    try {
      await using stage = await Upgradable.start(generation(1, { boot: old }));
      const { server } = stage;
      await server.phase("Running");
      const { code, err, out } = await stage.upgrade(generation(2, { ...next, other: port }));
      assert.equal(code, 1, out + server.stderr);
      assert.match(err, words);
      const who = new RegExp(
        `listener "other".* 127\\.0\\.0\\.1:${port}.* in use by process ${process.pid} \\(.*EADDRINUSE`,
      );
      assert.match(err, who);
      assert.match(out, new RegExp(`PREPARING +it waits: .*${who.source}`));
      const { lastUpgrade } = await server.phase("Running");
      assert.equal(lastUpgrade?.cause, "listener");
      assert.match(lastUpgrade?.reason ?? "", who);
      const said = server.stderr.split("\n").filter((line) => line.includes("upgrade rolled back"));
      assert.match(said.join("\n").replaceAll('\\"', '"'), who);
      assert.equal(await ask(stage.port), 1);
    } finally {
      taken.close();
    }
  });
}

test("a new generation goes on as soon as the address of its listener is free", async () => {
  const { server: taken, port } = await holder();
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const upgrade = stage.upgrade(generation(2, { other: port }));
  await eventually(() => stage.server.stderr.includes("the new generation waits"), {
    what: "the word of what it waits for",
  });
  taken.close();
  const { code, err } = await upgrade;
  assert.equal(code, 0, err);
  assert.equal(await ask(stage.port), 2);
});

test("pingora-entry upgrade tells once of many addresses in use, and names a few of their listeners", async () => {
  const taken = await Promise.all(Array.from({ length: 50 }, holder));
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const more = taken.map(({ port }, i) => `  other${i}: { tcp: "127.0.0.1:${port}" }\n`).join("");
  const upgrade = stage.upgrade(generation(2).replace("services:", `${more}services:`));
  await eventually(() => stage.server.stderr.includes("the new generation waits"), {
    what: "the word of what it waits for",
  });
  for (const { server } of taken) server.close();
  const { code, out, err } = await upgrade;
  assert.equal(code, 0, err);
  const [first = "", ...later] = out.split("\n").filter((line) => line.includes("it waits"));
  const one = `listener "other\\d+": 127\\.0\\.0\\.1:\\d+ is in use by process ${process.pid} \\(.*?\\) \\(EADDRINUSE\\)`;
  assert.match(first, new RegExp(`it waits: (${one}; ){3}and 47 more$`));
  // they are opened together, too
  assert.ok(later.length < 5, out);
});

test("a server that waits for an address says so, in the log and to who asks, and starts as soon as it is free", async () => {
  const { server: taken, port } = await holder();
  await using server = startServer(
    generation(1, { other: port }).replaceAll("{{port}}", "0").replace("{{web}}", "sleep"),
  );
  const snapshot = await server.phase("Bootstrap");
  const waits = `127.0.0.1:${port} is in use by process ${process.pid} `;
  assert.ok(snapshot.listeners.find(({ name }) => name === "other")?.waits?.startsWith(waits));
  assert.ok(server.stderr.replaceAll('\\"', '"').includes(`listener "other": ${waits}`), server.stderr);
  assert.equal((await server.ask("/readyz")).status, 503);
  assert.equal((await server.ask("/livez")).status, 200);
  const started = await server.ask("/v1/services/web/start", "POST");
  assert.match(started.body, /cannot start "web": the listeners are not open yet/);
  taken.close();
  const { listeners } = await server.phase("Running");
  assert.ok(listeners.every((listener) => listener.waits === undefined));
});

test("a server that waits for an address is stopped by SIGTERM", async () => {
  const { server: taken, port } = await holder();
  try {
    await using server = startServer(
      generation(1, { other: port }).replaceAll("{{port}}", "0").replace("{{web}}", "sleep"),
    );
    await server.phase("Bootstrap");
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0);
  } finally {
    taken.close();
  }
});

for (const [from, to] of [
  ["127.0.0.1", "0.0.0.0"],
  ["0.0.0.0", "127.0.0.1"],
] as const)
  test(`pingora-entry upgrade from ${from} to ${to} says at once that the running generation has the port`, async () => {
    const at = (host: string, number: number) => generation(number).replace("127.0.0.1", host);
    await using stage = await Upgradable.start(at(from, 1));
    await stage.server.phase("Running");
    const { code, err } = await stage.upgrade(at(to, 2));
    assert.equal(code, 1);
    const why = `NEW: cannot bind listener "http" to ${to}:${stage.port}: listener "http" of the running generation has ${from}:${stage.port}, and`;
    assert.ok(err.includes(why), err);
    const { lastUpgrade } = await stage.server.phase("Running");
    assert.equal(lastUpgrade?.cause, "listener");
    assert.ok((lastUpgrade?.seconds ?? 9) < 4, "it is not tried");
    assert.equal(await ask(stage.port), 1);
  });

test("pingora-entry upgrade says at once that the running generation has an address which it does not share", async () => {
  const shared = 'http: { tcp: "127.0.0.1:{{port}}", reusePort: true }';
  const twice = generation(2)
    .replace('http: { tcp: "127.0.0.1:{{port}}" }', `${shared}\n  ${shared.replace("http", "http2")}`)
    .replace("[http]", "[http, http2]");
  await using stage = await Upgradable.start(generation(1));
  await stage.server.phase("Running");
  const { code, err } = await stage.upgrade(twice);
  assert.equal(code, 1);
  const address = `127.0.0.1:${stage.port}`;
  const why = `NEW: cannot bind listener "http2" to ${address}: listener "http" of the running generation has ${address} without reusePort, and an open socket cannot get it; use another port, or start the pod anew`;
  assert.ok(err.includes(why), err);
  const { lastUpgrade } = await stage.server.phase("Running");
  assert.equal(lastUpgrade?.cause, "listener");
  assert.ok((lastUpgrade?.seconds ?? 9) < 4, "it is not tried");
  assert.equal(await ask(stage.port), 1);
});
