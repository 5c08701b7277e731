import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { program } from "../harness.js";

const dir = mkdtempSync(join(tmpdir(), "pingora-entry-unreadable-"));
after(() => rmSync(dir, { recursive: true, force: true }));
chmodSync(dir, 0o755);
writeFileSync(join(dir, "file.yaml"), "services: { a: { command: x } }\n");
symlinkSync("loop.yaml", join(dir, "loop.yaml"));
mkdirSync(join(dir, "secret"));
writeFileSync(join(dir, "secret", "config.yaml"), "services: { a: { command: x } }\n");
chmodSync(join(dir, "secret"), 0o700);

const needsRoot = process.getuid?.() !== 0 && "needs root, to be another user";
const asNobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

function said(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const [file = "", ...args] = command;
  const { status, stdout, stderr } = spawnSync(file, args, {
    cwd: dir,
    env: { PATH: process.env.PATH, ...env },
    encoding: "utf8",
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

const paths = [
  [join(dir, "file.yaml", "more.yaml"), "a part of its path is not a directory"],
  [join(dir, "loop.yaml"), "too many symbolic links"],
  [join(dir, "n".repeat(300)), "a name in its path is too long"],
] as const;

for (const [path, why] of paths) {
  test(`pingora-entry ends with 78, once, when of its configuration ${why}`, () => {
    for (const [how, command, env] of [
      ["--conf", [program, "-c", path, "sh", "-c", "echo ran"], {}],
      ["--conf", [program, "check", "-c", path], {}],
      ["PINGORA_ENTRY_CONF", [program, "sh", "-c", "echo ran"], { PINGORA_ENTRY_CONF: path }],
    ] as const) {
      const problem = `  ${how}\n    cannot read "${path}": ${why}\n`;
      const stderr = `pingora-entry: cannot use the configuration: 1 problem\n${problem}`;
      assert.deepEqual(said(command, env), { status: 78, stdout: "", stderr });
    }
  });
}

test("check says that it may not read a configuration, and a start of it ends with 78 at once", {
  skip: needsRoot,
}, () => {
  const path = join(dir, "secret", "config.yaml");
  const check = said([...asNobody, program, "check", "-c", path]);
  assert.match(check.stderr, /cannot read ".*\/secret\/config.yaml": permission denied\n$/);
  assert.equal(check.status, 78);
  const run = said([...asNobody, program, "-c", path, "sh", "-c", "echo ran"]);
  assert.equal(run.status, 78);
  assert.doesNotMatch(run.stderr + run.stdout, /starting it again|ran/);
});

const namespace = [
  "unshare",
  "-m",
  "sh",
  "-c",
  'mount -t tmpfs x /etc && mkdir -m 700 /etc/pingora-entry && exec "$@"',
  "sh",
];
const needsMounts =
  needsRoot || (said([...namespace, "true"]).status !== 0 && "needs a mount namespace, to have an /etc of its own");

test("pingora-entry ends with 78, once, when it may not look for the default configuration", {
  skip: needsMounts,
}, () => {
  const inPlace = [...namespace, ...asNobody, program];
  const check = said([...inPlace, "check"]);
  assert.match(
    check.stderr,
    /the default file\n {4}cannot read "\/etc\/pingora-entry\/config.yaml": permission denied\n$/,
  );
  assert.equal(check.status, 78);
  const run = said([...inPlace, "sh", "-c", "echo ran"]);
  assert.equal(run.status, 78);
  assert.doesNotMatch(run.stderr + run.stdout, /starting it again|ran/);
});
