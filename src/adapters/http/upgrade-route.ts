import { isAbsolute } from "node:path";
import type { FastifyInstance } from "fastify";
import { EntryError } from "../../core/entry-error.js";
import type { UpgradeOrder } from "../../core/upgrade-outcome.js";
import type { Control } from "../../runtime/ports.js";
import { refuse, untilGone } from "./answer.js";
import { bodyFields } from "./body-fields.js";

/**
 * `POST /v1/upgrade`, body `{"path": DIR, "conf": [FILE, ...], "wait": BOOL}`, all optional. Answers JSON lines as it goes:
 * `{"kind": "progress", ...}`, and last `{"kind": "outcome", ...}`. A client that goes away does not end the upgrade.
 */
export function upgradeRoute(app: FastifyInstance, control: Pick<Control, "upgrade">): void {
  app.post("/v1/upgrade", async (request, reply) => {
    const order = readOrder(bodyFields(request));
    if (typeof order === "string") return refuse(request, reply, 400, `cannot upgrade: ${order}`);
    const gone = untilGone(reply);
    reply.hijack();
    const { raw } = reply;
    raw.on("error", () => {});
    raw.writeHead(200, { "content-type": "application/x-ndjson; charset=utf-8", "cache-control": "no-store" });
    raw.flushHeaders();
    const say = (kind: string, fields: object): void => {
      if (!raw.destroyed) raw.write(`${JSON.stringify({ kind, ...fields })}\n`);
    };
    const outcome = await control.upgrade(order, (progress) => say("progress", progress), gone).catch(expected);
    if (outcome instanceof EntryError) say("error", { reason: outcome.reason, error: outcome.message });
    else say("outcome", outcome);
    raw.end();
    return reply;
  });
}

function expected(error: unknown): EntryError {
  if (error instanceof EntryError) return error;
  throw error;
}

/** The order, or what is wrong with it. */
function readOrder({ path, conf = [], wait = false }: Readonly<Record<string, unknown>>): UpgradeOrder | string {
  if (path !== undefined && !isPath(path)) return "path must be an absolute path";
  if (!Array.isArray(conf) || !conf.every(isPath)) return "conf must be a list of absolute paths";
  if (typeof wait !== "boolean") return "wait must be true or false";
  return { conf, wait, ...(path === undefined ? {} : { path }) };
}

function isPath(value: unknown): value is string {
  return typeof value === "string" && isAbsolute(value) && !value.includes("\0");
}
