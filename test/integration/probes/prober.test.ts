import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createProber } from "../../../src/adapters/probes/prober.js";
import type { ProbeAction } from "../../../src/core/plan.js";
import type { ProbeResult } from "../../../src/runtime/ports.js";
import { eventually, openDescriptors } from "../eventually.js";
import { SpawningInit } from "./spawning-init.js";

const init = new SpawningInit();
const prober = createProber({ init, exits: init, version: "1.2.3" });
const folder = mkdtempSync(join(tmpdir(), "probes-"));
after(() => rmSync(folder, { recursive: true }));
let serial = 0;

function ask(action: ProbeAction, timeoutMs = 5_000, signal = new AbortController().signal): Promise<ProbeResult> {
  serial += 1;
  const context = { id: `probe/${serial}`, env: [`PATH=${process.env.PATH}`], cwd: folder };
  return prober.ask(action, context, timeoutMs, signal);
}

const ok: ProbeResult = { ok: true };
const no = (reason: string, output?: string): ProbeResult => ({
  ok: false,
  reason,
  ...(output === undefined ? {} : { output }),
});

async function listening(server: Server, path?: string): Promise<number> {
  await new Promise<void>((resolve) =>
    path === undefined ? server.listen(0, "127.0.0.1", resolve) : server.listen(path, resolve),
  );
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs `body` and then waits until every descriptor that it opened in this process is closed again. */
async function withoutLeak(body: () => Promise<void>): Promise<void> {
  // what Node opens for itself at a first use is no leak
  await body();
  const before = openDescriptors();
  await body();
  await eventually(() => openDescriptors() <= before);
}

describe("tcpSocket and unixSocket", () => {
  test("ask passes when the port accepts, and the service sees no reset although its greeting was not answered", async () => {
    const ends: string[] = [];
    const server = createServer((socket: Socket) => {
      socket.write("220 hello\r\n".repeat(1000));
      socket.on("error", (error: NodeJS.ErrnoException) => ends.push(error.code ?? "error"));
      socket.on("end", () => ends.push("end"));
      socket.end();
    });
    const port = await listening(server);
    await withoutLeak(async () => {
      assert.deepEqual(await ask({ kind: "tcpSocket", host: "127.0.0.1", port }), ok);
      await eventually(() => ends.length > 0);
    });
    assert.deepEqual([...new Set(ends)], ["end"]);
    server.close();
  });

  test("ask closes the connection within a second when the service keeps its side open", async () => {
    const server = createServer({ allowHalfOpen: true }, () => {});
    const port = await listening(server);
    await withoutLeak(async () => {
      assert.deepEqual(await ask({ kind: "tcpSocket", host: "localhost", port }), ok);
    });
    server.close();
    server.unref();
  });

  test("ask says what refused when nothing listens", async () => {
    const port = await closedPort();
    await withoutLeak(async () => {
      assert.deepEqual(
        await ask({ kind: "tcpSocket", host: "127.0.0.1", port }),
        no(`connection refused on 127.0.0.1:${port}`),
      );
    });
    assert.deepEqual(await ask({ kind: "tcpSocket", host: "::1", port }), no(`connection refused on [::1]:${port}`));
    assert.deepEqual(
      await ask({ kind: "tcpSocket", host: "no-such-host.invalid", port: 1 }),
      no("cannot resolve the host of no-such-host.invalid:1"),
    );
  });

  test("ask passes or names the path when the socket is a unix socket", async () => {
    const path = join(folder, "a.sock");
    assert.deepEqual(await ask({ kind: "unixSocket", path }), no(`no socket at ${path}`));
    writeFileSync(path, "");
    assert.deepEqual(await ask({ kind: "unixSocket", path }), no(`connection refused on ${path}`));
    rmSync(path);
    const server = createServer((socket) => socket.end());
    await listening(server, path);
    await withoutLeak(async () => assert.deepEqual(await ask({ kind: "unixSocket", path }), ok));
    server.close();
  });
});

describe("httpGet", () => {
  const get = (port: number, more: Partial<Extract<ProbeAction, { kind: "httpGet" }>> = {}): ProbeAction => ({
    kind: "httpGet",
    scheme: "http",
    host: "127.0.0.1",
    port,
    path: "/healthz",
    headers: [],
    ...more,
  });
  const serve = async (listener: RequestListener, body: (port: number) => Promise<void>): Promise<void> => {
    const server = createHttpServer(listener);
    const port = await listening(server);
    try {
      await withoutLeak(() => body(port));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  test("ask passes from 200 to 399 and fails with the status otherwise", async () => {
    await serve(
      (request, response) => {
        response.writeHead(Number(request.url?.slice(1)));
        response.end("x");
      },
      async (port) => {
        for (const status of [200, 204, 301, 304, 399])
          assert.deepEqual(await ask(get(port, { path: `/${status}` })), ok, `${status}`);
        for (const status of [400, 401, 404, 500, 503])
          assert.deepEqual(await ask(get(port, { path: `/${status}` })), no(`HTTP ${status}`));
      },
    );
  });

  test("ask sends path, query, User-Agent and the configured headers, and asks for no second request on the connection", async () => {
    const seen: IncomingMessage[] = [];
    await serve(
      (request, response) => {
        seen.push(request);
        response.end();
      },
      async (port) => {
        const headers = [
          { name: "Host", value: "shop.example" },
          { name: "X-Two", value: "a" },
          { name: "X-Two", value: "b" },
        ];
        assert.deepEqual(await ask(get(port, { path: "//deep/x?y=1", headers })), ok);
        assert.deepEqual(await ask(get(port, { headers: [{ name: "User-Agent", value: "" }] })), ok);
      },
    );
    const [first, second] = seen;
    assert.equal(first?.url, "//deep/x?y=1");
    assert.equal(first?.headers.host, "shop.example");
    assert.equal(first?.headers["user-agent"], "pingora-entry-probe/1.2.3");
    assert.equal(first?.headers["x-two"], "a, b");
    assert.equal(first?.headers.connection, "close");
    assert.equal(second?.headers["user-agent"], undefined);
  });

  test("ask follows redirects on the same host, up to ten, and passes when one leads to another", async () => {
    await serve(
      (request, response) => {
        const { url = "" } = request;
        const to: Record<string, string> = {
          "/a": "/b",
          "/b": "/broken",
          "/loop": "/loop",
          "/away": "http://elsewhere.example/",
        };
        if (url === "/broken") response.writeHead(500);
        else response.writeHead(302, { location: to[url] ?? "/" });
        response.end();
      },
      async (port) => {
        assert.deepEqual(await ask(get(port, { path: "/a" })), no("HTTP 500"));
        assert.deepEqual(await ask(get(port, { path: "/away" })), ok);
        assert.deepEqual(await ask(get(port, { path: "/loop" })), no("more than 10 redirects, the last to /loop"));
      },
    );
  });

  test("ask reads at most 10 KiB when the answer never ends", async () => {
    await serve(
      (_request, response) => {
        const more = (): void => {
          while (response.write(Buffer.alloc(4096)) && !response.destroyed);
        };
        response.on("drain", more);
        more();
      },
      async (port) => assert.deepEqual(await ask(get(port)), ok),
    );
  });

  test("ask fails at the timeout when the service accepts and says nothing, or stops in the middle", async () => {
    await serve(
      (request, response) => {
        if (request.url === "/half") response.write("x");
      },
      async (port) => {
        assert.deepEqual(await ask(get(port), 100), no("no answer within 0.1 s"));
        assert.deepEqual(await ask(get(port, { path: "/half" }), 100), no("no answer within 0.1 s"));
      },
    );
  });

  test("ask says what went wrong when the other side does not speak HTTP, or hangs up", async () => {
    const server = createServer((socket) =>
      socket.once("data", (data) => socket.end(data.includes("GET /hang") ? "" : "SSH-2.0-x\r\n\r\n")),
    );
    const port = await listening(server);
    await withoutLeak(async () => {
      assert.deepEqual(await ask(get(port)), no(`127.0.0.1:${port} does not speak HTTP`));
      assert.deepEqual(
        await ask(get(port, { path: "/hang" })),
        no(`127.0.0.1:${port} closed the connection without an answer`),
      );
      assert.deepEqual(await ask(get(port, { scheme: "https" })), no(`127.0.0.1:${port} does not speak TLS`));
    });
    server.close();
    const gone = await closedPort();
    assert.deepEqual(await ask(get(gone)), no(`connection refused on 127.0.0.1:${gone}`));
  });

  test("ask passes over a unix socket", async () => {
    const path = join(folder, "http.sock");
    const server = createHttpServer((request, response) =>
      response.writeHead(request.url === "/healthz" ? 200 : 404).end(),
    );
    await listening(server, path);
    await withoutLeak(async () => assert.deepEqual(await ask(get(80, { socketPath: path, host: "localhost" })), ok));
    server.close();
    assert.deepEqual(
      await ask(get(80, { socketPath: join(folder, "none") })),
      no(`no socket at ${join(folder, "none")}`),
    );
  });

  test("ask passes over https when nobody vouches for the certificate", async () => {
    const [key, cert] = [join(folder, "key"), join(folder, "cert")];
    const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -out ${cert} -subj /CN=nobody -days 1`;
    execFileSync("openssl", words.split(" "), { stdio: "ignore" });
    const server = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) =>
      response.end("fine"),
    );
    const port = await listening(server);
    await withoutLeak(async () => assert.deepEqual(await ask(get(port, { scheme: "https" })), ok));
    server.close();
  });
});

describe("exec", () => {
  const sh = (script: string): ProbeAction => ({ kind: "exec", command: ["sh", "-c", script] });

  test("ask passes when the command exits with 0, and tells code and last line when it does not", async () => {
    await withoutLeak(async () => {
      assert.deepEqual(await ask(sh("echo fine")), ok);
      assert.deepEqual(await ask(sh("echo one; echo two >&2; echo; exit 3")), no("exit code 3", "two"));
      assert.deepEqual(await ask(sh("exit 1")), no("exit code 1"));
      assert.deepEqual(await ask(sh("kill -9 $$")), no("died of SIGKILL"));
    });
  });

  test("ask remembers only the end of what floods, and the command does not block on it", async () => {
    await withoutLeak(async () => {
      assert.deepEqual(await ask(sh("head -c 1000000 /dev/zero; echo; echo last; exit 1")), no("exit code 1", "last"));
    });
  });

  test("ask says so when the command cannot be run", async () => {
    await withoutLeak(async () => {
      assert.deepEqual(
        await ask({ kind: "exec", command: ["/no/such/thing"] }),
        no('cannot run "/no/such/thing": not found'),
      );
    });
  });

  test("ask kills the whole tree at the timeout", async () => {
    const marks = [join(folder, "m1"), join(folder, "m2")];
    const script = `sleep 60 & echo $! > ${marks[0]}; echo $$ > ${marks[1]}; wait`;
    await withoutLeak(async () => {
      const started = performance.now();
      assert.deepEqual(await ask(sh(script), 300), no("still running after 0.3 s"));
      assert.ok(performance.now() - started < 600);
      for (const mark of marks) {
        const pid = readFileSync(mark, "utf8").trim();
        await eventually(
          () => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "),
        );
      }
    });
  });

  test("ask kills what the command leaves behind on its output", async () => {
    const mark = join(folder, "left");
    assert.deepEqual(await ask(sh(`sleep 60 & echo $! > ${mark}`)), ok);
    const pid = readFileSync(mark, "utf8").trim();
    await eventually(() => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
  });

  test("ask ends the command when nobody is interested any more, and every process id is given back", async () => {
    await withoutLeak(async () => {
      const interest = new AbortController();
      const answer = ask(sh("sleep 60"), 10_000, interest.signal);
      setTimeout(() => interest.abort(), 20);
      assert.deepEqual(await answer, no("no longer asked"));
    });
    await eventually(() => init.waiting === 0);
    await eventually(() => assert.ok(init.forgotten.includes(`probe/${serial}`)));
  });
});

describe("file, and every kind", () => {
  test("ask passes when the file exists", async () => {
    const path = join(folder, "ready");
    assert.deepEqual(await ask({ kind: "file", path }), no(`${path} does not exist`));
    writeFileSync(path, "");
    assert.deepEqual(await ask({ kind: "file", path }), ok);
    assert.deepEqual(await ask({ kind: "file", path: `${path}/x` }), no(`${path}/x does not exist`));
  });

  test("ask answers at once and opens nothing when it was given up before", async () => {
    const actions: ProbeAction[] = [
      { kind: "tcpSocket", host: "127.0.0.1", port: 1 },
      { kind: "exec", command: ["true"] },
      { kind: "file", path: "/" },
    ];
    const before = openDescriptors();
    for (const action of actions) assert.deepEqual(await ask(action, 1000, AbortSignal.abort()), no("no longer asked"));
    assert.equal(openDescriptors(), before);
  });

  test("ask leaves no timer behind", async () => {
    await ask({ kind: "file", path: "/" }, 60_000);
    await ask({ kind: "exec", command: ["true"] }, 60_000);
    const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout");
    assert.deepEqual(timers, []);
  });

  test("ask refuses what a service has to say itself", async () => {
    assert.deepEqual(await ask({ kind: "notify" }), no("a notify probe is told, not asked"));
  });
});

test("ask speaks over the connection that the asked process has accepted, and over no other", async () => {
  const connections: (number | undefined)[] = [];
  const asked: (number | undefined)[] = [];
  const server = createHttpServer((request, response) => {
    asked.push(request.socket.remotePort);
    response.end();
  });
  server.on("connection", (socket) => connections.push(socket.remotePort));
  const port = await listening(server);
  const accepted: number[] = [];
  let turns = 0;
  const choosy = createProber({
    init,
    exits: init,
    version: "1",
    acceptors: (ends, pids) => {
      assert.deepEqual(pids, [42, 43]);
      turns += 1;
      const last = ends.at(-1);
      if (turns < 3 || last?.kind !== "tcp") return ends.map(() => "other");
      accepted.push(last.localPort);
      return ends.map((end) => (end === last ? "mine" : "other"));
    },
  });
  const action = { kind: "httpGet", scheme: "http", host: "127.0.0.1", port, path: "/", headers: [] } as const;
  const context = { id: "probe/accepted", env: [], acceptedBy: [42, 43] };
  assert.deepEqual(await choosy.ask(action, context, 5_000, new AbortController().signal), ok);
  assert.deepEqual(asked, accepted);
  assert.ok(connections.length > 1);
  server.close();
});
