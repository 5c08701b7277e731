// A web service that leaves politely. Listens on LISTEN_FDS, or on PORT and SOCKET; everything the load asks for is here: /plain, /post,
// /stream, /upgraded. On SIGTERM (SIGINT: pm2) it accepts no more, answers what comes on open connections with `Connection: close`, says
// "bye" on upgraded ones, and ends with the last.
import { createServer } from "node:http";
import { Server } from "node:net";

const generation = process.env.GENERATION ?? "1";
const fds = Number(process.env.LISTEN_FDS ?? 0);
const places =
  fds > 0
    ? Array.from({ length: fds }, (_, i) => ({ fd: 3 + i }))
    : [
        ...(process.env.PORT ? [{ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 4096 }] : []),
        ...(process.env.SOCKET ? [{ path: process.env.SOCKET, backlog: 4096 }] : []),
      ];
const upgraded = new Set();
let leaving = false;

function answer(request, response) {
  const id = request.headers["x-request-id"] ?? "none";
  response.setHeader("x-request-id", id);
  response.setHeader("x-generation", generation);
  if (leaving) response.setHeader("connection", "close");
  if (request.url === "/plain") return response.end(`plain ${id}\n`);
  if (request.url === "/post") return count(request, (bytes) => response.end(`post ${id} ${bytes}\n`));
  if (request.url === "/stream") return stream(id, response);
  response.statusCode = 404;
  response.end("unknown\n");
}

function count(request, done) {
  let bytes = 0;
  request.on("data", (chunk) => {
    bytes += chunk.length;
  });
  request.on("end", () => done(bytes));
}

function stream(id, response) {
  let line = 0;
  const timer = setInterval(() => {
    if (line < 12) return response.write(`${id} ${line++}\n`);
    clearInterval(timer);
    response.end(`end ${id}\n`);
  }, 250);
  response.on("close", () => clearInterval(timer));
}

function upgrade(request, socket) {
  const id = request.headers["x-request-id"] ?? "none";
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nx-request-id: ${id}\r\nx-generation: ${generation}\r\n\r\n`,
  );
  upgraded.add(socket);
  socket.on("data", (bytes) => socket.write(bytes));
  socket.on("end", () => socket.end());
  socket.on("error", () => socket.destroy());
  socket.on("close", () => upgraded.delete(socket));
  if (leaving) socket.write("bye\n");
}

const servers = places.map((place) => {
  const server = createServer(answer).on("upgrade", upgrade);
  // a client that is quiet for a while is no reason to close: what is measured are upgrades
  server.keepAliveTimeout = 600_000;
  server.listen(place);
  return server;
});

let open = servers.length;
function leave() {
  if (leaving) return;
  leaving = true;
  for (const server of servers) {
    // not http.Server's close: it destroys connections whose request has come but was not read yet
    Server.prototype.close.call(server, () => {
      open -= 1;
      if (open === 0) process.exit(0);
    });
  }
  for (const socket of upgraded) socket.write("bye\n");
  setTimeout(() => {
    for (const server of servers) server.closeIdleConnections();
  }, 10_000).unref();
}
process.on("SIGTERM", leave);
process.on("SIGINT", leave);

let listening = 0;
for (const server of servers) {
  server.on("listening", () => {
    listening += 1;
    if (listening < servers.length) return;
    console.log(`listening, generation ${generation}`);
    process.send?.("ready");
  });
}
