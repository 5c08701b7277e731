import type { FastifyReply, FastifyRequest } from "fastify";

/** The client asks for JSON by name; `*` is no such wish. */
export function wantsJson(request: FastifyRequest): boolean {
  return request.headers.accept?.includes("application/json") === true;
}

/** Words for people, `{"error": ...}` for programs; one line each. `list`: what people find below it. */
export function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  message: string,
  list = "",
): FastifyReply {
  reply.code(status);
  return wantsJson(request)
    ? reply.send({ error: message })
    : reply.type("text/plain; charset=utf-8").send(list === "" ? `${message}\n` : `${message}; there is:\n${list}`);
}

/** What has been done, in words; `fields` for programs. */
export function done(
  request: FastifyRequest,
  reply: FastifyReply,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): FastifyReply {
  return wantsJson(request)
    ? reply.send({ ok: true, message, ...fields })
    : reply.type("text/plain; charset=utf-8").send(`${message}\n`);
}

/** Aborts when the client goes away before it has its answer. */
export function untilGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}
