import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Snapshot } from "../../core/snapshot.js";
import { type Check, type HealthView, liveness, readiness, startup } from "../../core/views.js";
import { refuse, wantsJson } from "./answer.js";

const probes = { livez: liveness, readyz: readiness, startupz: startup } as const;

interface Query {
  readonly verbose?: string;
  readonly exclude?: string | readonly string[];
}

/** `/livez`, `/readyz`, `/startupz` and their single checks, as kube-apiserver answers them: synchronous, from the snapshot at hand. */
export function healthRoutes(app: FastifyInstance, snapshot: () => Snapshot): void {
  for (const [name, view] of Object.entries(probes)) {
    const current = memo(snapshot, view);
    app.get<{ Querystring: Query }>(`/${name}`, (request, reply) =>
      answerAll(name, current(), snapshot().phase, request, reply),
    );
    app.get<{ Params: { "*": string } }>(`/${name}/*`, (request, reply) => {
      const wanted = request.params["*"];
      const { checks } = current();
      const check = checks.find((each) => each.name === wanted);
      if (check !== undefined)
        return answerAll(name, { ok: check.ok, checks: [check] }, snapshot().phase, request, reply);
      const known = checks.map((each) => each.name).join(", ");
      return refuse(request, reply, 404, `${name} has no check "${wanted}"; it has ${known}`);
    });
  }
}

/** Computed once per snapshot, however often it is asked for. */
function memo(snapshot: () => Snapshot, view: (snapshot: Snapshot) => HealthView): () => HealthView {
  let seen: Snapshot | undefined;
  let kept: HealthView = { ok: false, checks: [] };
  return () => {
    const now = snapshot();
    if (now !== seen) {
      seen = now;
      kept = view(now);
    }
    return kept;
  };
}

function answerAll(
  name: string,
  view: HealthView,
  phase: string,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const query = request.query as Query;
  const excluded = query.exclude === undefined ? [] : [query.exclude].flat();
  const ok = excluded.length === 0 ? view.ok : view.checks.every((check) => check.ok || excluded.includes(check.name));
  reply.code(ok ? 200 : 503);
  const unknown = excluded.filter((each) => !view.checks.some((check) => check.name === each));
  if (wantsJson(request)) {
    const known = excluded.filter((each) => !unknown.includes(each));
    return reply.send({ ok, phase, checks: view.checks, excluded: known });
  }
  reply.type("text/plain; charset=utf-8");
  if (ok && query.verbose === undefined) return reply.send("ok");
  const quoted = unknown.map((each) => JSON.stringify(each)).join(",");
  const warning = quoted === "" ? "" : `warn: some health checks cannot be excluded: no matches for ${quoted}\n`;
  const lines = view.checks.map((check) => line(check, excluded)).join("");
  return reply.send(`${lines}${warning}${name} check ${ok ? "passed" : "failed"}\n`);
}

function line({ name, ok, reason }: Check, excluded: readonly string[]): string {
  if (excluded.includes(name)) return `[+]${name} excluded: ${ok ? "ok" : `failed: ${reason}`}\n`;
  if (!ok) return `[-]${name} failed: ${reason}\n`;
  return `[+]${name} ok${reason === "Ready" ? "" : ` (${reason})`}\n`;
}
