import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { Snapshot } from "../../../src/core/snapshot.js";
import { eventually } from "../eventually.js";
import { freePort, program, startServer } from "../harness.js";
import { Stage, serviceView, snapshotOf } from "../http/stage.js";
import { Browser, findChromium } from "./browser.js";

const chromium = findChromium();
const options = { skip: chromium === undefined ? "no Chromium here" : false, timeout: 120_000 } as const;
let browser: Browser;

before(async () => {
  if (chromium !== undefined) browser = await Browser.launch(chromium);
});
after(() => (chromium === undefined ? undefined : browser[Symbol.asyncDispose]()));

const three = snapshotOf(
  [
    serviceView("cache"),
    serviceView("migrate", { type: "oneshot", state: "Stopped", ready: true }),
    serviceView("web", { wave: 1, dependsOn: { cache: "ready", migrate: "completed" } }),
  ],
  { listeners: [{ name: "http", address: "tcp 0.0.0.0:8080", services: ["web"] }], phaseSince: Date.now() - 65_000 },
);

/** The page before a server in this state; fails when the browser had anything to complain about. */
async function show(snapshot: Snapshot, look: (stage: Stage) => Promise<void>): Promise<void> {
  await using stage = await Stage.open(snapshot);
  browser.complaints.length = 0;
  browser.requests.length = 0;
  await browser.media("light");
  await browser.size(1280, 900);
  await browser.open(`http://127.0.0.1:${stage.port}/`);
  await look(stage);
}

test(
  "the page shows phase, services with reasons, and listeners, and asks nobody else for anything",
  options,
  async () => {
    await show(three, async (stage) => {
      await eventually(async () => (await browser.text("#link")) === "● live");
      assert.equal(await browser.text("h1"), "Running");
      assert.equal(await browser.text("#ready"), "● Ready");
      assert.match(await browser.text("#since"), /^for 1 min \d+ s$/);
      assert.match(
        await browser.text("#waves"),
        /Wave 1\s+cache\s+● Ready[\s\S]*migrate\s+✓ Completed[\s\S]*Wave 2\s+web\s+● Ready[\s\S]*after cache, migrate \(completed\)/,
      );
      assert.match(await browser.text("#listeners"), /http\s+tcp 0\.0\.0\.0:8080\s+web/);
      assert.equal(await browser.run("document.title"), `Running · 127.0.0.1:${stage.port}`);
      assert.deepEqual([...new Set(browser.requests.map((url) => new URL(url).host))].filter(Boolean), [
        `127.0.0.1:${stage.port}`,
      ]);
      assert.deepEqual(browser.complaints, []);
    });
  },
);

test("the page follows the server live: a failure, a stop with its deadlines, the end", options, async () => {
  await show(three, async ({ control }) => {
    const [cache, migrate] = three.services;
    assert.ok(cache !== undefined && migrate !== undefined);
    const web = serviceView("web", { state: "Backoff", wave: 1, reason: "exited with code 1" });
    const [instance] = web.instances;
    assert.ok(instance !== undefined);
    const waiting = {
      ...web,
      // of an earlier supervisor: by reason only this one's own are counted
      instances: [{ ...instance, restarts: 3, until: Date.now() + 30_000, lastExit: { code: 1, at: Date.now() } }],
    };
    control.change({ services: [cache, migrate, waiting] });
    await eventually(async () => (await browser.text("#why")) === "Not ready: web (Backoff)");
    assert.equal(await browser.text("#ready"), "○ Not ready");
    assert.match(
      await browser.text("#service-web"),
      /↻ Backoff\s+exited with code 1[\s\S]*next try in \d\d\.\d s[\s\S]*restarts 3[\s\S]*last exit 1 at/,
    );

    const now = Date.now();
    const waves = [
      { services: ["web"], deadlineAt: now + 9_000, graceMs: 9_000, done: true },
      { services: ["cache"], deadlineAt: now + 19_000, graceMs: 9_000, done: false },
    ];
    const shutdown = { cause: "SIGTERM", requestedAt: now, deadlineAt: now + 20_000, waves, killed: ["web"] };
    control.change({ shutdown });
    control.transition({ from: "Running", to: "ShutdownGracePeriod", event: "Terminate", at: now });
    await eventually(async () => (await browser.text("h1")) === "ShutdownGracePeriod");
    const left = async () => Number(/^([\d.]+) s/.exec(await browser.text("#stop"))?.[1]);
    const first = await left();
    assert.ok(first > 15 && first <= 20, `${first} s left`);
    await eventually(async () => (await left()) < first - 0.3);
    assert.match(
      await browser.text("#stop"),
      /Killed at the deadline: web[\s\S]*web\s+✓ stopped[\s\S]*cache\s+1\d\.\d s/,
    );
    assert.match(await browser.text("#log"), /Running → ShutdownGracePeriod/);
    assert.equal(
      await browser.run("document.querySelector('[aria-current=step]').textContent.replaceAll('\\u200b', '')"),
      "ShutdownGracePeriod",
    );
    assert.deepEqual(browser.complaints, []);
  });
});

