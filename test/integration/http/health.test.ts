import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage, serviceView, snapshotOf } from "./stage.js";

const mixed = snapshotOf([
  serviceView("web"),
  serviceView("db", { state: "Backoff", reason: "exited with code 1" }),
  serviceView("extra", { state: "Failed", reason: "exited with code 2", required: false }),
  serviceView("migrate", { type: "oneshot", state: "Stopped", ready: true }),
]);

test("/readyz answers 200 and ok, on both sockets, when every required service is ready", async () => {
  await using stage = await Stage.open(snapshotOf([serviceView("web")]));
  for (const ask of [
    stage.tcp("/readyz"),
    stage.unix("/readyz"),
    stage.tcp("/readyz/"),
    stage.tcp("/startupz"),
    stage.tcp("/livez"),
  ]) {
    const answer = await ask;
    assert.deepEqual([answer.status, answer.body], [200, "ok"]);
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal(answer.headers["content-type"], "text/plain; charset=utf-8");
  }
});

test("/readyz names every check and its reason, unasked, when one fails", async () => {
  await using stage = await Stage.open(mixed);
  const { status, body } = await stage.tcp("/readyz");
  assert.equal(status, 503);
  assert.equal(
    body,
    [
      "[+]phase ok (Running)",
      "[+]service/web ok",
      "[-]service/db failed: Backoff: exited with code 1",
      "[+]service/extra ok (not required; Failed: exited with code 2)",
      "[+]service/migrate ok (completed)",
      "readyz check failed\n",
    ].join("\n"),
  );
  assert.equal((await stage.tcp("/livez")).status, 200, "a service's health is not the supervisor's");
});

test("/readyz leaves out what exclude names, and says so", async () => {
  await using stage = await Stage.open(mixed);
  const answer = await stage.tcp("/readyz?verbose&exclude=service/db&exclude=service/none");
  assert.equal(answer.status, 200);
  assert.match(answer.body, /\n\[\+\]service\/db excluded: failed: Backoff: exited with code 1\n/);
  assert.ok(
    answer.body.endsWith(
      '\nwarn: some health checks cannot be excluded: no matches for "service/none"\nreadyz check passed\n',
    ),
    answer.body,
  );
  const headers = { accept: "application/json" };
  const { body } = await stage.tcp("/readyz?exclude=service/db&exclude=service/none", { headers });
  assert.deepEqual(JSON.parse(body).excluded, ["service/db"]);
});

test("/readyz/CHECK answers for one check alone", async () => {
  await using stage = await Stage.open(mixed);
  assert.equal((await stage.tcp("/readyz/service/web")).status, 200);
  assert.equal((await stage.tcp("/readyz/service/db")).status, 503);
  const unknown = await stage.tcp("/readyz/service/nobody");
  assert.equal(unknown.status, 404);
  assert.match(unknown.body, /it has phase, service\/web/);
});

test("/readyz answers JSON when it is asked for, and HEAD without a body", async () => {
  await using stage = await Stage.open(mixed);
  const answer = await stage.tcp("/readyz", { headers: { accept: "application/json" } });
  assert.equal(answer.status, 503);
  const { ok, phase, checks, excluded } = JSON.parse(answer.body);
  assert.deepEqual([ok, phase, excluded], [false, "Running", []]);
  assert.deepEqual(checks[2], { name: "service/db", ok: false, reason: "Backoff: exited with code 1" });
  const head = await stage.tcp("/readyz", { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [503, ""]);
});

test("health follows the snapshot from one request to the next", async () => {
  await using stage = await Stage.open(snapshotOf([serviceView("web")], { phase: "BootstrapComplete" }));
  assert.deepEqual([(await stage.tcp("/startupz")).status, (await stage.tcp("/readyz")).status], [503, 503]);
  stage.control.change({ phase: "Running" });
  assert.deepEqual([(await stage.tcp("/startupz")).status, (await stage.tcp("/readyz")).status], [200, 200]);
  stage.control.change({ phase: "GracefulTerminate" });
  assert.equal((await stage.tcp("/readyz")).status, 503);
  stage.control.change({ readyDuringDrain: true });
  assert.equal((await stage.tcp("/readyz")).status, 200);
  stage.control.change({ phase: "Terminated" });
  assert.equal((await stage.tcp("/livez")).status, 503);
});
