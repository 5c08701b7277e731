import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { compiled, inPath } from "../adopt/programs.js";
import { childrenOf, eventually, freePort, kill, startServer } from "../harness.js";
import { Upgradable } from "./stage.js";

const skip = inPath("python3") ? false : "python3 is not in PATH";

/** It knows nothing of upgrades: SIGTERM breaks off what it has. /slow is a line every 100 ms, /N of them. */
const program = `
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        for _ in range(int(self.path[1:] or 1)):
            self.wfile.write(sys.argv[1].encode()); self.wfile.flush()
            if self.path != "/": time.sleep(0.1)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
`;

const generation = (number: number, { drain = 20, grace = 30, probation = 0.3, boot = 4, more = "" } = {}): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}", passAs: adopt } }
services:
  web:
    command: [python3, -c, ${JSON.stringify(program)}, "${number}", "{{port}}"]
    listeners: [http]
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.2 }
${more}
upgrade: { probationSeconds: ${probation}, bootSeconds: ${boot}, drainSeconds: ${drain} }
shutdown: { lameDuckSeconds: 0, gracePeriodSeconds: ${grace}, reserveSeconds: 1 }
`;

interface Stream {
  /** the generation that answers */
  readonly by: string;
  /** what it has said when it is over */
  readonly whole: Promise<string>;
}

/** A running answer of so many characters, each the number of the generation that gives it. */
function stream(port: number, length: number): Promise<Stream> {
  return new Promise((began, failed) => {
    const call = request({ host: "127.0.0.1", port, path: `/${length}`, agent: false }, (response) => {
      let text = "";
      const whole = new Promise<string>((over) => response.on("close", () => over(text)));
      response.on("error", () => {});
      response.setEncoding("utf8").on("data", (more: string) => {
        text += more;
        began({ by: text.slice(0, 1), whole });
      });
    });
    call.on("error", failed);
    call.end();
  });
}

test("a replaced program answers for as long as upgrade.drainSeconds, with a shorter grace period", {
  skip,
}, async () => {
  await using stage = await Upgradable.start(generation(1, { drain: 30, grace: 3 }));
  await stage.server.phase("Running");
  const { whole } = await stream(stage.port, 60);
  const { code, err } = await stage.upgrade(generation(2));
  assert.equal(code, 0, err);
  assert.equal(await whole, "1".repeat(60));
  await stage.step("new", "DRAINED");
  assert.match(stage.server.stderr, /DRAINED: .* 1 connections drained, 0 cut, 0 services killed/);
});

for (const [step, probation] of [
  ["FINALIZE", 0.3],
  ["PROBATION", 3],
] as const) {
  test(`a replaced program answers what it has, and its connections are counted, when the supervisor is killed in ${step}`, {
    skip,
  }, async () => {
    await using stage = await Upgradable.start(generation(1, { probation }));
    await stage.server.phase("Running");
    const supervisor = stage.server.supervisor() ?? 0;
    const { whole } = await stream(stage.port, 60);
    const upgrade = stage.upgrade(generation(2));
    await stage.step("old", step);
    if (step === "FINALIZE")
      await eventually(() => /shutdown plan: web by/.test(stage.server.stderr), { what: "a plan" });
    kill(supervisor);
    const { code, err } = await upgrade;
    assert.equal(code, 0, err);
    assert.equal(await whole, "1".repeat(60), stage.server.stderr);
    await eventually(() => /"listener":"http","drained":1,"cut":0/.test(stage.server.stderr), { what: "the figures" });
  });
}

const side = (seconds: number, strategy: string, more = ""): string =>
  `  side: { command: [/bin/sh, -c, "sleep ${seconds}; exit 3"], restart: never, upgrade: { strategy: ${strategy} } ${more} }`;
const unready = `, readinessProbe: { exec: { command: ["false"] }, periodSeconds: 0.3 }`;

for (const [what, more, reason] of [
  ["is never ready", side(1000, "handover", unready), /not ready within/],
  ["is not ready after COMMIT", side(1000, "restart", unready), /not ready within/],
  ["fails in PREPARING", side(4, "handover", unready), /service side failed/],
  ["fails in PROBATION", side(3, "restart"), /side/],
] as const) {
  test(`a program of a new generation that ${what} answers what it has accepted`, { skip }, async () => {
    await using stage = await Upgradable.start(generation(1, { probation: 20, boot: 6 }));
    await stage.server.phase("Running");
    const upgrade = stage.upgrade(generation(2, { boot: 6, more }));
    await stage.step("new", "PREPARING");
    const streams: Stream[] = [];
    const begins = async () => {
      const began = await stream(stage.port, 80);
      streams.push(began);
      return began.by === "2";
    };
    await eventually(begins, { what: "an answer of the new one" });
    const { code, err } = await upgrade;
    assert.equal(code, 1, err);
    assert.match(err, reason);
    const answers = await Promise.all(streams.map(({ whole }) => whole));
    const whole = streams.map(({ by }) => by.repeat(80));
    assert.deepEqual(answers, whole, stage.server.stderr);
  });
}

test("a replaced program is drained at once, however the init of the other generation calls its own", {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), "pe-slots-"));
  const port = `${await freePort()}`;
  const of = (number: number) =>
    generation(number, { drain: 12 })
      .replaceAll("{{port}}", port)
      .replace("upgrade: {", `upgrade: { standby: true, directory: ${directory},`);
  try {
    await using first = startServer(of(1));
    await first.phase("Running");
    await using second = startServer(of(2), { env: { PINGORA_ENTRY_UPGRADE: "one" } });
    await second.phase("Running");
    // a probe of the other's supervisor may be among the drained: whose it is cannot be seen across inits
    const seconds = () =>
      /"listener":"http","drained":[01],"cut":0,"killed":0,"seconds":([\d.]+)/.exec(first.stderr)?.[1];
    assert.ok(Number(await eventually(seconds, { what: "the figures", timeoutMs: 20_000 })) < 4, first.stderr);
    assert.equal((await stream(Number(port), 1)).by, "2");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

const starter = `#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static char **arguments;
static void start(int number) { (void)number; if (fork() == 0) { execvp(arguments[1], arguments + 1); _exit(127); } }
/* starts its arguments, and again at SIGUSR1; with nothing to start, it is of no use to anybody */
int main(int count, char **given) {
    if (count == 1) for (;;) pause();
    arguments = given;
    signal(SIGUSR1, start);
    start(0);
    while (wait(NULL) >= 0) ;
}`;
const isStatic = () => compiled("starter", starter, undefined, "-static");

for (const [what, changed] of [
  [
    "with a static child",
    (text: string) =>
      text.replace("import http", `import subprocess; subprocess.Popen(['${isStatic()}']); import http`),
  ],
  ["of a static starter", (text: string) => text.replace("[python3", `[${isStatic()}, python3`)],
] as const) {
  test(`a replaced program ${what} is told to end as soon as it has answered`, {
    skip: skip || (inPath("cc") ? false : "cc is not installed"),
  }, async () => {
    await using stage = await Upgradable.start(changed(generation(1, { drain: 60 })));
    await stage.server.phase("Running");
    const { whole } = await stream(stage.port, 30);
    const { code, err } = await stage.upgrade(changed(generation(2, { drain: 60 })));
    assert.equal(code, 0, err);
    assert.equal(await whole, "1".repeat(30));
    await stage.step("new", "DRAINED");
    const [, cut, seconds] =
      /DRAINED: .* 1 connections drained, (\d+) cut, 0 services killed, ([\d.]+) s/.exec(stage.server.stderr) ?? [];
    assert.equal(cut, "0", stage.server.stderr);
    assert.ok(Number(seconds) < 15, seconds);
  });
}

test("what a static supervisor starts while the old generation drains is drained, too", {
  skip: skip || (inPath("cc") ? false : "cc is not installed"),
}, async () => {
  const supervised = (number: number) =>
    generation(number, { drain: 60 }).replace("[python3", `[${isStatic()}, python3`);
  await using stage = await Upgradable.start(supervised(1));
  await stage.server.phase("Running");
  const [supervisor = 0] = childrenOf(stage.server.initPid()).filter(
    (pid) => readlinkSync(`/proc/${pid}/exe`) === isStatic(),
  );
  const shared = readlinkSync(`/proc/${supervisor}/fd/230`);
  /** the numbers at which it has the shared socket */
  const numbers = (pid: number) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === shared);
    } catch {
      // ended, or closed it meanwhile
      return [];
    }
  };
  const accepts = (pid: number) => numbers(pid).length > 1;
  const [first = 0] = childrenOf(supervisor);
  const { whole } = await stream(stage.port, 150);
  const { code, err } = await stage.upgrade(supervised(2));
  assert.equal(code, 0, err);
  assert.ok(!accepts(first));
  let asked = 0;
  const second = await eventually(
    () => {
      const found = childrenOf(supervisor).find((pid) => pid !== first && accepts(pid));
      // one that is told before it has bound is refused the address, and ends; one may be drained before it is seen here
      if (found === undefined && performance.now() - asked > 1_500) {
        asked = performance.now();
        process.kill(supervisor, "SIGUSR1");
      }
      return found;
    },
    { what: "a second one" },
  );
  await eventually(() => !accepts(second), { what: "its drain", timeoutMs: 8_000 });
  assert.equal(await whole, "1".repeat(150));
  await stage.step("new", "DRAINED");
});
