import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { eventually } from "../eventually.js";
import { refused, Stage, serviceView, snapshotOf } from "./stage.js";

const two = snapshotOf([serviceView("web"), serviceView("db", { state: "Stopped" })]);
const json = { accept: "application/json" };

test("start, stop and restart call the server and answer when it is done", async () => {
  await using stage = await Stage.open(two);
  const said = [];
  for (const word of ["start", "stop", "restart"])
    said.push((await stage.unix(`/v1/services/web/${word}`, { method: "POST" })).body);
  assert.deepEqual(said, ["web started\n", "web stopped\n", "web restarted\n"]);
  assert.deepEqual(stage.control.calls, ["start web", "stop web", "restart web"]);
  const answer = await stage.unix("/v1/services/web/stop", { method: "POST", headers: json });
  assert.deepEqual(JSON.parse(answer.body), { ok: true, message: "web stopped", service: "web", state: "Ready" });
});

test("an action that fails answers 409 and says why; a bug answers 500 and says nothing", async () => {
  await using stage = await Stage.open(two);
  stage.control.refusal = refused('cannot stop "web": the server is stopping');
  const answer = await stage.unix("/v1/services/web/stop", { method: "POST" });
  assert.deepEqual([answer.status, answer.body], [409, 'cannot stop "web": the server is stopping\n']);
  stage.control.refusal = new TypeError("secret detail");
  const bug = await stage.unix("/v1/services/web/stop", { method: "POST", headers: json });
  assert.equal(bug.status, 500);
  assert.doesNotMatch(bug.body, /secret/);
});

test("an unknown service is answered with those that exist", async () => {
  await using stage = await Stage.open(two);
  for (const word of ["start", "stop", "restart", "signal?signal=HUP"]) {
    const answer = await stage.unix(`/v1/services/wbe/${word}`, { method: "POST" });
    assert.deepEqual([answer.status, answer.body], [404, 'unknown service "wbe"; known: web, db\n']);
  }
  assert.deepEqual(stage.control.calls, []);
});

test("signal takes its signal and scope from query or body, and refuses what is none", async () => {
  await using stage = await Stage.open(two);
  const send = (query: string, body?: string, name = "web") =>
    stage.unix(`/v1/services/${name}/signal${query}`, { method: "POST", ...(body === undefined ? {} : { body }) });
  assert.equal((await send("?signal=hup")).body, "SIGHUP sent to 2 processes of web\n");
  assert.equal((await send("", '{"signal":"10","scope":"tree"}')).status, 200);
  assert.equal((await send("?signal=USR2&scope=group", "")).status, 200);
  assert.deepEqual(stage.control.calls, [
    "signal web SIGHUP child",
    "signal web SIGUSR1 tree",
    "signal web SIGUSR2 group",
  ]);
  assert.equal((await send("")).status, 400);
  assert.equal((await send("?signal=NOPE")).status, 400);
  assert.equal((await send("?signal=HUP&scope=all")).status, 400);
  assert.equal((await send("", "{")).status, 400);
  assert.equal((await send("", "[1]")).status, 400);
  assert.equal((await send("", `{"signal":"${"x".repeat(20_000)}"}`)).status, 413);
  assert.equal((await send("?signal=HUP", undefined, "db")).status, 409);
});

test("/prestop blocks until the server is drained, and stops waiting when its client goes away", async () => {
  await using stage = await Stage.open(two);
  const gone = request({ socketPath: stage.socket, path: "/prestop" });
  gone.on("error", () => {});
  gone.end();
  await eventually(() => stage.control.calls.includes("prestop"));
  gone.destroy();
  await eventually(() => stage.control.calls.includes("prestop aborted"));

  let answered = false;
  const answer = stage.unix("/prestop", { method: "POST" }).finally(() => {
    answered = true;
  });
  await eventually(() => stage.control.calls.filter((call) => call === "prestop").length === 2);
  assert.equal(answered, false);
  stage.control.drained();
  assert.deepEqual([(await answer).status, (await answer).body], [200, "drained\n"]);
});

test("/v1/phase is one word", async () => {
  await using stage = await Stage.open(two);
  assert.equal((await stage.unix("/v1/phase")).body, "Running\n");
});
