import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { eventually, freePort, kill, startServer } from "../harness.js";
import { compiled, daemon, inPath, programs, script } from "./programs.js";
import { ask, type Command, hasBound, holding, inodeAt, pidOf, serve, treeOf } from "./served.js";

const noPython = inPath("python3") ? false : "python3 is not installed";
const noMusl = inPath("musl-gcc") ? false : "musl-gcc is not installed";
const home = { HOME: process.env.HOME ?? "/" };

function named(name: string): Command {
  const found = programs.find((program) => program.name === name);
  assert.ok(found, name);
  return found.command;
}

/** The command of a service that answers; and that nothing but the listener's socket is bound at the port. */
async function answers(command: Command, options: Parameters<typeof serve>[1] = {}): Promise<void> {
  const stage = await serve([command], options);
  await using server = stage.server;
  const pid = await pidOf(stage);
  const inode = inodeAt(stage.port);
  const answer = await eventually(() => ask(stage).answer).catch((error: Error) =>
    assert.fail(`${error.message}\n${server.stderr}`),
  );
  assert.ok(treeOf(pid).includes(Number(answer)), server.stderr);
  assert.equal(inodeAt(stage.port), inode);
}

for (const how of ["loop", "close_range", "again"]) {
  const what = how === "again" ? "closes its socket and binds again" : `closes every descriptor by ${how}`;
  test(`a program that ${what} has the listener still`, () => answers(daemon(how)));
  test(`a program of musl that ${what} has the listener still`, { skip: noMusl }, () =>
    answers(daemon(how, "musl-gcc")),
  );
}

test("a program adopts the listener when one of the two is IPv4's wildcard and the other every address", {
  skip: noPython,
}, async () => {
  for (const name of ["Python http.server", "Perl", "Node", "C with cc"]) {
    await answers(named(name), { listener: "[::]", host: "0.0.0.0" });
    await answers(named(name), { listener: "0.0.0.0", host: "0.0.0.0" });
  }
  await answers(named("Node"), { listener: "0.0.0.0", host: "::" });
  await answers(named("Java ServerSocket"), { listener: "0.0.0.0", host: "::" });
});

const facts = script(
  "facts.py",
  `import json, os, socket, sys
out, tries = sys.argv[1], json.loads(sys.argv[2])
said = []
for family, kind, host, port in tries:
    s = socket.socket(getattr(socket, family), getattr(socket, kind))
    blocking = s.getblocking()
    try:
        s.bind(host if family == "AF_UNIX" else (host, port))
        if kind != "SOCK_DGRAM": s.listen(3)
        name = s.getsockname()
        said.append([name if family == "AF_UNIX" else list(name), os.fstat(s.fileno()).st_ino, os.get_inheritable(s.fileno()), os.get_blocking(s.fileno())])
    except OSError as error:
        said.append(error.strerror)
    s.close()
open(out + ".new", "w").write(json.dumps(said))
os.rename(out + ".new", out)
import time; time.sleep(1000)
`,
);

/** What a program is told for each of these binds; [address, inode, inheritable, blocking] or the error. */
async function bound(
  listeners: string,
  tries: (dir: string) => readonly (readonly [string, string, string, number])[],
  { wrap = [] }: { wrap?: readonly string[] } = {},
) {
  const file = "{{dir}}/facts";
  const argv = [...wrap, "python3", facts, file, JSON.stringify(tries("{{dir}}"))];
  const server = startServer(
    `listeners: { ${listeners} }
services: { a: { command: ${JSON.stringify(argv)}, listeners: [${[...listeners.matchAll(/(\w+): \{/g)].map(([, name]) => name)}] } }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`,
    { env: home },
  );
  const path = join(server.dir, "facts");
  try {
    await eventually(() => existsSync(path), { what: "the program has tried" });
  } catch (error) {
    await server.end();
    throw new Error(`${(error as Error).message}\n${server.stderr}`);
  }
  return { server, said: JSON.parse(readFileSync(path, "utf8")) as (string | [unknown, number, boolean, boolean])[] };
}

test("bind leaves alone what is another address, another port, another kind, or any port", {
  skip: noPython,
}, async () => {
  const [port, other] = [await freePort(), await freePort()];
  const { server, said } = await bound(`t: { tcp: "0.0.0.0:${port}", passAs: adopt }`, () => [
    ["AF_INET", "SOCK_STREAM", "0.0.0.0", port],
    ["AF_INET", "SOCK_STREAM", "127.0.0.1", port],
    ["AF_INET", "SOCK_STREAM", "127.0.0.1", other],
    ["AF_INET", "SOCK_DGRAM", "0.0.0.0", port],
    ["AF_INET", "SOCK_STREAM", "127.0.0.1", 0],
    ["AF_INET6", "SOCK_STREAM", "::ffff:127.0.0.1", port],
  ]);
  await using _ = server;
  const inode = Number(inodeAt(port));
  assert.deepEqual(said[0], [["0.0.0.0", port], inode, false, true]);
  assert.equal(said[1], "Address already in use");
  assert.deepEqual((said[2] as unknown[])[0], ["127.0.0.1", other]);
  assert.notEqual((said[3] as unknown[])[1], inode);
  assert.notEqual((said[4] as unknown[])[1], inode);
  assert.equal(said[5], "Address already in use");
});

