// Counts hits by key. Listens on the unix socket that it is given as file descriptor 3.
import { createServer } from "node:http";

const hits = new Map();

const server = createServer((request, response) => {
  const key = request.url ?? "/";
  if (key !== "/healthz") hits.set(key, (hits.get(key) ?? 0) + 1);
  response.end(String(hits.get(key) ?? 0));
});
server.listen({ fd: 3 }, () => console.log("cache: listening"));
process.on("SIGTERM", () => server.close(() => console.log("cache: closed")));
