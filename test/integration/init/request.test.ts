import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { native } from "../../../src/adapters/native/addon.js";
import { healthcheckCommand, phaseCommand, prestopCommand } from "../../../src/cli/native-commands.js";
import { binary, cleanEnv, eventually, folder, missingBinary, run, sweep } from "./stage.js";

const skip = missingBinary;
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
  sweep();
});

async function listening(server: Server): Promise<string> {
  const path = join(folder(), "control.sock");
  servers.push(server);
  await new Promise<void>((done) => server.listen(path, done));
  return path;
}

const http = (answer: (request: IncomingMessage, response: ServerResponse) => void) => listening(createHttp(answer));
/** A server that says exactly these bytes, piece by piece. */
const raw = (pieces: readonly string[], after: (socket: Socket) => void = (socket) => socket.end()) =>
  listening(
    createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        for (const piece of pieces) socket.write(piece);
        after(socket);
      });
    }),
  );

async function ask(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const running = run(args, { env });
  const { code } = await running.ended;
  return { code, out: running.out(), err: running.err() };
}

test("each subcommand asks for its path and prints the body", { skip }, async () => {
  const asked: string[] = [];
  const path = await http((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.end(`said to ${request.url}\n`);
  });
  for (const args of [
    ["healthcheck"],
    ["healthcheck", "--live"],
    ["healthcheck", "--ready"],
    ["healthcheck", "--startup"],
    ["prestop"],
    ["phase"],
  ]) {
    const { code, out, err } = await ask([...args, "--socket", path]);
    assert.deepEqual([code, err], [0, ""]);
    assert.equal(out, `said to ${asked.at(-1)?.split(" ")[1]}\n`);
  }
  assert.deepEqual(asked, [
    "GET /readyz",
    "GET /livez",
    "GET /readyz",
    "GET /startupz",
    "POST /prestop",
    "GET /v1/phase",
  ]);
});

test("the socket comes from --socket, else from the environment", { skip }, async () => {
  const path = await http((_, response) => response.end("here"));
  assert.equal((await ask(["phase"], { PINGORA_ENTRY_ADMIN_SOCKET: path })).out, "here");
  assert.equal((await ask(["phase", `--socket=${path}`], { PINGORA_ENTRY_ADMIN_SOCKET: "/nowhere" })).out, "here");
});

test("a status other than 2xx is exit code 1, with the body", { skip }, async () => {
  for (const [status, code] of [
    [200, 0],
    [204, 0],
    [299, 0],
    [301, 1],
    [404, 1],
    [503, 1],
  ] as const) {
    const path = await http((_, response) => {
      response.statusCode = status;
      response.end(status === 204 ? undefined : "reason");
    });
    const answer = await ask(["healthcheck", "--socket", path]);
    assert.equal(answer.code, code, String(status));
    assert.equal(answer.out, status === 204 ? "" : "reason");
  }
});

test("bodies with a length, in chunks and up to the end are read, in any pieces", { skip }, async () => {
  const bytes = ["HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n\r\nhello", "ignored"];
  const cases: [string[], string][] = [
    [bytes, "hello"],
    [[...bytes.join("")], "hello"],
    [
      [..."HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"],
      "hello!",
    ],
    [["HTTP/1.0 200 OK\r\n\r\nup to ", "the end"], "up to the end"],
    [
      [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      ],
      "ok",
    ],
    [[`HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(5000)}\r\nContent-Length: 2\r\n\r\nok`], "ok"],
  ];
  for (const [pieces, body] of cases) {
    const answer = await ask(["phase", "--socket", await raw(pieces)]);
    assert.deepEqual([answer.code, answer.out], [0, body]);
  }
});

test("no proper answer is exit code 69 and says why", { skip }, async () => {
  const silent = await raw([], () => {});
  const cases: [string[], RegExp][] = [
    [
      ["--socket", "/nonexistent/control.sock"],
      /cannot connect to \/nonexistent\/control\.sock: No such file.*is pingora-entry running/,
    ],
    [["--socket", `/${"x".repeat(200)}`], /longer than 107 bytes/],
    [["--socket", await raw(["nonsense\r\n\r\n"])], /not HTTP/],
    [["--socket", await raw(["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"])], /incomplete/],
    [["--socket", await raw(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])], /not HTTP/],
    [["--socket", await raw(["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"])], /not HTTP/],
    [["--socket", await raw([])], /incomplete/],
    [["--socket", silent, "--timeout", "0.2"], /no answer on .* within 200 ms/],
  ];
  for (const [args, text] of cases) {
    const { code, err } = await ask(["phase", ...args]);
    assert.equal(code, 69, args.join(" "));
    assert.match(err, text);
  }
  const began = performance.now();
  assert.equal((await ask(["healthcheck", "--socket", silent])).code, 69);
  assert.ok(performance.now() - began >= 1000, "one second unless told otherwise");
});

/** A server that resets each connection once it has heard something; the accepted socket is closed with bytes unread. */
const resetting = () =>
  listening(
    createServer({ pauseOnConnect: true }, (socket) => {
      socket.on("error", () => {});
      setTimeout(() => socket.destroy(), 20);
    }),
  );

test("a connection that is reset is exit code 69 and says so", { skip }, async () => {
  for (const command of ["phase", "healthcheck", "prestop"]) {
    const { code, err } = await ask([command, "--socket", await resetting()]);
    assert.equal(code, 69, command);
    assert.match(err, new RegExp(`^pingora-entry: ${command}: the connection to .* broke off: [A-Z].*\\n$`));
  }
});