test("bind adopts each of several listeners, TCP, UDP and unix, and several times", { skip: noPython }, async () => {
  const [port, second] = [await freePort(), await freePort()];
  const listeners = `t: { tcp: "127.0.0.1:${port}", passAs: adopt }, s: { tcp: "[::]:${second}", passAs: adopt },
  u: { udp: "127.0.0.1:${port}", passAs: adopt }, p: { unix: "{{dir}}/p.sock", passAs: adopt }, q: { unix: "{{dir}}/a;b:c %.sock", type: dgram, passAs: adopt }, z: { tcp: "127.0.0.1:0", passAs: systemd }`;
  const { server, said } = await bound(listeners, (dir) => [
    ["AF_INET", "SOCK_STREAM", "127.0.0.1", port],
    ["AF_INET6", "SOCK_STREAM", "::ffff:127.0.0.1", port],
    ["AF_INET", "SOCK_DGRAM", "127.0.0.1", port],
    ["AF_INET6", "SOCK_STREAM", "::", second],
    ["AF_INET", "SOCK_STREAM", "0.0.0.0", second],
    ["AF_UNIX", "SOCK_STREAM", `${dir}/p.sock`, 0],
    ["AF_UNIX", "SOCK_DGRAM", `${dir}/a;b:c %.sock`, 0],
    ["AF_UNIX", "SOCK_STREAM", `${dir}/../${"{{dir}}"}/p.sock`, 0],
  ]);
  await using _ = server;
  const path = join(server.dir, "p.sock");
  const texts = said.map((each) => (typeof each === "string" ? each : JSON.stringify(each[0])));
  assert.deepEqual(texts.slice(0, 7), [
    `["127.0.0.1",${port}]`,
    `["::ffff:127.0.0.1",${port},0,0]`,
    `["127.0.0.1",${port}]`,
    `["::",${second},0,0]`,
    `["0.0.0.0",${second}]`,
    JSON.stringify(path),
    JSON.stringify(join(server.dir, "a;b:c %.sock")),
  ]);
  assert.equal((said[3] as unknown[])[1], (said[4] as unknown[])[1]);
  assert.ok(statSync(path).isSocket());
});

test("bind adopts each of fifty listeners", { skip: noPython }, async () => {
  const ports: number[] = [];
  while (ports.length < 50) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  const listeners = ports.map((port, index) => `l${index}: { tcp: "127.0.0.1:${port}", passAs: adopt }`);
  const { server, said } = await bound(listeners.join(", "), () =>
    ports.map((port) => ["AF_INET", "SOCK_STREAM", "127.0.0.1", port] as const),
  );
  await using _ = server;
  assert.deepEqual(
    said.map((each) => (each as unknown[])[0]),
    ports.map((port) => ["127.0.0.1", port]),
  );
});

const many = script(
  "many.py",
  `import os, select, signal, socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
path = sys.argv[3]
sockets, events = [], select.epoll()
inode = lambda s: os.fstat(s.fileno()).st_ino
host = lambda i: "127.77.%d.%d" % (i >> 8, i % 256)
for i in range(count):
    s = socket.socket(); s.bind((host(i), port)); s.listen()
    sockets.append(s); events.register(s, select.EPOLLIN)
before = [inode(s) for s in sockets]
os.kill(os.getpid(), signal.SIGURG)
after = {inode(s) for s in sockets}
for i in (0, count - 1): socket.create_connection((host(i), port))
said = "%d %d %d %d" % (len(set(before)), len(after), len(after & set(before)), len(events.poll(0)))
open(path + ".new", "w").write(said); os.rename(path + ".new", path)
import time; time.sleep(1000)
`,
);

/** One port will do: each of these addresses is this machine. */
const hostOf = (index: number) => `127.77.${index >> 8}.${index % 256}`;

