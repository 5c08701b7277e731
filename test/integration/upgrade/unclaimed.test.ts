import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { eventually } from "../harness.js";
import { ask, Upgradable } from "./stage.js";

const listener = '{ tcp: "127.0.0.1:{{port}}", reusePort: true }';
const service = (number: number, name: string, more = ""): string => `
    command: [{{web}}, "${number}"]
    listeners: [${name}]
    env: { WEB_LOG: "{{dir}}/web.log", SLOW_MS: "60000" }
    readinessProbe: { tcpSocket: { listener: ${name} }, periodSeconds: 0.1 }${more}`;
const upgrade = "\nupgrade: { probationSeconds: 0.5, drainSeconds: 60 }\n";

/** Two sockets at one address, each with a service of its own, which answers 1 or 10. */
const both = (more = ""): string => `
listeners: { here: ${listener}, there: ${listener} }
services:
  web: ${service(1, "here")}
  twin: ${service(10, "there", more)}${upgrade}`;
const one = `
listeners: { here: ${listener} }
services:
  web: ${service(2, "here")}${upgrade}`;

/** A request at the service that answers `number`, which lasts until the client leaves. */
async function occupy(stage: Upgradable, number: number): Promise<Socket> {
  await stage.server.phase("Running");
  for (;;) {
    const before = stage.said().filter((line) => line.startsWith("slow ")).length;
    const client = connect(stage.port, "127.0.0.1").on("error", () => {});
    client.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    const slow = () => stage.said().filter((line) => line.startsWith("slow "))[before];
    if ((await eventually(slow, { what: "a slow request" })) === `slow ${number}`) return client;
    client.destroy();
  }
}

const answers = (stage: Upgradable) => Promise.all(Array.from({ length: 40 }, () => ask(stage.port)));

test("a socket at the address of one that lives on gets no connections any more when its services accept no more", async () => {
  await using stage = await Upgradable.start(both());
  using client = closing(await occupy(stage, 10));
  const { code, err } = await stage.upgrade(one);
  assert.equal(code, 0, err);
  assert.match(err, /nobody claimed listener "there"/);
  assert.deepEqual(new Set(await answers(stage)), new Set([2]));
  assert.equal(client.socket.readyState, "open", "its request goes on");
});

test("a socket that nobody claimed is there for its services until they are told to stop, whatever becomes of the supervisor", async () => {
  // the twin is told to stop when the other one has ended
  await using stage = await Upgradable.start(both().replace("web: ", "web:\n    dependsOn: [twin]"));
  const { server } = stage;
  const first = await occupy(stage, 1);
  using _client = closing(await occupy(stage, 10));
  const supervisor = Number((await server.status())?.pid);
  const upgraded = stage.upgrade(one);
  await eventually(() => stage.said().includes("term 1"), { what: "the first wave" });
  const twinAnswers = async () => (await answers(stage)).includes(10);
  await eventually(twinAnswers, { what: "an answer of the second wave" });
  process.kill(supervisor, "SIGKILL");
  await eventually(() => server.stderr.includes("took over from a supervisor that died"), { what: "the next one" });
  await eventually(twinAnswers, { what: "an answer of the second wave after a supervisor's death" });
  first.destroy();
  await eventually(() => stage.said().includes("term 10"), { what: "the second wave" });
  const allOfNew = async () => (await answers(stage)).every((answer) => answer === 2);
  await eventually(allOfNew, { what: "answers of the new generation alone" });
  await upgraded;
});

function closing(socket: Socket): Disposable & { readonly socket: Socket } {
  return { socket, [Symbol.dispose]: () => socket.destroy() };
}
