import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Snapshot } from "../../core/snapshot.js";
import { refuse } from "./answer.js";
import type { EventStream } from "./event-stream.js";
import { eventHeaders } from "./event-stream.js";
import { healthRoutes } from "./health-routes.js";
import { statusPage } from "./status-page.js";
import type { Turnstile } from "./turnstile.js";

export interface RenderedMetrics {
  readonly type: string;
  readonly body: string | Uint8Array;
}

export interface ReadParts {
  readonly snapshot: () => Snapshot;
  readonly json: () => string;
  /** never rejects for what a client sent; `accept` is the request's header */
  readonly renderMetrics: (accept: string | undefined) => Promise<RenderedMetrics>;
  readonly stream: EventStream;
  readonly turnstile: Turnstile;
}

/** Everything that only looks. Serves TCP and the control socket alike. */
export function readRoutes(app: FastifyInstance, parts: ReadParts): void {
  const { snapshot, json, renderMetrics, stream } = parts;
  healthRoutes(app, snapshot);
  const inLine = { onRequest: standInLine(parts.turnstile) };
  app.get("/status", inLine, (_request, reply) => reply.type("application/json; charset=utf-8").send(json()));
  app.get("/metrics", inLine, async (request, reply) => {
    const { type, body } = await renderMetrics(request.headers.accept);
    return reply.type(type).send(body);
  });
  app.get("/", inLine, (_request, reply) => statusPage(reply, snapshot(), json()));
  eventRoute(app, "/events", stream);
}

export function eventRoute(app: FastifyInstance, path: string, stream: EventStream): void {
  app.get(path, { exposeHeadRoute: false }, (request, reply) => {
    const last = request.headers["last-event-id"];
    reply.hijack();
    if (stream.attach(reply.raw, typeof last === "string" ? last : undefined)) return;
    const body = "too many readers of events; try again later\n";
    reply.raw.writeHead(503, { "retry-after": "5", "content-type": "text/plain; charset=utf-8" }).end(body);
  });
  app.head(path, (_request, reply) => reply.headers(eventHeaders).send());
}

function standInLine(turnstile: Turnstile) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    if (turnstile.enter(done)) return;
    reply.header("retry-after", "1");
    refuse(request, reply, 503, "too many requests at once; try again in a second");
  };
}