test("the page shows both generations while one takes over, and how an upgrade ended", options, async () => {
  await show(three, async ({ control }) => {
    const attempt = "1d5c";
    const peer = { generation: 2, release: "r2", build: "b2", pid: 77 };
    const now = Date.now();
    assert.equal(await browser.run("document.getElementById('upgrade').hidden"), true);
    // this one is the old: its successor is on probation
    const upgrade = {
      attempt,
      role: "old",
      step: "PROBATION",
      since: now,
      until: now + 20_000,
      sockets: 3,
      peer,
    } as const;
    control.change({ phase: "GracefulUpgradeCloseTimeout", upgrade });
    await eventually(async () => (await browser.text("#upgrade")).startsWith("PROBATION"));
    const left = async () => Number(/over in ([\d.]+) s/.exec(await browser.text("#upgrade"))?.[1]);
    const first = await left();
    assert.ok(first > 15 && first <= 20, `${first} s left`);
    await eventually(async () => (await left()) < first - 0.3);
    assert.match(
      await browser.text("#upgrade"),
      /both serve[^\n]* · 3 sockets[\s\S]*generation 2\s+r2\s+takes over\s+generation 1\s+r1\s+this one, is being replaced, GracefulUpgradeCloseTimeout/,
    );
    // it was refused
    const reason = "NEW: service web failed: exited with code 3";
    const rolledBack = {
      attempt,
      result: "rolled-back",
      reason,
      cause: "unready",
      at: now,
      seconds: 2.5,
      generation: 1,
      warnings: [],
    } as const;
    control.change({ phase: "Running", upgrade: undefined, lastUpgrade: rolledBack });
    await eventually(async () => (await browser.text("#upgrade")).startsWith("Last upgrade: ✕ rolled back at "));
    assert.match(
      await browser.text("#upgrade"),
      /after 2 s; generation 1 serves\s+NEW: service web failed: exited with code 3$/,
    );
    assert.equal(await browser.run("document.querySelectorAll('#upgrade tr').length"), 0);
    // this one is the new: it prepares, then the old one drains, then is gone
    control.change({
      generation: 2,
      upgrade: {
        attempt,
        role: "new",
        step: "PREPARING",
        since: now,
        peer: { ...peer, generation: 1, release: "", phase: "Running" },
      },
    });
    await eventually(async () => (await browser.text("#upgrade")).startsWith("PREPARING"));
    assert.match(
      await browser.text("#upgrade"),
      /for \d+ s[\s\S]*generation 2\s+r1\s+this one, takes over, Running\s+generation 1\s+b2\s+is being replaced, Running/,
    );
    const warnings = ['nobody claimed listener "old"'];
    const completed = {
      attempt,
      result: "completed",
      reason: "",
      cause: "none",
      at: now,
      seconds: 61,
      generation: 2,
      warnings,
    } as const;
    const draining = { ...peer, generation: 1, connections: 1, deadlineAt: now + 30_000 };
    control.change({ upgrade: undefined, lastUpgrade: completed, draining: [draining] });
    await eventually(async () => (await browser.text("#upgrade")).includes("✓ completed"));
    assert.match(
      await browser.text("#upgrade"),
      /generation 2\s+r1\s+this one, Running\s+generation 1\s+r2\s+ends its services, 1 connection left, gone in \d\d\.\d s\s+Last upgrade: ✓ completed at \S+ after 1 min 1 s; generation 2 serves\s+Warning: nobody claimed listener "old"/,
    );
    control.change({ draining: [{ ...draining, connections: 0 }] });
    await eventually(async () => (await browser.text("#upgrade")).includes("0 connections left"));
    control.change({ draining: [] });
    await eventually(async () => !(await browser.text("#upgrade")).includes("ends its services"));
    await browser.size(360, 800, true);
    control.change({ upgrade: { ...upgrade, peer: { ...peer, release: "r".repeat(200) } } });
    await eventually(async () => (await browser.text("#upgrade")).includes("rrrr"));
    assert.equal(await browser.run("document.documentElement.scrollWidth"), 360);
    assert.deepEqual(browser.complaints, []);
  });
});

