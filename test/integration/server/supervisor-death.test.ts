import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { createConnection } from "node:net";
import { test } from "node:test";
import { seeded } from "../../fakes/random.js";
import {
  commandOf,
  descendantsOf,
  eventually,
  freePort,
  kill,
  program,
  type Running,
  type ServiceLine,
  startServer,
} from "../harness.js";

/** PINGORA_ENTRY_KILLS=300 for the full run. */
const kills = Number(process.env.PINGORA_ENTRY_KILLS ?? 12);

const config = `
services:
  once: { command: [{{service}}, -n, once, -x, "30:0"], type: oneshot }
  base: { command: [{{service}}, -n, base, -r, "60", -t, "60"], readinessProbe: { notify: true }, dependsOn: { once: completed } }
  mid: { command: [{{service}}, -n, mid, -t, "80"], dependsOn: [base] }
  top: { command: [{{service}}, -n, top, -t, "120"], dependsOn: [mid], output: prefix, stop: { command: [{{service}}, -n, stop-top, -x, "60:0"] } }
shutdown: { gracePeriodSeconds: 6, lameDuckSeconds: 0.2, reserveSeconds: 1 }
`;

function starts(lines: readonly ServiceLine[], name: string): number {
  return lines.filter((line) => line.name === name && line.event === "start").length;
}

async function killSupervisor(server: Running): Promise<boolean> {
  const pid = server.supervisor();
  if (pid === undefined) return false;
  kill(pid);
  return true;
}

test("pingora-entry starts no service twice, loses none and stops in time when its supervisor is killed at random moments", async () => {
  const random = seeded(23);
  for (let round = 0; round < kills; round++) {
    await using server = startServer(config);
    const when = random();
    const stopping = random() < 0.4;
    if (stopping) {
      await server.phase("Running");
      server.signal("SIGTERM");
      await new Promise((wake) => setTimeout(wake, when * 500));
    } else await new Promise((wake) => setTimeout(wake, when * 500));
    const killed = await killSupervisor(server);
    if (!stopping) {
      await server.phase("Running").catch((error: Error) => {
        throw new Error(`round ${round}, killed after ${when * 500} ms: ${error.message}`);
      });
      // ready without a probe means that its program was executed, not that it has said so already
      await eventually(() => ["once", "base", "mid", "top"].every((name) => starts(server.lines(), name) > 0), {
        what: `round ${round}: all starts`,
      });
      const lines = server.lines();
      for (const name of ["once", "base", "mid", "top"])
        assert.equal(
          starts(lines, name),
          1,
          `round ${round}: ${name}, killed after ${when * 500} ms\n${JSON.stringify(lines)}\n${server.stderr}`,
        );
      assert.ok(
        !lines.some(({ name, event }) => name !== "once" && event === "exit"),
        `round ${round}: a service died`,
      );
      server.signal("SIGTERM");
    }
    const from = performance.now();
    const { code } = await server.exited;
    assert.equal(
      code,
      0,
      `round ${round} (killed: ${killed}, stopping: ${stopping}, ${when * 500} ms)\n${server.stderr}`,
    );
    assert.ok(performance.now() - from < 6_000, `round ${round}: passed its deadline`);
    const lines = server.lines();
    for (const name of ["top", "mid", "base"]) {
      const terms = lines.filter((line) => line.name === name && line.event === "term").length;
      assert.equal(terms, 1, `round ${round}: signals for ${name}`);
    }
    assert.equal(starts(lines, "stop-top"), 1, `round ${round}: stop commands`);
    const exits = ["top", "mid", "base"].map((name) =>
      lines.findIndex((line) => line.name === name && line.event === "exit"),
    );
    assert.deepEqual(
      [...exits].sort((a, b) => a - b),
      exits,
      `round ${round}: stopped out of order`,
    );
  }
});

test("pingora-entry loses no SIGTERM when its supervisor is killed within 3 ms of it", async () => {
  const tries = kills * 2;
  for (let i = 0; i < tries; i++) {
    await using server = startServer(`
services:
  a: { command: [{{service}}, -n, a] }
shutdown: { gracePeriodSeconds: 30, lameDuckSeconds: 0, reserveSeconds: 1 }
`);
    await server.phase("Running");
    const supervisor = await eventually(() => server.supervisor());
    const delay = (3 * i) / tries;
    server.signal("SIGTERM");
    for (const from = performance.now(); performance.now() < from + delay; );
    kill(supervisor);
    const late = setTimeout(() => server.signal("SIGTERM"), 8_000);
    const from = performance.now();
    assert.equal((await server.exited).code, 0, server.stderr);
    clearTimeout(late);
    assert.ok(performance.now() - from < 8_000, `swallowed, killed ${delay} ms after it\n${server.stderr}`);
  }
});

