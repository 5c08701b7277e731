import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeServer, planOf, serviceSpec } from "../../test/fakes/fake-server.js";
import { settle } from "../../test/fakes/manual-clock.js";
import type { ListenerSpec, Plan } from "../core/plan.js";
import type { PingoraHandover, PingoraSent, PingoraSuccessor } from "./handover-ports.js";

const spec = (name: string, port: number): ListenerSpec => ({
  name,
  address: { kind: "tcp", host: "127.0.0.1", port, ipv6Only: false },
  key: `127.0.0.1:${port}`,
  backlog: 5,
  reusePort: false,
  passAs: "systemd",
  envName: "",
});

/** A pingora that says what the test lets it say. */
class FakePingora implements PingoraHandover, PingoraSuccessor {
  readonly path = "/up";
  readonly pid = 4711;
  ours = false;
  closed = 0;
  offered: readonly string[] = [];
  said = { sent: "sent" as "sent" | "failed" | "never", received: undefined as string | undefined };
  #lose: (reason: string | undefined) => void = () => {};

  send(
    sockets: readonly { readonly key: string }[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PingoraSent> {
    this.offered = sockets.map(({ key }) => key);
    if (this.said.sent === "sent") return Promise.resolve({ kind: "sent", successor: this });
    if (this.said.sent === "failed") return Promise.resolve({ kind: "failed", reason: "nobody" });
    return new Promise((done) => {
      signal.addEventListener("abort", () => done({ kind: "failed", reason: "aborted" }));
    });
  }

  received(): Promise<string | undefined> {
    return Promise.resolve(this.said.received);
  }

  proved(_deadline: number, signal: AbortSignal): Promise<string | undefined> {
    return new Promise((done) => {
      this.#lose = done;
      signal.addEventListener("abort", () => done("not wanted"));
    });
  }

  prove(reason?: string): Promise<void> {
    this.#lose(reason);
    return settle();
  }

  close(): void {
    this.closed += 1;
  }
}

async function running(
  change: Partial<Plan> = {},
  inherited = false,
): Promise<{ server: FakeServer; pingora: FakePingora }> {
  const pingora = new FakePingora();
  const plan = planOf([serviceSpec("web")], { listeners: [spec("a", 1), spec("b", 2)], ...change });
  const facts = { type: "stream", inode: 1 } as const;
  const sockets = [
    { ...facts, key: "127.0.0.1:2", address: "127.0.0.1:2", fd: 77 },
    { ...facts, key: "/old", address: "/old", fd: 78 },
  ];
  const server = new FakeServer(plan, { pingora: { handover: pingora, ...(inherited ? { inherited: sockets } : {}) } });
  await server.begin();
  assert.equal(server.phase, "Running");
  return { server, pingora };
}

const lastUpgrade = (server: FakeServer) => server.run.store.snapshot.lastUpgrade;

test("PingoraWay ends the services only when the successor has proved itself", async () => {
  const { server, pingora } = await running();
  server.init.send("SIGQUIT");
  await settle();
  assert.deepEqual(pingora.offered, ["127.0.0.1:1", "127.0.0.1:2"]);
  assert.equal(server.phase, "GracefulUpgradeCloseTimeout");
  assert.equal(server.run.store.snapshot.upgrade?.peer.pid, 4711);
  assert.equal(server.init.find("web/0")?.alive, true);
  await pingora.prove();
  assert.equal(lastUpgrade(server)?.result, "completed");
  assert.equal(pingora.closed, 1);
  await server.clock.advance(10);
  assert.equal(await server.ended, 0);
});

test("PingoraWay says who has replaced it: a pingora, or one of ours that goes by another journal", async () => {
  for (const ours of [false, true]) {
    const { server, pingora } = await running();
    pingora.ours = ours;
    server.init.send("SIGQUIT");
    await settle();
    assert.equal(server.run.store.snapshot.upgrade?.peer.build, ours ? "pingora-entry" : "pingora");
    await pingora.prove();
    const { cause } = server.run.store.snapshot.shutdown ?? { cause: "" };
    const name = ours ? "a pingora-entry with an upgrade directory of its own" : "a pingora";
    assert.equal(cause, `replaced by ${name} (process 4711)`);
  }
});

test("PingoraWay goes back to Running, with the reason, wherever the successor fails, and can be asked again", async () => {
  const { server, pingora } = await running();
  const stages: readonly (() => Promise<void> | void)[] = [
    () => {
      pingora.said = { sent: "failed", received: undefined };
    },
    () => {
      pingora.said = { sent: "sent", received: "went away" };
    },
    () => {
      pingora.said = { sent: "sent", received: undefined };
    },
  ];
  const reasons = ["nobody", "went away", "has ended"];
  for (const [i, prepare] of stages.entries()) {
    await prepare();
    server.init.send("SIGQUIT");
    await settle();
    if (i === 2) await pingora.prove("has ended");
    assert.equal(server.phase, "Running");
    assert.equal(lastUpgrade(server)?.result, "rolled-back");
    assert.equal(lastUpgrade(server)?.reason, reasons[i]);
    assert.equal(server.run.store.snapshot.upgrade, undefined);
  }
  assert.equal(pingora.closed, 2);
  assert.equal(server.init.find("web/0")?.alive, true);
});

test("PingoraWay refuses what a pingora cannot carry before anything changes", async () => {
  const { server, pingora } = await running({ listeners: [spec("a", 1), spec("b", 1)] });
  server.init.send("SIGQUIT");
  await settle();
  assert.equal(server.transitions.at(-1)?.to, "Running");
  assert.match(lastUpgrade(server)?.reason ?? "", /one socket per address/);
  assert.deepEqual(pingora.offered, []);
});

test("PingoraWay gives way to SIGTERM while it waits for somebody, and while it watches", async () => {
  for (const sent of ["never", "sent"] as const) {
    const { server, pingora } = await running();
    pingora.said = { sent, received: undefined };
    server.init.send("SIGQUIT");
    await settle();
    server.init.send("SIGQUIT");
    server.init.send("SIGTERM");
    await settle();
    await server.clock.advance(10);
    assert.equal(await server.ended, 0);
    assert.equal(pingora.closed, sent === "sent" ? 1 : 0);
  }
});

test("PingoraWay hands received sockets to the listeners that they are, and the rest are bound", async () => {
  const { server } = await running({}, true);
  const held = [...server.init.held].sort();
  assert.deepEqual(held, [
    ["listener:a", 0],
    ["listener:b", 77],
  ]);
});