for (const [adopted, told] of [
  [1024, 0],
  [2, 300],
] as const) {
  test(`a program adopts ${adopted} listeners beside ${told} that it is told of, and each is private after the drain`, {
    skip: noPython,
  }, async () => {
    const port = await freePort();
    const lines = Array.from({ length: adopted + told }, (_, index) => {
      const how = index < adopted ? ", passAs: adopt" : "";
      return `  l${index}: { tcp: "${hostOf(index)}:${port}"${how} }`;
    });
    const names = lines.map((_, index) => `l${index}`);
    await using server = startServer(
      `listeners:
${lines.join("\n")}
services: { a: { command: [python3, ${many}, "${port}", "${adopted}", "{{dir}}/said"], listeners: [${names.join(", ")}], limits: { nofile: 8192 } } }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`,
      { env: home },
    );
    const path = join(server.dir, "said");
    await eventually(() => existsSync(path), { what: "the program has been drained" }).catch((error: Error) =>
      assert.fail(`${error.message}\n${server.stderr}`),
    );
    assert.equal(readFileSync(path, "utf8"), `${adopted} ${adopted} 0 0`);
  });
}

test("what a program executes adopts, too, through shells, a cleared environment and a closed table", {
  skip: noPython,
}, async () => {
  const python = named("Python http.server");
  const chains: Record<string, Command> = {
    "a shell that forks": (...at) => ["sh", "-c", 'exec 3>&1; "$@"; echo over', "sh", ...python(...at)],
    "env -i": (dir, host, port) => [
      "env",
      "-i",
      execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim(),
      ...python(dir, host, port).slice(1),
    ],
    "another preload": (...at) => ["sh", "-c", 'LD_PRELOAD= exec "$@"', "sh", ...python(...at)],
    "Python subprocess": (...at) => [
      "python3",
      "-c",
      "import subprocess, sys; subprocess.run(sys.argv[1:], close_fds=True)",
      ...python(...at),
    ],
    "Python posix_spawn": (...at) => [
      "python3",
      "-c",
      "import os, shutil, sys; os.waitpid(os.posix_spawn(shutil.which(sys.argv[1]), sys.argv[1:], {'PATH': os.environ['PATH'], 'HOME': os.environ['HOME']}), 0)",
      ...python(...at),
    ],
    "Node spawn": (...at) => [
      "node",
      "-e",
      "require('node:child_process').spawn(process.argv[1], process.argv.slice(2), { stdio: 'inherit' })",
      ...python(...at),
    ],
    "perl exec": (...at) => ["perl", "-e", "exec @ARGV", ...python(...at)],
    "musl to glibc": (...at) =>
      noMusl
        ? python(...at)
        : [
            compiled(
              "exec",
              "#include <unistd.h>\nint main(int c, char **v) { return c && execlp(v[1], v[1], v[2], v[3], v[4], v[5], (char *)0); }\n",
              "musl-gcc",
            ),
            ...python(...at),
          ],
  };
  for (const [name, command] of Object.entries(chains)) {
    await answers(command).catch((error: Error) => assert.fail(`${name}: ${error.message}`));
  }
});

test("a program that is told not to adopt is refused the address", { skip: noPython }, async () => {
  const port = await freePort();
  const { server, said } = await bound(
    `t: { tcp: "127.0.0.1:${port}", passAs: adopt }`,
    () => [["AF_INET", "SOCK_STREAM", "127.0.0.1", port]],
    { wrap: ["env", "PINGORA_ENTRY_ADOPT="] },
  );
  await using _ = server;
  assert.deepEqual(said, ["Address already in use"]);
});

const unixServer = script(
  "unix_server.py",
  `import os, socket, sys
path = sys.argv[1]
if os.path.exists(path): os.unlink(path)
s = socket.socket(socket.AF_UNIX)
s.bind(path); s.listen(1)
for i in range(2):
    c, _ = s.accept(); c.recv(9999); c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n%d" % os.getpid()); c.close()
s.close()
for remove in (os.unlink, os.remove, lambda p: os.unlink(os.path.basename(p), dir_fd=os.open(os.path.dirname(p), os.O_RDONLY))): remove(path)
os.chdir(os.path.dirname(path)); os.unlink(os.path.basename(path))
other = path + ".other"; open(other, "w").close(); os.unlink(other); assert not os.path.exists(other)
open(path + ".done", "w").close()
import time; time.sleep(1000)
`,
);

test("a unix path of a listener stays when the program removes it before bind and at its end", {
  skip: noPython,
}, async () => {
  const server = startServer(
    `listeners: { s: { unix: "{{dir}}/app.sock", passAs: adopt } }
services: { a: { command: [python3, ${unixServer}, "{{dir}}/app.sock"], listeners: [s] } }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`,
    { env: home },
  );
  await using _ = server;
  const path = join(server.dir, "app.sock");
  await eventually(() => existsSync(path));
  const { ino } = statSync(path);
  const answered = [await ask({ path }).answer, await ask({ path }).answer];
  assert.equal(answered[0], answered[1]);
  await eventually(() => existsSync(`${path}.done`), { what: "the program has removed it" }).catch((error: Error) =>
    assert.fail(`${error.message}\n${server.stderr}`),
  );
  assert.equal(statSync(path).ino, ino);
  assert.equal(dirname(path), server.dir);
});

