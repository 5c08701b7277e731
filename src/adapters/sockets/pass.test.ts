import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryError } from "../../core/entry-error.js";
import type { PassAs } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { passListeners } from "./pass.js";

function listener(name: string, fd: number, passAs: PassAs = "systemd", path?: string): BoundListener {
  const address =
    path === undefined
      ? ({ kind: "tcp", host: "::", port: 0, ipv6Only: false } as const)
      : ({ kind: "unix", path, mode: 0o600, type: "stream" } as const);
  const spec = { name, address, key: name, backlog: 1, reusePort: false, passAs, envName: `${name.toUpperCase()}_FD` };
  return path === undefined ? { spec, fd, host: "::", port: 8080 + fd } : { spec, fd, path };
}

test("passListeners numbers systemd's from 3 without a gap when other conventions stand between", () => {
  const listeners = [
    listener("a", 20),
    listener("n", 21, "nginx"),
    listener("b", 22),
    listener("i", 23, "stdin"),
    listener("e", 24, "env"),
  ];
  assert.deepEqual(passListeners(["srv"], {}, listeners), {
    argv: ["srv"],
    env: { LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b", NGINX: "5;", E_FD: "6", E_FD_ADDR: "[::]:8104" },
    pidEnv: ["LISTEN_PID"],
    fds: [
      { target: 3, fd: 20 },
      { target: 5, fd: 21 },
      { target: 4, fd: 22 },
      { target: 0, fd: 23 },
      { target: 6, fd: 24 },
    ],
  });
});

test("passListeners says nothing when there is nothing to pass, and only the number when it is adopt", () => {
  assert.deepEqual(passListeners(["srv"], { A: "1" }, []), { argv: ["srv"], env: {}, pidEnv: [], fds: [] });
  const adopted = passListeners(["srv"], {}, [listener("a", 9, "adopt")]);
  assert.deepEqual(adopted, { argv: ["srv"], env: {}, pidEnv: [], fds: [{ target: 3, fd: 9 }] });
});

test("passListeners fills placeholders in argv and env when they name a listener", () => {
  const http = listener("http", 10, "adopt");
  const sock = listener("my.sock", 11, "adopt", "/run/x.sock");
  const other = listener("other", 12);
  const passed = passListeners(
    ["srv", "--fd={{listeners.http.fd}},{{ listeners.my.sock.fd }}", "{{other}}"],
    {
      URL: "http://x:{{listeners.other.port}}{{listeners.my.sock.path}}",
      AT: "{{listeners.http.address}} {{listeners.http.host}}",
      PLAIN: "1",
    },
    [http, sock],
    { known: [other, http] },
  );
  assert.deepEqual(passed.argv, ["srv", "--fd=3,4", "{{other}}"]);
  assert.deepEqual(passed.env, { URL: "http://x:8092/run/x.sock", AT: "[::]:8090 ::" });
});

test("passListeners passes by numbers that are taken when it may, and refuses when systemd's would not be in a row", () => {
  const taken = { taken: [4] };
  assert.deepEqual(passListeners([], {}, [listener("a", 9), listener("b", 10, "adopt")], taken).fds, [
    { target: 3, fd: 9 },
    { target: 5, fd: 10 },
  ]);
  assert.throws(() => passListeners([], {}, [listener("a", 9), listener("b", 10)], taken), EntryError);
});

test("passListeners names every problem at once when several things cannot be passed", () => {
  const listeners = [
    listener("a:b", 9),
    listener("x", 10, "stdin"),
    listener("y", 11, "stdin"),
    listener("u", 12, "adopt", "/u"),
  ];
  const argv = ["{{listeners.nope.fd}}", "{{listeners.u.port}}", "{{listeners.u.inode}}"];
  assert.throws(
    () => passListeners(argv, { V: "{{listeners.far.fd}}" }, listeners, { known: [listener("far", 13)] }),
    (error) => {
      assert.ok(error instanceof EntryError);
      assert.deepEqual(
        error.problems.map((problem) => [problem.path, problem.message]),
        [
          [undefined, '"x" and "y" are both passed as stdin, only one can be fd 0'],
          ["command[0]", 'cannot fill {{listeners.nope.fd}}: there is no listener "nope"'],
          ["command[1]", 'cannot fill {{listeners.u.port}}: listener "u" at /u has no port'],
          ["command[2]", 'cannot fill {{listeners.u.inode}}: "inode" is not one of fd, port, host, path, address'],
          [
            "env.V",
            'cannot fill {{listeners.far.fd}}: the service does not get listener "far"; add it to its listeners',
          ],
          [
            undefined,
            '"a:b" cannot be said in LISTEN_FDNAMES: at most 255 ASCII characters, no colon, no control character',
          ],
        ],
      );
      return true;
    },
  );
});
