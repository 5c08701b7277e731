import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { EntryError } from "../../core/entry-error.js";
import { signalName } from "../../core/signals.js";
import type { Control, SignalScope } from "../../runtime/ports.js";
import { done, refuse } from "./answer.js";
import { bodyFields } from "./body-fields.js";

type Actions = Pick<Control, "startService" | "stopService" | "restartService" | "signalService" | "snapshot">;
interface Route {
  readonly Params: { readonly name: string };
  readonly Querystring: Readonly<Record<string, string>>;
}

const scopes: readonly SignalScope[] = ["child", "group", "tree"];

/** What changes something. For the control socket alone. */
export function actionRoutes(app: FastifyInstance, control: Actions): void {
  const act = (word: string, past: string, run: (name: string) => Promise<void>): void => {
    app.post<Route>(`/v1/services/:name/${word}`, async (request, reply) => {
      const { name } = request.params;
      if (!known(control, name)) return unknown(control, name, request, reply);
      const problem = await run(name).then(() => undefined, expected);
      if (problem !== undefined) return refuse(request, reply, statusOf(problem), problem.message);
      const service = control.snapshot().services.find((each) => each.name === name);
      return done(request, reply, `${name} ${past}`, { service: name, state: service?.state });
    });
  };
  act("start", "started", (name) => control.startService(name));
  act("stop", "stopped", (name) => control.stopService(name));
  act("restart", "restarted", (name) => control.restartService(name));

  app.post<Route>("/v1/services/:name/signal", async (request, reply) => {
    const { name } = request.params;
    if (!known(control, name)) return unknown(control, name, request, reply);
    const fields = { ...bodyFields(request), ...request.query };
    const written = fields.signal === undefined ? "" : String(fields.signal);
    const signal = signalName(written);
    if (signal === undefined) {
      const found = written === "" ? "none was named" : `"${written}" is none`;
      return refuse(request, reply, 400, `cannot signal "${name}": ${found}, a signal is needed (?signal=HUP)`);
    }
    const scope = scopes.find((each) => each === (fields.scope ?? "child"));
    if (scope === undefined)
      return refuse(
        request,
        reply,
        400,
        `cannot signal "${name}": scope "${fields.scope}" is not child, group or tree`,
      );
    const count = await control.signalService(name, signal, scope).catch(expected);
    if (count instanceof EntryError) return refuse(request, reply, statusOf(count), count.message);
    if (count === 0) return refuse(request, reply, 409, `cannot signal "${name}": it has no running process`);
    const processes = count === 1 ? "1 process" : `${count} processes`;
    return done(request, reply, `${signal} sent to ${processes} of ${name}`, {
      service: name,
      signal,
      scope,
      processes: count,
    });
  });
}

function known(control: Actions, name: string): boolean {
  return control.snapshot().services.some((service) => service.name === name);
}

function unknown(control: Actions, name: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const names = control
    .snapshot()
    .services.map((service) => service.name)
    .join(", ");
  return refuse(request, reply, 404, `unknown service "${name}"; known: ${names === "" ? "none" : names}`);
}

/** An expected failure is an answer; a bug goes on to the error handler. */
function expected(error: unknown): EntryError {
  if (error instanceof EntryError) return error;
  throw error;
}

function statusOf(error: EntryError): number {
  return error.reason === "usage" ? 400 : 409;
}
