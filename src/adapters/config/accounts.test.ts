import assert from "node:assert/strict";
import { test } from "node:test";
import { Accounts } from "./accounts.js";
import { Refused } from "./format.js";

const passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\nbroken\n4711:x:5:6::/x:\n";
const group = "root:x:0:\napp:x:1001:\nwheel:x:10:app,root\ntty:x:5:root\n";
const accounts = new Accounts((path) => (path === "/etc/passwd" ? passwd : group));

test("identity knows users and groups by name and number, with the groups they are in", () => {
  assert.deepEqual(accounts.identity("app", undefined), {
    uid: 1000,
    gid: 1001,
    groups: [1001, 10],
    home: "/home/app",
    name: "app",
  });
  assert.deepEqual(accounts.identity("1000", undefined), accounts.identity("app", undefined));
  assert.deepEqual(accounts.identity("app", "wheel"), {
    uid: 1000,
    gid: 10,
    groups: [10],
    home: "/home/app",
    name: "app",
  });
  assert.deepEqual(accounts.identity("app:tty", undefined), {
    uid: 1000,
    gid: 5,
    groups: [5, 10],
    home: "/home/app",
    name: "app",
  });
  assert.deepEqual(accounts.identity("99:99", undefined), { uid: 99, gid: 99, groups: [99] });
  assert.equal(accounts.identity(undefined, undefined), undefined);
});

test("identity takes a name that looks like a number as a name first", () => {
  assert.equal((accounts.identity("4711", undefined) as { uid: number }).uid, 5);
});

test("identity refuses what is unknown, and a number without a group", () => {
  for (const [user, named] of [
    ["nobody"],
    ["app:nope"],
    ["app", "nope"],
    ["99"],
    [undefined, "app"],
    ["4294967295", "0"],
    ["-1", "0"],
    [""],
  ]) {
    assert.ok(accounts.identity(user, named) instanceof Refused, `${user} ${named}`);
  }
});

test("identity works with numbers in an image without /etc/passwd", () => {
  const bare = new Accounts(() => {
    throw Object.assign(new Error(), { code: "ENOENT" });
  });
  assert.deepEqual(bare.identity("65532:65532", undefined), { uid: 65532, gid: 65532, groups: [65532] });
  assert.ok(bare.identity("root", undefined) instanceof Refused);
});
