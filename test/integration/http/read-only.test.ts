import assert from "node:assert/strict";
import { METHODS } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { endpoints } from "../../../src/adapters/http/endpoints.js";
import { eventually } from "../eventually.js";
import { Stage, serviceView, snapshotOf } from "./stage.js";

const one = snapshotOf([serviceView("web")]);
const token = "a-token-of-some-length";
const paths = [
  ...endpoints.map(({ path }) => path.replace("NAME", "web")),
  "/v1",
  "/v1/upgrade",
  "/v1/reload",
  "/nothing",
];

test("no method on any path of the TCP address acts", async () => {
  await using stage = await Stage.open(one);
  for (const method of METHODS.filter((each) => each !== "CONNECT")) {
    for (const path of paths) {
      if (path === "/events" && method === "GET") continue;
      const { status } = await stage.tcp(path, { method, ...(method === "POST" ? { body: "signal=TERM" } : {}) });
      if (method !== "GET" && method !== "HEAD") assert.equal(status, 405, `${method} ${path}`);
      else assert.ok([200, 403, 404, 503].includes(status), `${method} ${path} answered ${status}`);
    }
  }
  assert.deepEqual(stage.control.calls, []);
});

test("spellings of an action's path reach nothing on the TCP address", async () => {
  await using stage = await Stage.open(one, { plan: { services: [], admin: { prestopToken: token } } });
  for (const path of [
    "//prestop",
    "/%70restop",
    "/prestop/",
    "/prestop;a",
    "/./prestop",
    "/v1/../prestop",
    "http://x/prestop",
    "*",
  ]) {
    for (const method of ["GET", "POST", "HEAD"]) await stage.tcp(path, { method });
  }
  for (const path of ["/v1/services/web/stop?_method=POST", "/v1%2fservices/web/stop", "/V1/services/web/stop"]) {
    await stage.tcp(path, { headers: { "x-http-method-override": "POST" } });
    await stage.tcp(path, { method: "POST" });
  }
  assert.deepEqual(stage.control.calls, []);
});

test("GET on an action of the control socket does nothing", async () => {
  await using stage = await Stage.open(one);
  for (const word of ["start", "stop", "restart", "signal"]) {
    const answer = await stage.unix(`/v1/services/web/${word}`);
    assert.deepEqual([answer.status, answer.headers.allow], [405, "POST"]);
  }
  assert.equal((await stage.unix("/prestop", { method: "HEAD" })).status, 405);
  assert.deepEqual(stage.control.calls, []);
});

test("/prestop on TCP is for who presents the token", async () => {
  await using stage = await Stage.open(one, { plan: { services: [], admin: { prestopToken: token } } });
  for (const authorization of [
    "",
    "Bearer",
    "Bearer ",
    `Bearer ${token}x`,
    `Bearer ${token.slice(0, -1)}`,
    `Basic ${token}`,
    token,
  ]) {
    const { status, headers } = await stage.tcp("/prestop", { method: "POST", headers: { authorization } });
    assert.deepEqual([status, headers["www-authenticate"]], [401, 'Bearer realm="pingora-entry"'], authorization);
  }
  assert.deepEqual(stage.control.calls, []);
  const answers = ["GET", "POST"].map((method) =>
    stage.tcp("/prestop", { method, headers: { authorization: `Bearer ${token}` } }),
  );
  await eventually(() => stage.control.calls.length === 2);
  stage.control.drained();
  for (const answer of answers) assert.deepEqual([(await answer).status, (await answer).body], [200, "drained\n"]);
  assert.equal(
    (await stage.tcp("/v1/services/web/stop", { method: "POST", headers: { authorization: `Bearer ${token}` } }))
      .status,
    405,
  );
});

test("/prestop on TCP takes a token of any characters, presented as UTF-8", async () => {
  // its last byte is 0xa0
  const spoken = "schlüssel-für-日本-à";
  await using stage = await Stage.open(one, { plan: { services: [], admin: { prestopToken: spoken } } });
  const present = (bytes: Buffer) =>
    stage.tcp("/prestop", { method: "POST", headers: { authorization: `Bearer ${bytes.toString("latin1")}` } });
  assert.equal((await present(Buffer.from(spoken).subarray(0, -1))).status, 401);
  const answer = present(Buffer.from(spoken));
  await eventually(() => stage.control.calls.length === 1);
  stage.control.drained();
  assert.equal((await answer).status, 200);
});

