import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import type { ServiceSpec } from "../../core/plan.js";
import type { OutputHistory, OutputLine } from "../../runtime/ports.js";
import { refuse } from "./answer.js";
import { eventHeaders } from "./event-stream.js";

interface Query {
  readonly service?: string;
  readonly tail?: string;
  readonly follow?: string;
}

/** A follower that has this much to read misses lines, and is told how many. */
const backlogBytes = 256 * 1024;
const mostFollowers = 32;

type Form = (line: OutputLine) => string;

const forms: Readonly<Record<"text" | "ndjson" | "events", { readonly type: string; readonly form: Form }>> = {
  text: { type: "text/plain; charset=utf-8", form: ({ service, text }) => `${service} | ${text}\n` },
  ndjson: { type: "application/x-ndjson; charset=utf-8", form: (line) => `${JSON.stringify(line)}\n` },
  events: { type: eventHeaders["content-type"], form: (line) => `event: line\ndata: ${JSON.stringify(line)}\n\n` },
};

/** `/v1/logs`: the lines kept, and with `follow` those that come. Only output that passes through the supervisor is there. Call the result to end what is followed. */
export function logRoute(app: FastifyInstance, services: readonly ServiceSpec[], history: OutputHistory): () => void {
  const followers = new Set<ServerResponse>();
  app.get<{ Querystring: Query }>("/v1/logs", { exposeHeadRoute: false }, (request, reply) => {
    const { service, tail, follow } = request.query;
    const found = services.find(({ name }) => name === service);
    if (service !== undefined && found === undefined) {
      const names = services.map(({ name }) => name).join(", ");
      return refuse(request, reply, 404, `unknown service "${service}"; known: ${names}`);
    }
    const asked = found === undefined ? services : [found];
    if (!asked.some(isRecorded)) return refuse(request, reply, 409, notRecorded(found));
    if (tail !== undefined && !/^\d{1,9}$/.test(tail))
      return refuse(request, reply, 400, `cannot read logs: tail "${tail}" is not a number of lines`);
    const lines = history.tail(service, tail === undefined ? 1_000 : Number(tail));
    const { type, form } = forms[formOf(request.headers.accept)];
    const following = follow !== undefined && !["0", "false", "no"].includes(follow);
    if (!following) return reply.type(type).send(lines.map(form).join(""));
    if (followers.size >= mostFollowers)
      return refuse(request, reply.header("retry-after", "5"), 503, "too many readers follow logs already");
    reply.hijack();
    reply.raw.writeHead(200, { ...eventHeaders, "content-type": type });
    reply.raw.write(lines.map(form).join(""));
    reply.raw.flushHeaders();
    followers.add(reply.raw);
    const leave = pass(reply.raw, form, (receive) => history.follow(service, receive));
    reply.raw.on("error", () => {});
    reply.raw.on("close", () => {
      followers.delete(reply.raw);
      leave();
    });
    return reply;
  });
  return () => {
    for (const follower of followers) follower.end();
  };
}

function formOf(accept = ""): keyof typeof forms {
  if (accept.includes("text/event-stream")) return "events";
  return accept.includes("json") ? "ndjson" : "text";
}

function isRecorded(service: ServiceSpec): boolean {
  const probes = [service.readinessProbe, service.livenessProbe, service.startupProbe];
  return (
    service.process !== undefined &&
    (service.process.output !== "inherit" || probes.some((probe) => probe?.action.kind === "log"))
  );
}

function notRecorded(service: ServiceSpec | undefined): string {
  const whose = service === undefined ? "no service's output is kept" : `the output of "${service.name}" is not kept`;
  return `cannot show logs: ${whose}, it goes straight to the container's log; output: prefix or json is needed`;
}

type Receive = (line: OutputLine) => void;

/** Passes lines on until the result is called. */
function pass(response: ServerResponse, form: Form, follow: (receive: Receive) => () => void): () => void {
  let missed = 0;
  return follow((line) => {
    if (response.writableLength > backlogBytes) {
      missed += 1;
      return;
    }
    if (missed > 0) {
      const text = `${missed} lines left out: this reader was too slow`;
      response.write(form({ at: line.at, service: "pingora-entry", id: "", stream: "stderr", text }));
      missed = 0;
    }
    response.write(form(line));
  });
}
