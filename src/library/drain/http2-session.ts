import type { ServerHttp2Session } from "node:http2";

/** not from node:http2: loading that costs whoever does not use it */
const noError = 0;
const highestStream = 2 ** 31 - 1;
/** By then a client has read the first GOAWAY. */
const answerMs = 1_000;

/**
 * Ends a session as RFC 9113 6.8 has it: first a GOAWAY that refuses nothing, then, when the client must have read it, the one that counts.
 * Streams that were opened meanwhile are served; the session closes after the last of them.
 */
export function drainSession(session: ServerHttp2Session): void {
  if (session.closed || session.destroyed) return;
  session.goaway(noError, highestStream);
  const finish = (): void => {
    if (!session.closed && !session.destroyed) session.close();
  };
  if (!session.ping(finish)) finish();
  // a client that has closed its side may never answer
  else setTimeout(finish, answerMs).unref();
}