test("the page stays with a server through its upgrade, and shows who drains", options, async () => {
  const port = await freePort();
  await using server = startServer(`
admin: { tcp: "127.0.0.1:${port}", socket: "{{dir}}/control.sock" }
log: { format: json }
listeners:
  http: { tcp: "127.0.0.1:0" }
services:
  web: { command: [{{service}}, -n, web, -t, "3000"], listeners: [http] }
upgrade: { probationSeconds: 1, drainSeconds: 10 }
shutdown: { gracePeriodSeconds: 10, lameDuckSeconds: 0, reserveSeconds: 1 }
`);
  await server.phase("Running");
  await browser.media("light");
  await browser.open(`http://127.0.0.1:${port}/`);
  await browser.run(`{
    window.seen = [];
    const section = document.getElementById("upgrade");
    new MutationObserver(() => window.seen.push(section.innerText)).observe(section, { childList: true });
  }`);
  await promisify(execFile)(program, ["upgrade", "--socket", server.socket]);
  await eventually(async () => (await browser.text("#about")).match(/generation\s+2/), 20_000);
  await eventually(
    async () => /^Last upgrade: ✓ completed at .*; generation 2 serves$/.test(await browser.text("#upgrade")),
    20_000,
  );
  const seen = String(await browser.run("window.seen.join('\\n')"));
  assert.match(seen, /^PROBATION[\s\S]*generation 2\s.*takes over/m);
  assert.match(seen, /generation 1\s.*ends its services/);
});

test("the plan of a stop is readable when a wave has sixty services", options, async () => {
  const names = Array.from({ length: 60 }, (_, n) => `some-service-${n}`);
  const now = Date.now();
  const waves = [names.slice(0, 20), names.slice(20)].map((services, n) => ({
    services,
    deadlineAt: now + 9_000 * (n + 1),
    graceMs: 9_000,
    done: n === 0,
  }));
  const shutdown = { cause: "SIGTERM", requestedAt: now, deadlineAt: now + 20_000, waves, killed: [] };
  await show(
    snapshotOf(
      names.map((name) => serviceView(name)),
      { phase: "ShutdownGracePeriod", shutdown },
    ),
    async () => {
      await browser.size(1200, 900);
      const lines = `[...document.querySelectorAll("#stop tr")].flatMap((row) => [row.cells[0], row.cells[2]]).map((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
    })`;
      assert.deepEqual(await browser.run(lines), [1, 1, 1, 1, 1, 1]);
      assert.equal(await browser.run("document.documentElement.scrollWidth"), 1200);
    },
  );
});

test("the page ends on Terminated when the endpoints close at the end", options, async () => {
  await show(three, async (stage) => {
    await eventually(async () => (await browser.text("#link")) === "● live");
    stage.control.transition({
      from: "ShutdownGracePeriod",
      to: "ShutdownRuntimes",
      event: "WavesStopped",
      at: Date.now(),
    });
    await eventually(async () => (await browser.text("h1")) === "ShutdownRuntimes");
    await stage.admin?.close();
    await eventually(async () => (await browser.text("#link")).startsWith("□ ended at "));
    assert.equal(await browser.text("h1"), "Terminated");
  });
});

test(
  "the page says that it is stale when the server is gone, and goes on by itself when it is back",
  options,
  async () => {
    await show(three, async (stage) => {
      await eventually(async () => (await browser.text("#link")) === "● live");
      await stage.admin?.close();
      await eventually(async () => (await browser.text("#link")).startsWith("✕ no answer since"));
      assert.equal(await browser.text("h1"), "Running", "what was known last stays");
      await stage.reopen();
      stage.control.change({ orphansReaped: 77 });
      await eventually(async () => (await browser.text("#link")) === "● live", 20_000);
      assert.match(await browser.text("#about"), /orphans reaped\s+77/);
    });
  },
);

