import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { inPath } from "../adopt/programs.js";
import { eventually, kill } from "../harness.js";
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

const generation = (number: number, { drain = 20, grace = 30, probation = 0.3, more = "" } = {}): string => `
listeners: { http: { tcp: "127.0.0.1:{{port}}", passAs: adopt } }
services:
  web:
    command: [python3, -c, ${JSON.stringify(program)}, "${number}", "{{port}}"]
    listeners: [http]
    readinessProbe: { httpGet: { path: /, listener: http }, periodSeconds: 0.2 }
${more}
upgrade: { probationSeconds: ${probation}, bootSeconds: 4, drainSeconds: ${drain} }
shutdown: { lameDuckSeconds: 0, gracePeriodSeconds: ${grace}, reserveSeconds: 1 }
`;

/** A running answer of so many characters, each the number of the generation that gives it. */
function stream(port: number, length: number): Promise<{ readonly whole: Promise<string> }> {
  return new Promise((began, failed) => {
    const call = request({ host: "127.0.0.1", port, path: `/${length}`, agent: false }, (response) =>
      began({ whole: textOf(response) }),
    );
    call.on("error", failed);
    call.end();
  });
}

function textOf(response: IncomingMessage): Promise<string> {
  return new Promise((done) => {
    let text = "";
    response.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
    response.on("close", () => done(text));
    response.on("error", () => {});
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
