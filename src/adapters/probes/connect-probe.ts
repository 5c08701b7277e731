import { connect, type NetConnectOpts } from "node:net";
import { type Attempt, failed, passed } from "./attempt.js";
import { connectFailure, hostPort } from "./failure-text.js";

/** How long a connection that succeeded may take to say goodbye. */
const lingerMs = 1_000;

export function tcpProbe(host: string, port: number): Attempt {
  return connectProbe({ host, port }, hostPort(host, port));
}

export function unixProbe(path: string): Attempt {
  return connectProbe({ path }, path);
}

/**
 * Passes when the connection is accepted. It is closed by FIN, after reading what the service greets with: close(2) with unread
 * bytes would send RST, which services log and count (MySQL blocks hosts for it).
 */
function connectProbe(options: NetConnectOpts, where: string): Attempt {
  return (settle) => {
    const socket = connect(options);
    let connected = false;
    socket.once("connect", () => {
      connected = true;
      settle(passed);
    });
    socket.on("error", (error) => settle(failed(connectFailure(error, where))));
    return () => {
      if (!connected) {
        socket.destroy();
        return;
      }
      const giveUp = setTimeout(() => socket.destroy(), lingerMs);
      giveUp.unref();
      socket.once("close", () => clearTimeout(giveUp));
      socket.unref();
      socket.resume();
      socket.end();
    };
  };
}