const udpServer = script(
  "udp_server.py",
  `import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", int(sys.argv[1])))
while True:
    text, client = s.recvfrom(999)
    assert len(client) == 2, client
    while text == b"slow" and os.path.exists(sys.argv[2]): time.sleep(0.01)
    s.sendto(b"%s %d" % (text, os.getpid()), client)
`,
);

test("a UDP program answers from the listener's address, also what it got before it was drained", {
  skip: noPython,
}, async () => {
  const port = await freePort();
  const server = startServer(
    `listeners: { u: { udp: "[::]:${port}", passAs: adopt } }
services: { a: { command: [python3, ${udpServer}, "${port}", "{{dir}}/hold"], listeners: [u] } }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`,
    { env: home, before: (dir) => writeFileSync(join(dir, "hold"), "") },
  );
  await using _ = server;
  const client = createSocket("udp4");
  const got: string[] = [];
  client.on("message", (text, { port: from }) => got.push(`${text} ${from}`));
  client.on("error", () => {});
  await new Promise<void>((done) => client.connect(port, "127.0.0.1", done));
  const pid = await pidOf({ server, port });
  await eventually(() => {
    client.send("hello");
    return got.length > 0;
  }).catch((error: Error) => assert.fail(`${error.message}\n${server.stderr}`));
  assert.equal(got[0], `hello ${pid} ${port}`);
  client.send("slow");
  const received = () =>
    readFileSync("/proc/net/udp6", "utf8")
      .split("\n")
      .find((line) => line.includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} `))
      ?.trim()
      .split(/\s+/)[4]
      ?.split(":")[1];
  await eventually(() => received() === "00000000", { what: "it has taken everything" });
  kill(pid, "SIGURG");
  const inode =
    /socket:\[(\d+)\]/.exec(execFileSync("readlink", [`/proc/${pid}/fd/230`], { encoding: "utf8" }))?.[1] ?? "";
  await eventually(() => holding([pid], inode) === 1, { what: "it keeps the socket for its answers only" });
  execFileSync("rm", [join(server.dir, "hold")]);
  await eventually(() => got.some((text) => text === `slow ${pid} ${port}`), { what: "the slow answer" });
  const count = got.length;
  client.send("late");
  await eventually(() => received() !== "00000000", { what: "it waits in the queue" });
  assert.equal(got.length, count);
  client.close();
});

test("each instance of a service adopts the listener, beside one that it is told of", { skip: noPython }, async () => {
  const [port, told] = [await freePort(), await freePort()];
  const argv = JSON.stringify(named("Node")("{{dir}}", "127.0.0.1", port));
  await using server =
    startServer(`listeners: { http: { tcp: "127.0.0.1:${port}", passAs: adopt }, told: { tcp: "127.0.0.1:${told}" } }
services: { a: { command: ${argv}, listeners: [http, told], instances: 3 } }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`);
  await server.phase("Running");
  const seen = new Set<string>();
  await eventually(async () => {
    for (const answer of await Promise.all(Array.from({ length: 12 }, () => ask({ port }).answer))) seen.add(answer);
    return seen.size === 3;
  });
  const [first = ""] = seen;
  const environment = readFileSync(`/proc/${first}/environ`, "utf8").split("\0");
  for (const variable of [
    "LISTEN_FDS=1",
    "LISTEN_FDNAMES=told",
    `PINGORA_ENTRY_ADOPT=230:inet:stream:127.0.0.1:${port}`,
  ])
    assert.ok(environment.includes(variable), variable);
});

test("a program that blocks and one that does not share a listener", { skip: noPython }, async () => {
  const stage = await serve([named("C with cc"), named("Node"), named("Python http.server")]);
  await using server = stage.server;
  const pids = [await pidOf(stage, "a"), await pidOf(stage, "b"), await pidOf(stage, "c")];
  const inode = inodeAt(stage.port);
  await eventually(() => pids.every((pid) => hasBound(treeOf(pid), inode)), { what: "all have bound" });
  const seen = new Set<number>();
  await eventually(
    async () => {
      const all = await Promise.all(Array.from({ length: 12 }, () => ask(stage).answer));
      for (const answer of all) seen.add(pids.findIndex((pid) => treeOf(pid).includes(Number(answer))));
      return seen.size === 3;
    },
    { what: "each answers" },
  ).catch((error: Error) => assert.fail(`${error.message} ${[...seen]}\n${server.stderr}`));
  assert.ok(!seen.has(-1));
});
