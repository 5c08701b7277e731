import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { endpoints } from "../../../src/adapters/http/endpoints.js";
import { Stage, serviceView, snapshotOf } from "./stage.js";

test("the reference names every endpoint that is served, and every endpoint of the list is served", async () => {
  const page = readFileSync("docs/reference/http.md", "utf8");
  await using stage = await Stage.open(snapshotOf([serviceView("web")]));
  for (const { path, methods, where } of endpoints) {
    assert.ok(page.includes(`${path}\``) || page.includes(`${path}?`), `docs/reference/http.md does not name ${path}`);
    if (path.endsWith("/events") || path === "/prestop") continue;
    for (const method of methods) {
      const { status } = await stage.unix(path.replace("NAME", "web"), { method });
      assert.ok(![404, 405].includes(status), `${method} ${path} answered ${status}`);
    }
    if (where === "both") assert.equal((await stage.tcp(path)).status, 200);
  }
});
