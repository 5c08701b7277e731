import type { NetConnectOpts, Socket } from "node:net";
import type { Dial } from "./accepted-connection.js";
import { type Attempt, failed, passed } from "./attempt.js";
import { connectFailure, hostPort } from "./failure-text.js";

/** How long a connection that succeeded may take to say goodbye. */
const lingerMs = 1_000;

export function tcpProbe(host: string, port: number, dial: Dial): Attempt {
  return connectProbe({ host, port }, hostPort(host, port), dial);
}

export function unixProbe(path: string, dial: Dial): Attempt {
  return connectProbe({ path }, path, dial);
}

/**
 * Passes when the connection is accepted. It is closed by FIN, after reading what the service greets with: close(2) with unread
 * bytes would send RST, which services log and count (MySQL blocks hosts for it).
 */
function connectProbe(options: NetConnectOpts, where: string, dial: Dial): Attempt {
  return (settle) => {
    const over = new AbortController();
    let connected: Socket | undefined;
    dial(options, over.signal).then(
      (socket) => {
        connected = socket;
        if (over.signal.aborted) socket.destroy();
        else settle(passed);
      },
      (error: unknown) => settle(failed(connectFailure(error, where))),
    );
    return () => {
      over.abort();
      if (connected !== undefined) sayGoodbye(connected);
    };
  };
}

function sayGoodbye(socket: Socket): void {
  const giveUp = setTimeout(() => socket.destroy(), lingerMs);
  giveUp.unref();
  socket.once("close", () => clearTimeout(giveUp));
  socket.unref();
  socket.resume();
  socket.end();
}
