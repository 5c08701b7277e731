import type { Plan } from "../../core/plan.js";
import { publicSnapshot } from "../../core/public-snapshot.js";
import type { Snapshot } from "../../core/snapshot.js";
import type { Clock, Control, Log, OutputHistory } from "../../runtime/ports.js";
import { actionRoutes } from "./action-routes.js";
import { refuse } from "./answer.js";
import { type Door, openDoor } from "./door.js";
import { EventStream } from "./event-stream.js";
import { logRoute } from "./log-route.js";
import { prestopRoute } from "./prestop-route.js";
import { eventRoute, type ReadParts, type RenderedMetrics, readRoutes } from "./read-routes.js";
import { statusJson } from "./status-json.js";
import { Turnstile } from "./turnstile.js";
import { upgradeRoute } from "./upgrade-route.js";

export interface AdminParts {
  readonly plan: { readonly services: Plan["services"]; readonly admin: Pick<Plan["admin"], "prestopToken"> };
  /** bound and listening; they stay the caller's. Undefined: not served there */
  readonly tcpFd?: number | undefined;
  readonly controlFd?: number | undefined;
  readonly control: Control;
  readonly history: OutputHistory;
  readonly renderMetrics: (accept: string | undefined) => Promise<RenderedMetrics>;
  readonly log: Log;
  readonly clock: Pick<Clock, "wall">;
}

export interface Admin {
  /** accepts nobody any more; who is connected is still answered. Resolves when the last of them has gone */
  pause(): Promise<void>;
  /** ends event streams, waits shortly for answers on their way, and lets the sockets go (the caller's fds stay open) */
  close(): Promise<void>;
}

/** How long an answer on its way may take when the endpoints close. */
const closeGraceMs = 150;

/**
 * Opens the endpoints: on TCP what only looks (and `/prestop` for who has the token), on the control socket everything.
 * @throws EntryError os when a socket cannot be served
 */
export async function openAdmin(parts: AdminParts): Promise<Admin> {
  const { control, history, plan, log, renderMetrics } = parts;
  const snapshot = () => control.snapshot();
  const turnstile = new Turnstile(16, 4096);
  const boot = `${snapshot().pid.toString(36)}-${Date.now().toString(36)}`;
  const streams: EventStream[] = [];
  const readParts = (snapshot: () => Snapshot): ReadParts => {
    const json = statusJson(snapshot, parts.clock.wall);
    const stream = new EventStream(control, json, boot);
    streams.push(stream);
    return { snapshot, json, renderMetrics, stream, turnstile };
  };
  let endLogs = (): void => {};
  const doors: Door[] = [];
  const close = async (): Promise<void> => {
    for (const stream of streams) stream.close();
    endLogs();
    await Promise.all(doors.splice(0).map((door) => door.close(closeGraceMs)));
  };
  try {
    const { tcpFd, controlFd } = parts;
    if (controlFd !== undefined) {
      const read = readParts(snapshot);
      const door = await openDoor("control", controlFd, log, (app) => {
        readRoutes(app, read);
        prestopRoute(app, control);
        app.get("/v1/phase", (_request, reply) =>
          reply.type("text/plain; charset=utf-8").send(`${snapshot().phase}\n`),
        );
        eventRoute(app, "/v1/events", read.stream);
        endLogs = logRoute(app, plan.services, history);
        actionRoutes(app, control);
        upgradeRoute(app, control);
      });
      doors.push(door);
    }
    if (tcpFd !== undefined) {
      const { prestopToken } = plan.admin;
      const read = readParts(onceEach(snapshot, publicSnapshot));
      const door = await openDoor(
        "tcp",
        tcpFd,
        log,
        (app) => {
          app.addHook("onRequest", (request, reply, next) => {
            const path = request.url.split("?", 1)[0];
            const allowed =
              request.method === "GET" ||
              request.method === "HEAD" ||
              (prestopToken !== undefined && path === "/prestop");
            if (allowed) return next();
            // an unread body must not hold the connection
            reply.headers({ allow: "GET, HEAD", connection: "close" });
            refuse(request, reply, 405, `${request.method} is not allowed here: this address is read only`);
          });
          readRoutes(app, read);
          if (prestopToken !== undefined) prestopRoute(app, control, prestopToken);
        },
        prestopToken === undefined ? [] : ["/prestop"],
      );
      doors.push(door);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const pause = async (): Promise<void> => {
    await Promise.all(doors.map((door) => door.pause()));
  };
  return { pause, close };
}

/** Made once per snapshot, so that who compares snapshots finds them the same. */
function onceEach(snapshot: () => Snapshot, make: (snapshot: Snapshot) => Snapshot): () => Snapshot {
  let seen: Snapshot | undefined;
  let made: Snapshot | undefined;
  return () => {
    const now = snapshot();
    if (made === undefined || now !== seen) made = make(now);
    seen = now;
    return made;
  };
}