test("/prestop on TCP answers 405 to another method, with a token and without one in the request", async () => {
  await using stage = await Stage.open(one, { plan: { services: [], admin: { prestopToken: token } } });
  for (const method of ["HEAD", "PUT", "DELETE", "OPTIONS"]) {
    for (const headers of [{}, { authorization: `Bearer ${token}` }]) {
      const answer = await stage.tcp("/prestop", { method, headers });
      assert.deepEqual([answer.status, answer.headers.allow], [405, "GET, POST"], method);
    }
  }
  assert.deepEqual(stage.control.calls, []);
});

test("what cannot be read is answered as everything is: words, not to be stored", async () => {
  await using stage = await Stage.open(one);
  for (const path of ["/livez/%zz", "/%zz?%zz=%zz"]) {
    const { status, headers, body } = await stage.tcp(path);
    assert.deepEqual([status, headers["cache-control"]], [400, "no-store"], path);
    assert.equal(body, "cannot read the request: its path is malformed\n");
  }
  for (const [text, status] of [
    ["HELLO\r\n\r\n", "400 Bad Request"],
    ["GET /livez HTTP/1.1\r\n\r\n", "400 Bad Request"],
    ["GET /nowhere HTTP/1.1\r\n\r\n", "400 Bad Request"],
    [`GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, "431 Request Header Fields Too Large"],
  ]) {
    const socket = connect(stage.port, "127.0.0.1").setEncoding("latin1");
    let answer = "";
    socket
      .on("error", () => {})
      .on("data", (part: string) => {
        answer += part;
      });
    socket.write(text ?? "");
    await new Promise((closed) => socket.once("close", closed));
    assert.match(
      answer,
      new RegExp(`^HTTP/1.1 ${status}\r\n[^]*cache-control: no-store[^]*\r\n\r\ncannot read the request: `),
    );
  }
});

test("what a probe's command wrote is told on the control socket and nowhere on TCP", async () => {
  const said = {
    state: "Starting",
    reason: "readiness probe: exit code 1",
    output: "password hunter2 refused",
  } as const;
  const view = serviceView("db", said);
  const instances = view.instances.map((each) => ({ ...each, output: said.output }));
  await using stage = await Stage.open(snapshotOf([{ ...view, instances }]));
  for (const path of ["/readyz", "/readyz/service/db", "/status", "/", "/startupz"]) {
    const { body } = await stage.tcp(path);
    assert.doesNotMatch(body, /hunter2/, path);
    if (path !== "/startupz") assert.match(body, /exit code 1/, path);
    assert.match((await stage.unix(path)).body, path === "/startupz" ? /^/ : /hunter2/, path);
  }
  const json = await stage.tcp("/readyz", { headers: { accept: "application/json" } });
  assert.doesNotMatch(json.body, /hunter2/);
});

test("without a token /prestop on TCP is refused whatever is presented", async () => {
  await using stage = await Stage.open(one);
  const answer = await stage.tcp("/prestop", { headers: { authorization: "Bearer " } });
  assert.equal(answer.status, 403);
  assert.match(answer.body, /control socket only/);
  assert.deepEqual(stage.control.calls, []);
});

test("what does not exist is answered with what does", async () => {
  await using stage = await Stage.open(one);
  const onTcp = await stage.tcp("/health");
  assert.equal(onTcp.status, 404);
  assert.match(onTcp.body, /^there is no \/health; there is:\n/);
  assert.match(onTcp.body, /\/readyz/);
  assert.doesNotMatch(onTcp.body, /\/v1\/services/);
  const json = await stage.tcp("/health", { headers: { accept: "application/json" } });
  assert.deepEqual(JSON.parse(json.body), { error: "there is no /health" });
  assert.match((await stage.unix("/health")).body, /POST\s+\/v1\/services\/NAME\/restart/);
});

test("broken requests are refused and leave the server as it was", async () => {
  await using stage = await Stage.open(one);
  const junk = [
    "\0\0\0\0",
    "GET\r\n\r\n",
    `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
    "GET /readyz HTTP/9.9\r\n\r\n",
    "\x16\x03\x01\x02",
  ];
  for (const text of junk) {
    const socket = connect(stage.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.end(text, "latin1");
    socket.resume();
    await new Promise((closed) => socket.once("close", closed));
  }
  assert.equal((await stage.tcp("/readyz")).status, 200);
});
