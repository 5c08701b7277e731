// What the drain is compared with: http.Server.close as Node has it.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  request.resume().on("end", () => response.end(`hello from ${process.pid}\n`));
});
server.keepAliveTimeout = 75_000;
server.listen({ fd: 3 });
process.once("SIGTERM", () => {
  server.close(() => process.exit());
  setTimeout(() => process.exit(), Number(process.env.DRAIN_SECONDS) * 1_000);
});
