import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { type FastifyInstance, fastify } from "fastify";
import { EntryError } from "../../core/entry-error.js";
import type { Log } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { refuse } from "./answer.js";
import { CrowdControl } from "./crowd-control.js";
import { endpointList, endpoints } from "./endpoints.js";
import { OneAtATime } from "./one-at-a-time.js";

/** One listening socket with its own server and its own routes: what is not registered here cannot be reached here. */
export interface Door {
  /** no connection is accepted any more; those that are open get an answer to one more request. Resolves when all have ended */
  pause(): Promise<void>;
  /** no connection is accepted any more; those that are open get `graceMs` to end */
  close(graceMs: number): Promise<void>;
}

/**
 * Serves on a bound, listening socket. The fd stays the caller's: a duplicate is used and closed. `alsoHere`: paths of the control socket
 * that `routes` has opened on TCP, too.
 * @throws EntryError os when it cannot be listened on
 */
export async function openDoor(
  where: "tcp" | "control",
  fd: number,
  log: Log,
  routes: (app: FastifyInstance) => void,
  alsoHere: readonly string[] = [],
): Promise<Door> {
  const most = mostConnections();
  const crowd = new CrowdControl({ connections: (most * 3) / 4, answerMs: 10_000, unreadBytes: 32 * 1024 * 1024 });
  const turns = new OneAtATime();
  const app = fastify<Server>({
    logger: false,
    serverFactory: (serve) =>
      createServer(serverOptions, (request, response) =>
        turns.enter(request.socket, response, () => {
          crowd.busy(request.socket, response);
          serve(request, response);
        }),
      ),
    bodyLimit: 16 * 1024,
    frameworkErrors: (_error, request, reply) => {
      reply.headers(commonHeaders);
      refuse(request, reply, 400, "cannot read the request: its path is malformed");
    },
    clientErrorHandler: (error, socket) => answerBroken(error, socket, turns.engaged(socket)),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 255 },
    // nothing here has a schema; this keeps two compilers from being loaded
    schemaController: { compilersFactory: noCompilers },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, parsed) => parsed(null, body));
  let paused = false;
  app.addHook("onRequest", (request, reply, next) => {
    reply.headers(commonHeaders);
    if (paused) reply.header("connection", "close");
    if (request.raw.httpVersion !== "1.1" || request.headers.host !== undefined) return next();
    reply.header("connection", "close");
    refuse(request, reply, 400, "cannot read the request: it has no Host");
  });
  routes(app);
  refusals(app, where, log, alsoHere);
  await app.ready();

  const { server } = app;
  server.maxConnections = most;
  crowd.watch(server);
  await listen(app, where, native().dup(fd));
  server.on("error", (error: Error) => log.warn(`the ${where} endpoints: ${error.message}`));
  let closed: Promise<void> | undefined;
  const pause = (): Promise<void> => {
    paused = true;
    // not http's close, which would reset who has just sent a request
    closed ??= new Promise((resolve) => NetServer.prototype.close.call(server, () => resolve()));
    return closed;
  };
  return {
    pause,
    async close(graceMs) {
      const late = setTimeout(() => server.closeAllConnections(), graceMs);
      const over = pause();
      server.closeIdleConnections();
      await over;
      clearTimeout(late);
      // its own timers
      server.close(() => {});
    },
  };
}

const noCompilers = { buildValidator: (() => undefined) as never, buildSerializer: (() => undefined) as never };

const serverOptions = {
  keepAliveTimeout: 10_000,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 8 * 1024,
  // refused in onRequest, with our headers and words
  requireHostHeader: false,
} as const;

const commonHeaders = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/** Half of the files this process may open, so that the services' pipes find room whatever happens here. */
function mostConnections(): number {
  let files = 1024;
  try {
    files = Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? files);
  } catch {}
  return Math.max(64, Math.min(2048, Math.trunc(files / 2)));
}

function listen(app: FastifyInstance, where: string, fd: number): Promise<void> {
  const { server } = app;
  return new Promise((opened, failed) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      failed(new EntryError("os", `cannot serve the ${where} endpoints: ${cause.message}`, { cause }));
    });
    server.listen({ fd }, () => {
      server.removeAllListeners("error");
      opened();
    });
  });
}

/** What could not be read as a request gets an answer like the others; one that is under way is not written into. */
function answerBroken({ code = "" }: NodeJS.ErrnoException, socket: Socket, engaged: boolean): void {
  const [status, words] = brokenRequests[code] ?? ["400 Bad Request", "it is not HTTP"];
  const body = `cannot read the request: ${words}\n`;
  const fields = { ...commonHeaders, "content-type": "text/plain; charset=utf-8", connection: "close" };
  const head = Object.entries({ ...fields, "content-length": `${body.length}` }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  if (socket.writable && !engaged && code !== "ECONNRESET")
    socket.write(`HTTP/1.1 ${status}\r\n${head.join("\r\n")}\r\n\r\n${body}`);
  socket.destroy();
}

const brokenRequests: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "its head is larger than 8 KiB"],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "it did not come in time"],
};

/** What is not there, what is not allowed here, and bugs. */
function refusals(app: FastifyInstance, where: "tcp" | "control", log: Log, alsoHere: readonly string[]): void {
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "";
    const endpoint = endpoints.find((each) => matches(each.path, path));
    if (endpoint === undefined) return refuse(request, reply, 404, `there is no ${path}`, endpointList(where));
    if (where === "tcp" && endpoint.where === "control" && !alsoHere.includes(endpoint.path))
      return refuse(request, reply, 403, `${path} is served on the control socket only`);
    const head = endpoint.head === false ? "" : ", HEAD";
    reply.header("allow", endpoint.methods.map((method) => (method === "GET" ? `GET${head}` : method)).join(", "));
    return refuse(request, reply, 405, `${request.method} is not allowed on ${path}`);
  });
  app.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
    if (error instanceof EntryError) return refuse(request, reply, error.reason === "usage" ? 400 : 409, error.message);
    const status = error.statusCode ?? 500;
    if (status < 500) return refuse(request, reply, status, error.message);
    log.error("a bug: an endpoint failed", { err: error, path: request.routeOptions.url });
    return refuse(request, reply, 500, "a bug in pingora-entry; its log says more");
  });
}

function matches(pattern: string, path: string): boolean {
  const [wanted, found] = [pattern.split("/"), path.replace(/(?<=.)\/$/, "").split("/")];
  return wanted.length === found.length && wanted.every((part, i) => part === found[i] || part === "NAME");
}
