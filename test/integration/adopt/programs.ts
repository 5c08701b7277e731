import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Command } from "./served.js";

/** Servers as they are found: none knows of pingora-entry, each binds an address itself. */
export interface ServerProgram {
  readonly name: string;
  /** what has to be in PATH; the test is left out where it is not */
  readonly needs: string;
  /** binds host:port itself and answers HTTP with a pid of its own */
  readonly command: Command;
  /** of the service's environment, and the signal that it is drained by: for what has another use of ours */
  readonly drainedBy?: number;
  /** set for what it is when it has executed itself anew: a signal that comes before the library is there again ends it */
  readonly settledWith?: string;
  /** it answers `/slow` only when the file `hold` in its folder is gone */
  readonly slow: boolean;
}

const folder = mkdtempSync(join(tmpdir(), "pingora-entry-programs-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

export function inPath(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((place) => existsSync(join(place, program)));
}

/** Compiles once per run; `compiler` may be musl-gcc. */
export function compiled(name: string, source: string, compiler = process.env.CC ?? "cc", ...flags: string[]): string {
  const output = join(folder, `${name}-${compiler.replaceAll("/", "_")}${flags.join("")}`);
  if (!existsSync(output)) execFileSync(compiler, ["-O1", "-o", output, file(`${name}.c`, source), ...flags]);
  return output;
}

const python = (text: string) => `
import os, sys, time
host, port, hold = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def wait():
    while os.path.exists(hold): time.sleep(0.01)
${text}`;

const handler = `
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow": wait()
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
`;

const httpServer = file(
  "http_server.py",
  python(`import http.server\n${handler}http.server.HTTPServer((host, port), Handler).serve_forever()\n`),
);

const threading = file(
  "threading_server.py",
  python(`import http.server\n${handler}http.server.ThreadingHTTPServer((host, port), Handler).serve_forever()\n`),
);

const asyncio = file(
  "asyncio_server.py",
  `
import asyncio, os, sys
host, port, hold = sys.argv[1], int(sys.argv[2]), sys.argv[3]
async def serve(reader, writer):
    request = await reader.readuntil(b"\\r\\n\\r\\n")
    while b" /slow " in request and os.path.exists(hold): await asyncio.sleep(0.01)
    body = str(os.getpid()).encode()
    writer.write(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, host, port)
    await server.serve_forever()
asyncio.run(main())
`,
);

const perl = file(
  "server.pl",
  `use IO::Socket::INET;
my ($host, $port, $hold) = @ARGV;
my $server = IO::Socket::INET->new(LocalAddr => $host, LocalPort => $port, Listen => 5, ReuseAddr => 1, Proto => "tcp") or die "bind: $@";
while (my $client = $server->accept) {
  my $peer = $client->peerhost;
  my $first = <$client>;
  while (<$client>) { last if /^\\r?\\n$/ }
  select(undef, undef, undef, 0.01) while $first =~ m{ /slow } and -e $hold;
  print $client "HTTP/1.0 200 OK\\r\\n\\r\\n$$";
  close $client;
}
die "accept: $!";
`,
);

const node = file(
  "server.cjs",
  `const { existsSync } = require("node:fs");
const [host, port, hold] = process.argv.slice(2);
require("node:http").createServer((request, response) => {
  const answer = () => request.url === "/slow" && existsSync(hold) ? setTimeout(answer, 10) : response.end(String(process.pid));
  answer();
}).listen(Number(port), host);
`,
);

const java = `import java.io.*; import java.net.*; import java.nio.file.*; import java.util.concurrent.*;
public class Server {
  static void hold(String path, String file) throws Exception { while (path.equals("/slow") && Files.exists(Path.of(file))) Thread.sleep(10); }
  public static void main(String[] a) throws Exception {
    InetSocketAddress at = new InetSocketAddress(a[0], Integer.parseInt(a[1]));
    String pid = String.valueOf(ProcessHandle.current().pid());
    if (a[3].equals("HttpServer")) {
      var server = com.sun.net.httpserver.HttpServer.create(at, 0);
      server.setExecutor(Executors.newCachedThreadPool());
      server.createContext("/", exchange -> {
        try { hold(exchange.getRequestURI().getPath(), a[2]); } catch (Exception e) { throw new IOException(e); }
        exchange.sendResponseHeaders(200, pid.length());
        exchange.getResponseBody().write(pid.getBytes());
        exchange.close();
      });
      server.start();
      return;
    }
    ServerSocket server = new ServerSocket();
    server.setReuseAddress(true);
    server.bind(at, 50);
    for (;;) {
      Socket client = server.accept();
      new Thread(() -> {
        try (client) {
          String first = new BufferedReader(new InputStreamReader(client.getInputStream())).readLine();
          hold(first.split(" ")[1], a[2]);
          client.getOutputStream().write(("HTTP/1.0 200 OK\\r\\n\\r\\n" + pid).getBytes());
        } catch (Exception e) { e.printStackTrace(); }
      }).start();
    }
  }
}
`;

/** Compiled when it is first needed: a start of the compiler takes a second. */
function javaClasses(): string {
  const classes = join(folder, "java");
  if (!existsSync(join(classes, "Server.class"))) {
    mkdirSync(classes, { recursive: true });
    execFileSync("javac", ["-d", classes, file("Server.java", java)]);
  }
  return classes;
}

file(
  "app.py",
  `import os, time
hold = os.environ["HOLD"]
def app(environ, start):
    while environ["PATH_INFO"] == "/slow" and os.path.exists(hold): time.sleep(0.01)
    body = str(os.getpid()).encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`,
);

/** Paths in it are below nginx's -p. */
function nginxConfiguration(host: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  return file(
    `nginx-${port}.conf`,
    `daemon off; pid nginx.pid; error_log stderr; worker_processes 2; ${process.getuid?.() === 0 ? "user root;" : ""}
events {}
http { access_log off; ${temporary.join(" ")}
  server { listen ${host}:${port}; location / { return 200 "$pid"; } } }
`,
  );
}

function haproxyConfiguration(host: string, port: number): string {
  return file(
    `haproxy-${port}.cfg`,
    `global
  nbthread 2
defaults
  mode http
  timeout client 5s
frontend all
  bind ${host}:${port}
  http-request return status 200 content-type text/plain lf-string "%pid"
`,
  );
}

/** In C, for both libcs: closes all numbers first, as daemons do; blocking sockets; binds, closes and binds again; one process for each connection. */
export const daemonSource = `#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* musl 1.2.3 has none: it is the library's */
int close_range(unsigned, unsigned, int) __attribute__((weak));
static int bound(const char *host, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, host, &a.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, (void *)&a, sizeof a) < 0 || listen(fd, 1) < 0) { perror("bind"); exit(1); }
    return fd;
}
int main(int argc, char **argv)
{
    const char *how = argv[4];
    if (strcmp(how, "loop") == 0) for (int fd = 3; fd < 4096; fd++) close(fd);
    if (strcmp(how, "close_range") == 0) close_range(3, ~0u, 0);
    if (strcmp(how, "again") == 0) for (int i = 0; i < 3; i++) close(bound(argv[1], atoi(argv[2])));
    signal(SIGCHLD, SIG_IGN);
    int server = bound(argv[1], atoi(argv[2]));
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client < 0) { perror("accept"); return 1; }
        int parent = getpid();
        if (fork() == 0) {
            char text[4096] = "", answer[99];
            ssize_t length = read(client, text, sizeof text - 1);
            while (length > 0 && strstr(text, " /slow ") != NULL && access(argv[3], F_OK) == 0) usleep(10000);
            dprintf(client, "HTTP/1.0 200 OK\\r\\n\\r\\n%d", parent);
            _exit(0);
        }
        close(client);
    }
}
`;

const simple =
  (program: string, script: string): Command =>
  (dir, host, port) => [program, script, host, String(port), join(dir, "hold")];

export const programs: readonly ServerProgram[] = [
  { name: "Python http.server", needs: "python3", slow: true, command: simple("python3", httpServer) },
  { name: "Python ThreadingHTTPServer", needs: "python3", slow: true, command: simple("python3", threading) },
  { name: "Python asyncio", needs: "python3", slow: true, command: simple("python3", asyncio) },
  { name: "Perl", needs: "perl", slow: true, command: simple("perl", perl) },
  { name: "Node", needs: "node", slow: true, command: simple("node", node) },
  ...["HttpServer", "ServerSocket"].map((kind) => ({
    name: `Java ${kind}`,
    needs: "javac",
    slow: true,
    command: (dir: string, host: string, port: number) => [
      "java",
      "-XX:TieredStopAtLevel=1",
      "-XX:+UseSerialGC",
      "-cp",
      javaClasses(),
      "Server",
      host,
      String(port),
      join(dir, "hold"),
      kind,
    ],
  })),
  {
    name: "nginx",
    needs: "nginx",
    slow: false,
    command: (dir, host, port) => ["nginx", "-p", dir, "-c", nginxConfiguration(host, port)],
  },
  {
    // dumps its threads at SIGURG
    name: "HAProxy",
    needs: "haproxy",
    slow: false,
    drainedBy: 62,
    settledWith: "HAPROXY_MWORKER_WAIT_ONLY",
    command: (_dir, host, port) => ["haproxy", "-W", "-db", "-f", haproxyConfiguration(host, port)],
  },
  {
    name: "gunicorn",
    needs: "gunicorn",
    slow: true,
    command: (dir, host, port) => [
      "env",
      `HOLD=${join(dir, "hold")}`,
      "gunicorn",
      "--chdir",
      folder,
      "-w",
      "2",
      "-b",
      `${host}:${port}`,
      "--log-level",
      "error",
      "app:app",
    ],
  },
  ...["cc", "musl-gcc"].map((compiler) => ({
    name: `C with ${compiler}`,
    needs: compiler,
    slow: true,
    command: (dir: string, host: string, port: number) => [
      compiled("daemon", daemonSource, compiler),
      host,
      String(port),
      join(dir, "hold"),
      "plain",
    ],
  })),
];

export const daemon =
  (how: string, compiler = "cc"): Command =>
  (dir, host, port) => [compiled("daemon", daemonSource, compiler), host, String(port), join(dir, "hold"), how];

/** A script of ours as it stands in a configuration. */
export function script(name: string, text: string): string {
  return file(name, text);
}
