import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EntryError } from "../../core/entry-error.js";
import type { PassAs } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { passListeners } from "./pass.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-pass-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const adoptLibrary = join(directory, "adopt.so");
for (const file of [adoptLibrary, join(directory, "with blank.so")]) copyFileSync("dist/bin/adopt.so", file);

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
      { target: 3, fd: 20, listener: "a" },
      { target: 5, fd: 21, listener: "n" },
      { target: 4, fd: 22, listener: "b" },
      { target: 0, fd: 23, listener: "i" },
      { target: 6, fd: 24, listener: "e" },
    ],
  });
});

test("passListeners says nothing when there is nothing to pass", () => {
  assert.deepEqual(passListeners(["srv"], { A: "1" }, []), { argv: ["srv"], env: {}, pidEnv: [], fds: [] });
});

test("passListeners tells the library of what is adopted, before those that the service preloads itself", () => {
  const listeners = [listener("a", 9, "adopt"), listener("s", 10), listener("u", 11, "adopt", "/run/a;b:c%.sock")];
  assert.deepEqual(passListeners(["srv"], { LD_PRELOAD: "libx.so" }, listeners, { adoptLibrary }), {
    argv: ["srv"],
    env: {
      LISTEN_FDS: "1",
      LISTEN_FDNAMES: "s",
      LD_PRELOAD: `${adoptLibrary}:libx.so`,
      PINGORA_ENTRY_ADOPT: "230:inet6:stream:[::]:8089;231:unix:stream:/run/a%3Bb%3Ac%25.sock",
      PINGORA_ENTRY_ADOPT_DRAIN: "23",
    },
    pidEnv: ["LISTEN_PID"],
    fds: [
      { target: 230, fd: 9, listener: "a" },
      { target: 3, fd: 10, listener: "s" },
      { target: 231, fd: 11, listener: "u" },
    ],
    drain: { signal: "SIGURG", listeners: ["a", "u"], complete: false },
  });
});

test("passListeners keeps what is adopted behind the others, when those reach its usual numbers", () => {
  const numbers = (systemd: number, env: number) => {
    const listeners = [
      listener("u", 9, "adopt"),
      ...Array.from({ length: systemd }, (_, index) => listener(`s${index}`, 1000 + index)),
      ...Array.from({ length: env }, (_, index) => listener(`e${index}`, 3000 + index, "env")),
      listener("v", 10, "adopt"),
    ];
    const { fds } = passListeners(["srv"], {}, listeners, { adoptLibrary, taken: [231] });
    assert.equal(new Set(fds.map(({ target }) => target)).size, listeners.length);
    return ["u", "v"].map((name) => fds.find((fd) => fd.listener === name)?.target);
  };
  assert.deepEqual(numbers(227, 0), [230, 232]);
  assert.deepEqual(numbers(100, 128), [232, 233]);
  assert.deepEqual(numbers(100, 1000), [1104, 1105]);
});

test("passListeners has the program drained by the signal that its environment names, or not when it is none", () => {
  const drained = (name: string) => {
    const { env, drain } = passListeners(["srv"], { PINGORA_ENTRY_ADOPT_DRAIN: name }, [listener("a", 9, "adopt")], {
      adoptLibrary,
    });
    return [env.PINGORA_ENTRY_ADOPT_DRAIN, drain?.signal, drain?.complete];
  };
  assert.deepEqual(drained("SIGRTMAX-2"), ["62", "SIGRTMIN+28", true]);
  assert.deepEqual(drained("10"), ["10", "SIGUSR1", true]);
  assert.deepEqual(drained("off"), ["0", undefined, undefined]);
});

test("passListeners refuses to have a socket adopted when the library cannot be loaded, or LD_PRELOAD cannot say its path", () => {
  const half = join(directory, "half.so");
  copyFileSync(adoptLibrary, half);
  truncateSync(half, 20_000);
  const cases: readonly (readonly [string | undefined, RegExp])[] = [
    [undefined, /adopt\.so is not there$/],
    ["/nowhere/adopt.so", /is not there$/],
    [`${directory}/with blank.so`, /it has a colon or a blank$/],
    [half, /half\.so is not whole: it has 20000 bytes, at least \d+ are needed$/],
  ];
  for (const [library, why] of cases) {
    assert.throws(
      () =>
        passListeners(["srv"], {}, [listener("a", 9, "adopt")], library === undefined ? {} : { adoptLibrary: library }),
      (error) => {
        const said = error instanceof EntryError ? (error.problems[0]?.message ?? "") : "";
        return said.startsWith('"a" cannot be adopted: ') && why.test(said);
      },
    );
  }
});

test("passListeners fills placeholders in argv and env when they name a listener", () => {
  const http = listener("http", 10, "env");
  const sock = listener("my.sock", 11, "env", "/run/x.sock");
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
  assert.equal(passed.env.URL, "http://x:8092/run/x.sock");
  assert.equal(passed.env.AT, "[::]:8090 ::");
});

test("passListeners passes by numbers that are taken when it may, and refuses when systemd's would not be in a row", () => {
  const taken = { taken: [4] };
  assert.deepEqual(passListeners([], {}, [listener("a", 9), listener("b", 10, "nginx")], taken).fds, [
    { target: 3, fd: 9, listener: "a" },
    { target: 5, fd: 10, listener: "b" },
  ]);
  assert.throws(() => passListeners([], {}, [listener("a", 9), listener("b", 10)], taken), EntryError);
});

test("passListeners names every problem at once when several things cannot be passed", () => {
  const listeners = [
    listener("a:b", 9),
    listener("x", 10, "stdin"),
    listener("y", 11, "stdin"),
    listener("u", 12, "nginx", "/u"),
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
