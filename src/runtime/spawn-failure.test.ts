import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpawnFd, SpawnSpec } from "./ports.js";
import { spawnFailure } from "./spawn-failure.js";

const spec: SpawnSpec = {
  argv: ["srv"],
  env: [],
  pidEnv: [],
  limits: [],
  newSession: true,
  tty: false,
  fds: [],
};

function listeners(count: number): SpawnFd[] {
  return Array.from({ length: count }, (_, index) => ({ target: 3 + index, fd: 9, held: `listener:${index}` }));
}

test("spawnFailure names the variable or argument that is too long for execve, which no next try changes", () => {
  const failure = { ok: false, stage: "exec", errno: "E2BIG" } as const;
  const env = ["A=1", `LISTEN_FDNAMES=${"x".repeat(150_000)}`];
  assert.deepEqual(spawnFailure(failure, { ...spec, env }), {
    reason: 'cannot execute "srv": its variable LISTEN_FDNAMES is 150015 bytes long, the kernel takes 131071',
    code: 126,
    permanent: true,
  });
  const argv = ["srv", "x".repeat(131_072)];
  assert.match(spawnFailure(failure, { ...spec, argv }).reason, /its argument 1 is 131072 bytes long/);
  assert.deepEqual(spawnFailure(failure, { ...spec, env: [`A=${"x".repeat(131_069)}`] }), {
    reason: 'cannot execute "srv": arguments and environment are too long',
    code: 126,
    permanent: false,
  });
});

test("spawnFailure says how many descriptors do not fit", () => {
  const failed = (stage: string, errno: string, count: number, open?: number) =>
    spawnFailure(
      { ok: false, stage, errno },
      { ...spec, fds: listeners(count) },
      () => undefined,
      () => ({ open, most: 1500 }),
    ).reason;
  const limit = (needed: number, open: number) =>
    `the init's limit nofile is 1500, ${needed} are needed (${open} of them are open in the init); raise the container's hard limit`;
  const cannot = "cannot pass 1000 descriptors";
  assert.equal(failed("fd", "EMFILE", 1000, 1020), `${cannot}: ${limit(2027, 1020)}`);
  assert.equal(failed("fd", "EMFILE", 1000, 100), `${cannot}: no more files may be opened (limit nofile)`);
  assert.equal(failed("fd", "EMFILE", 1000), `${cannot}: no more files may be opened (limit nofile)`);
  assert.equal(failed("fork", "EMFILE", 0, 1499), `cannot start a process: ${limit(1506, 1499)}`);
  assert.equal(
    failed("held", "ENOENT", 1),
    "cannot pass 1 listener: the init does not hold them any more, another generation does",
  );
  assert.equal(spawnFailure({ ok: false, stage: "held", errno: "ENOTSUP" }, spec).permanent, true);
  assert.match(failed("held", "ENOTSUP", 65), /^cannot pass 65 listeners: the init that runs is of an older release/);
});

test("spawnFailure gives the codes of a shell, and another try to what may pass", () => {
  const failed = (stage: string, errno: string) =>
    spawnFailure(
      { ok: false, stage, errno },
      { ...spec, cwd: "/srv", limits: [{ resource: "nofile", soft: 9, hard: -1 }] },
    );
  assert.deepEqual(failed("exec", "ENOENT"), {
    reason: 'cannot execute "srv": not found, or the interpreter that its first line names is not',
    code: 127,
    permanent: true,
  });
  assert.equal(failed("exec", "EAGAIN").permanent, false);
  assert.equal(failed("cwd", "EACCES").reason, 'cannot change to directory "/srv": permission denied');
  assert.equal(failed("rlimit", "EPERM").reason, "cannot set a limit (nofile unlimited): not permitted");
  assert.equal(failed("fork", "ENOMEM").reason, "cannot start a process: out of memory");
  assert.equal(failed("uid", "EPERM").reason, "cannot set uid: not permitted");
});