test("nothing that a service, a probe or a client says becomes markup", options, async () => {
  const evil = `</script><script>window.owned=1</script><img src=x onerror="window.owned=2">'"&{{plain}}\u2028`;
  const shutdown = {
    cause: evil,
    requestedAt: 0,
    deadlineAt: Date.now() + 9_000,
    waves: [{ services: [evil], deadlineAt: 0, graceMs: 0, done: false }],
    killed: [evil],
  };
  const service = serviceView(evil, {
    state: "Failed",
    reason: evil,
    dependsOn: { [evil]: evil },
    restartsByReason: { [evil]: 1 },
  });
  const [instance] = service.instances;
  assert.ok(instance !== undefined);
  const instances = [0, 1].map(() => ({
    ...instance,
    id: evil,
    reason: `${evil}!`,
    lastExit: { code: 1, signal: evil, at: 0 },
  }));
  const listeners = [{ name: evil, address: evil, services: [evil] }];
  const peer = { generation: 2, release: evil, build: evil, pid: 1, phase: evil };
  const upgrade = { attempt: evil, role: "old", step: evil, since: 0, peer } as const;
  const draining = [{ ...peer, generation: 3 }];
  const ended = { attempt: evil, at: 0, seconds: 1, generation: 1 } as const;
  const lastUpgrade = { ...ended, result: "rolled-back", reason: evil, cause: "other", warnings: [evil] } as const;
  await show(
    snapshotOf([{ ...service, instances }], {
      release: evil,
      version: evil,
      listeners,
      shutdown,
      upgrade,
      draining,
      lastUpgrade,
    }),
    async ({ control }) => {
      await eventually(async () => (await browser.text("#link")) === "● live");
      for (const sink of control.sinks)
        sink.transition?.({ from: evil as never, to: evil as never, event: evil, at: 0 });
      await eventually(async () => (await browser.text("#log")).includes("window.owned"));
      assert.equal(await browser.run("window.owned"), undefined);
      assert.equal(await browser.run("document.querySelectorAll('img, main script, iframe').length"), 0);
      assert.equal((await browser.text("#upgrade")).split("<img").length, 9);
      assert.ok((await browser.text("#waves")).includes('<img src=x onerror="window.owned=2">'));
      assert.deepEqual(browser.complaints, []);
    },
  );
});

test("the page fits a phone, follows the colour scheme, and speaks to a screen reader", options, async () => {
  await show(three, async ({ control }) => {
    await browser.size(360, 800, true);
    assert.equal(await browser.run("document.documentElement.scrollWidth"), 360);
    const ground = "getComputedStyle(document.body).backgroundColor";
    const light = await browser.run(ground);
    await browser.media("dark");
    assert.notEqual(await browser.run(ground), light);
    const tree = await browser.accessibility();
    const names = (role: string) => tree.filter((node) => node.role === role).map(({ name }) => name);
    assert.ok(names("heading").includes("Running"));
    assert.ok(names("link").includes("/readyz"));
    assert.ok(names("region").includes("Services") && names("region").includes("Phase"));
    control.change({ phase: "GracefulTerminate" });
    await eventually(
      async () => (await browser.text("#said")) === "GracefulTerminate, not ready, 3 of 3 services ready",
    );
    assert.equal(await browser.run("document.getElementById('said').getAttribute('aria-live')"), "polite");
  });
});

test("the page shows the plain state where scripts are off", options, async () => {
  await show(snapshotOf([serviceView("<web>", { state: "Failed", reason: "a & b" })]), async (stage) => {
    await browser.media("light", false);
    await browser.open(`http://127.0.0.1:${stage.port}/`);
    const { body } = await stage.tcp("/");
    assert.match(body, /<pre>Running\n\+ phase: Running\n- service\/&lt;web&gt;: Failed: a &amp; b<\/pre>/);
    await browser.media("light", true);
  });
});

test("the page filters long lists down to what is not ready", options, async () => {
  const services = Array.from({ length: 40 }, (_, n) =>
    serviceView(`s${n}`, n === 17 ? { state: "Failed", reason: "no" } : {}),
  );
  await show(snapshotOf(services), async ({ control }) => {
    assert.equal(await browser.run("document.querySelectorAll('article').length"), 40);
    assert.equal(await browser.text("#count"), "39 of 40 ready");
    await browser.run("document.getElementById('only').click()");
    await eventually(async () => (await browser.run("document.querySelectorAll('article').length")) === 1);
    control.change({ services: services.map((each) => serviceView(each.name)) });
    await eventually(async () => (await browser.run("document.querySelectorAll('article').length")) === 0);
    assert.equal(await browser.text("#count"), "all 40 ready");
  });
});
