// Serves one page, with a number that it asks the cache for. Listens on file descriptor 3, which it is given open.
import { createServer, get } from "node:http";

const countHit = (key) =>
  new Promise((done, fail) => {
    get({ socketPath: process.env.CACHE_SOCKET, path: key }, async (answer) => {
      answer.setEncoding("utf8");
      let text = "";
      for await (const part of answer) text += part;
      done(text);
    }).on("error", fail);
  });

const server = createServer(async (request, response) => {
  if (request.url === "/healthz") return response.end("ok\n");
  try {
    response.end(`Hello. You are visitor ${await countHit("/visitors")}.\n`);
  } catch (error) {
    response.writeHead(502).end(`no cache: ${error.message}\n`);
  }
});
server.listen({ fd: 3 }, () => console.log("web: listening"));
// answers what has been asked, takes nothing new, ends
process.on("SIGTERM", () => server.close(() => console.log("web: closed")));
