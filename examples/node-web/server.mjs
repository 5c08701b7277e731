// A web service that takes its socket from LISTEN_FDS, and drains on SIGTERM: nobody is refused, no request is lost.
import { createServer } from "node:http";
import { drainable } from "pingora-entry";

const given = process.env.LISTEN_PID === String(process.pid) && Number(process.env.LISTEN_FDS) > 0;
const windowMs = Number(process.env.DRAIN_SECONDS ?? 10) * 1_000;

const server = createServer((request, response) => {
  if (request.url === "/stream") {
    response.write("begin\n");
    setTimeout(() => response.end("end\n"), 5_000);
    return;
  }
  request.resume().on("end", () => response.end(`hello from ${process.pid}\n`));
});
// longer than clients keep an idle connection: whoever closes first risks to cross the other's next request
server.keepAliveTimeout = 75_000;
server.on("upgrade", (_request, socket) => {
  socket.on("error", () => {});
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  socket.pipe(socket);
});

const drain = drainable(server);
server.listen(given ? { fd: 3 } : { port: Number(process.env.PORT ?? 8080) });

process.once("SIGTERM", async () => {
  const { drained, cut, seconds } = await drain({ windowMs, onUpgraded: (socket) => socket.end("bye\n") });
  console.error(JSON.stringify({ message: "drained", pid: process.pid, drained, cut, seconds }));
  process.exit();
});