test("prestop asks again when the connection breaks off, the others do not", { skip }, async () => {
  for (const command of ["prestop", "phase"]) {
    let asked = 0;
    const path = await http((request, response) => {
      if (++asked < 4) request.socket.destroy();
      else response.end("drained");
    });
    const { code, out } = await ask([command, "--socket", path]);
    assert.deepEqual([code, out, asked], command === "prestop" ? [0, "drained", 4] : [69, "", 1]);
  }
});

test("prestop that is broken off again and again gives up, and within its time", { skip }, async () => {
  let asked = 0;
  const path = await http((request) => {
    asked++;
    request.socket.destroy();
  });
  const forever = await ask(["prestop", "--socket", path]);
  assert.deepEqual([forever.code, asked], [69, 10]);
  asked = 0;
  const { code, err } = await ask(["prestop", "--socket", path, "--timeout", "0.25"]);
  assert.equal(code, 69);
  assert.match(err, /broke off|no answer/);
  assert.ok(asked >= 1 && asked <= 4, `${asked}`);
});

test("prestop says that nobody is there when its server is gone for good", { skip }, async () => {
  const path = await http((request) => {
    servers.at(-1)?.close();
    request.socket.destroy();
  });
  const { code, err } = await ask(["prestop", "--socket", path]);
  assert.equal(code, 69);
  assert.match(err, /cannot connect to .*is pingora-entry running/);
});

test("an output that cannot be written is exit code 71 and says why", { skip }, async () => {
  const path = await http((_, response) => response.end("a body"));
  for (const args of ["phase --socket $1", "healthcheck --socket $1", "prestop --socket $1", "phase --help"]) {
    const running = run(["-c", `"$0" ${args} > /dev/full`, binary, path], { program: "sh" });
    assert.equal((await running.ended).code, 71, args);
    assert.match(running.err(), /^pingora-entry: cannot write the output: No space left on device\n$/);
  }
});

test("--verbose may stand before the subcommand", { skip }, async () => {
  const path = await http((_, response) => response.end("here"));
  assert.deepEqual(await ask(["--verbose", "phase", "--socket", path]), { code: 0, out: "here", err: "" });
});

test("prestop waits as long as it takes", { skip }, async () => {
  const path = await http((_, response) => setTimeout(() => response.end("drained"), 1300));
  const { code, out } = await ask(["prestop", "--socket", path]);
  assert.deepEqual([code, out], [0, "drained"]);
});

test("a wrong command line is exit code 64", { skip }, async () => {
  for (const args of [
    ["healthcheck", "--dead"],
    ["phase", "--live"],
    ["phase", "now"],
    ["phase", "--timeout"],
    ["phase", "--timeout", "soon"],
    ["prestop", "--socket"],
    ["healthcheck", "--live", "--ready"],
    ["healthcheck", "--startup", "--live"],
  ]) {
    const { code, err } = await ask(args);
    assert.equal(code, 64, args.join(" "));
    assert.equal(err.split("\n").length, 2);
  }
});

test("--help prints what help COMMAND does, at most 80 columns wide", { skip }, async () => {
  for (const { name, usage } of [prestopCommand, healthcheckCommand, phaseCommand]) {
    for (const option of ["--help", "-h"]) {
      const { code, out } = await ask([name, option]);
      assert.deepEqual([code, out], [0, usage]);
    }
    for (const line of usage.split("\n")) assert.ok(line.length <= 80, line);
  }
});

test("the time limit holds when nobody reads the output", { skip }, async () => {
  const path = await http((_, response) => response.end("x".repeat(300_000)));
  const [read, write] = native().pipe();
  try {
    for (const command of ["phase", "healthcheck"]) {
      const child = spawn(binary, [command, "--socket", path, "--timeout", "0.3"], {
        env: cleanEnv(),
        stdio: ["ignore", write, "pipe"],
      });
      let err = "";
      child.stderr?.on("data", (text) => {
        err += text;
      });
      const began = performance.now();
      const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
      const [code] = await once(child, "close");
      clearTimeout(late);
      assert.equal(code, 69, err);
      assert.match(err, /nobody has read the output within 300 ms/);
      assert.ok(performance.now() - began > 250);
    }
  } finally {
    for (const fd of [read, write]) native().close(fd);
  }
});

test("a closed output is nobody's socket", { skip }, async () => {
  const heard: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\na body\n"));
    socket.on("data", (more) => {
      text += more;
    });
    socket.on("end", () => heard.push(text) && socket.end());
  });
  const path = await listening(server);
  for (const closed of [">&-", "2>&-", "<&-", "<&- >&- 2>&-"]) {
    const running = run(["-c", `"$0" healthcheck --socket "$1" ${closed}`, binary, path], { program: "sh" });
    assert.deepEqual(await running.ended, { code: 0, signal: null }, closed);
  }
  await eventually(() => heard.length === 4, "all have ended");
  assert.deepEqual(
    heard.filter((text) => text.includes("a body")),
    [],
  );
});

test("TERM ends a hook that waits", { skip }, async () => {
  const path = await raw([], () => {});
  const running = run(["prestop", "--socket", path]);
  await new Promise<void>((done) => servers.at(-1)?.once("connection", () => done()));
  await running.kill("SIGTERM");
  assert.deepEqual(await running.ended, { code: null, signal: "SIGTERM" });
});
