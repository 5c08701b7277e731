import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Control } from "../../runtime/ports.js";
import { done, refuse, untilGone } from "./answer.js";

/**
 * `/prestop`: begins the drain and answers when the pod may go on. GET, too: the kubelet's httpGet hook knows nothing else.
 * With a token only for those who present it; a client that goes away waits no longer, the drain goes on.
 */
export function prestopRoute(
  app: FastifyInstance,
  control: Pick<Control, "prestop" | "snapshot">,
  token?: string,
): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (token !== undefined && !presents(request.headers.authorization, token)) {
      reply.header("www-authenticate", 'Bearer realm="pingora-entry"');
      return refuse(
        request,
        reply,
        401,
        "cannot drain: no valid token was presented, Authorization: Bearer with admin.prestopToken is needed",
      );
    }
    await control.prestop(untilGone(reply));
    return done(request, reply, "drained", { phase: control.snapshot().phase });
  };
  app.get("/prestop", { exposeHeadRoute: false }, answer);
  app.post("/prestop", answer);
}

/** Takes the same time whatever is wrong with it. Bytes are compared: Node reads each byte of a header as one character. */
function presents(header: string | undefined, token: string): boolean {
  const [scheme, ...rest] = (header ?? "").split(" ");
  const digest = (text: string, encoding: "latin1" | "utf8"): Buffer =>
    createHash("sha256").update(text, encoding).digest();
  // not trim(): it takes 0xa0 for a space, which may be the last byte of a character
  const presented = rest.join(" ").replace(/^[ \t]+|[ \t]+$/g, "");
  const same = timingSafeEqual(digest(presented, "latin1"), digest(token, "utf8"));
  return same && scheme?.toLowerCase() === "bearer";
}
