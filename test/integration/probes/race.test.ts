import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createAcceptors } from "../../../src/adapters/connections/acceptors.js";
import { native } from "../../../src/adapters/native/addon.js";
import { createProber, type ProberParts } from "../../../src/adapters/probes/prober.js";
import type { ProbeAction } from "../../../src/core/plan.js";
import type { ProbeResult } from "../../../src/runtime/ports.js";
import { SpawningInit } from "./spawning-init.js";

const timeoutMs = 1_000;
const noAnswer: ProbeResult = { ok: false, reason: "no answer within 1 s" };
const lost: ProbeResult = { ok: false, reason: "others accepted all of its connections for 1 s", lost: "others" };

const addon = native();
const socket = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
addon.bindInet(socket, "127.0.0.1", 0, 0);
addon.listen(socket, 511);
const place = addon.getLocalAddress(socket);
const shared = place.family === "inet" ? place.port : 0;
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill("SIGKILL");
  addon.close(socket);
});

/** A process that has the listening socket, too; what it does with it. */
async function having(program: string, listening = socket): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit", listening] });
  children.push(child);
  await once(child.stdout ?? child, "data");
  return child;
}

const standing = `console.log("up"); setInterval(() => {}, 1000)`;
/** accepts, and says nothing; tells how often in the end */
const silent = `
  let accepted = 0;
  require("node:net").createServer(() => { accepted += 1; }).listen({ fd: 3 }, () => console.log("up"));
  process.on("SIGTERM", () => { console.log(accepted); process.exit(0); });`;

/** accepts, says a line and closes */
const hasty = `
  require("node:net").createServer((socket) => socket.on("error", () => {}).end("now\\n", () => socket.destroy())).listen({ fd: 3 }, () => console.log("up"));`;

const get = (port: number): ProbeAction => ({
  kind: "httpGet",
  scheme: "http",
  host: "127.0.0.1",
  port,
  path: "/",
  headers: [],
});

function asked(
  child: ChildProcess | undefined,
  what: number | ProbeAction,
  more: Partial<ProberParts> = {},
  limitMs = timeoutMs,
) {
  const init = new SpawningInit();
  const prober = createProber({ init, exits: init, version: "1", acceptors: createAcceptors(), ...more });
  const action = typeof what === "number" ? get(what) : what;
  const context = { id: "probe/race", env: [], acceptedBy: [child?.pid ?? 0] };
  return prober.ask(action, context, limitMs, new AbortController().signal);
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("ask finds nothing out about a process when another one has accepted every connection, and does not try without a pause", async () => {
  const own = await having(standing);
  const other = await having(silent);
  assert.deepEqual(await asked(own, shared), lost);
  const said = once(other.stdout ?? other, "data");
  other.kill("SIGTERM");
  const tries = Number(String(await said));
  assert.ok(tries > 0 && tries < 300, `${tries} connections in a second`);
  await end(own);
});

test("ask takes what somebody accepted and closed at once for nobody's answer, by TCP, by HTTP and by a unix socket of whatever name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pe-race-"));
  const unix = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
  addon.bindUnix(unix, join(folder, "s.sock"));
  addon.listen(unix, 511);
  symlinkSync(folder, join(folder, "link"));
  const own = await having(standing);
  const others = [await having(hasty), await having(hasty, unix)];
  const actions: ProbeAction[] = [
    { kind: "tcpSocket", host: "127.0.0.1", port: shared },
    get(shared),
    { kind: "unixSocket", path: join(folder, "s.sock") },
    { kind: "unixSocket", path: join(folder, "link", "s.sock") },
  ];
  // it is seen now and then who it was
  for (const action of actions) {
    const result = await asked(own, action);
    assert.ok(!result.ok && result.lost !== undefined, JSON.stringify([action, result]));
  }
  for (const child of [own, ...others]) await end(child);
  addon.close(unix);
  rmSync(folder, { recursive: true });
});

test("ask finds a process that has accepted and does not answer, and one that stands still where nobody else accepts", async () => {
  const own = await having(silent);
  assert.deepEqual(await asked(own, shared), noAnswer);
  own.kill("SIGSTOP");
  assert.deepEqual(await asked(own, shared), noAnswer);
  await end(own);
});

test("ask gives the answer its whole time when the race for the connection took most of it", async () => {
  const server = createServer((_, response) => setTimeout(() => response.end(), 1_400)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const from = performance.now();
  const acceptors: ProberParts["acceptors"] = (ends) =>
    ends.map(() => (performance.now() - from < 1_400 ? "other" : "mine"));
  const { port } = server.address() as AddressInfo;
  assert.deepEqual(await asked(undefined, port, { acceptors }, 2_000), { ok: true });
  server.close();
});