test("pingora-entry answers /readyz again within 300 ms of its supervisor's death", async () => {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    await using server = startServer(config);
    await server.phase("Running");
    const before = await eventually(() => server.supervisor());
    kill(before);
    const from = performance.now();
    await eventually(async () => (await server.ask("/readyz")).status === 200 && server.supervisor() !== before);
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  assert.ok((times[2] ?? 1e9) < 300, `median of ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
});

test("pingora-entry answers /readyz within 300 ms each time when its supervisor is killed again and again", async () => {
  await using server = startServer(config);
  await server.phase("Running");
  const times: number[] = [];
  const deaths = 12;
  for (let i = 0; i < deaths; i++) {
    const before = await eventually(() => server.supervisor());
    kill(before);
    const from = performance.now();
    await eventually(async () => server.supervisor() !== before && (await server.ask("/readyz")).status === 200, {
      what: `readiness after death ${i + 1}`,
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${server.stderr}`);
    });
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  assert.ok((times[deaths / 2] ?? 1e9) < 300, `median of ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  assert.equal((await server.status())?.supervisorRestarts, deaths);
  assert.equal(starts(server.lines(), "top"), 1);
});

test("pingora-entry refuses no connection on a held listener when everything but the init is killed", async () => {
  const port = await freePort();
  await using server = startServer(`
listeners:
  http: { tcp: "127.0.0.1:${port}" }
services:
  web:
    command: [${process.execPath}, -e, "require('net').createServer(s => s.end('hi')).listen({ fd: 3 })"]
    listeners: [http]
    readinessProbe: { tcpSocket: { listener: http }, periodSeconds: 1 }
    restart: { initialDelaySeconds: 0.05 }
`);
  await server.phase("Running");
  let refused = 0;
  let served = 0;
  let stop = false;
  const load = (async () => {
    while (!stop) {
      await new Promise<void>((done) => {
        const socket = createConnection({ port, host: "127.0.0.1" });
        socket.on("error", (error: NodeJS.ErrnoException) => {
          if (error.code === "ECONNREFUSED") refused += 1;
        });
        socket.on("data", () => {
          served += 1;
        });
        socket.on("close", () => done());
        setTimeout(() => socket.destroy(), 3_000).unref();
      });
    }
  })();
  for (let i = 0; i < 3; i++) {
    await eventually(() => served > i * 10);
    const before = served;
    for (const pid of descendantsOf(server.initPid())) kill(pid);
    await eventually(() => served > before + 10, { timeoutMs: 20_000, what: "service after the massacre" });
  }
  stop = true;
  await load;
  assert.equal(refused, 0);
  assert.ok(commandOf(server.initPid()).includes("pingora-entry"));
});

test("a supervisor that is killed when it has just become the owner is followed by one that goes on", async () => {
  // the moment lies between two frames to the init: it is met most of the time, and never harms
  for (let round = 0; round < 5; round++) {
    await using server = startServer(config);
    const init = server.initPid();
    const holdsLock = () =>
      readdirSync(`/proc/${init}/fd`).some((fd) => {
        try {
          return readlinkSync(`/proc/${init}/fd/${fd}`).endsWith("/owner.lock");
        } catch {
          return false;
        }
      });
    const late = performance.now() + 10_000;
    // without a turn of the loop in between, which would be too late
    while (!holdsLock() && performance.now() < late);
    const pid = server.supervisor();
    assert.ok(pid !== undefined, server.stderr);
    process.kill(pid, "SIGKILL");
    const status = await server.phase("Running");
    assert.equal(status.generation, 1);
    server.signal("SIGTERM");
    assert.equal((await server.exited).code, 0, server.stderr);
  }
});

test("pingora-entry prestop waits for the end of the drain when the supervisor is killed meanwhile", async () => {
  await using server = startServer(`
services:
  a: { command: [{{service}}, -n, a] }
shutdown: { gracePeriodSeconds: 30, lameDuckSeconds: 2, reserveSeconds: 1 }
`);
  await server.phase("Running");
  const from = performance.now();
  const hook = spawn(program, ["prestop", "--socket", server.socket], { stdio: ["ignore", "ignore", "pipe"] });
  let err = "";
  hook.stderr.on("data", (text) => {
    err += text;
  });
  const ended = once(hook, "close");
  await server.phase("GracefulTerminate");
  kill(await eventually(() => server.supervisor()));
  const [code] = await ended;
  assert.deepEqual([code, err], [0, ""]);
  assert.ok(performance.now() - from > 1_900, "the lame duck is not cut short");
  server.signal("SIGTERM");
  assert.equal((await server.exited).code, 0);
});
