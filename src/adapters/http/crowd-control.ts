import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Keeps room for new connections: when too many are open, those that have been waiting longest without a complete request go first.
 * So nobody keeps a probe out by connecting and saying nothing, or half a request, or by keeping connections alive.
 */
export class CrowdControl {
  readonly #most: number;
  readonly #waiting = new Set<Socket>();
  #open = 0;

  /** `most`: open connections from which on the longest-waiting one is closed for each new one */
  constructor(most: number) {
    this.#most = most;
  }

  watch(server: Server): void {
    server.on("connection", (socket: Socket) => {
      this.#open += 1;
      this.#waiting.add(socket);
      socket.once("close", () => {
        this.#open -= 1;
        this.#waiting.delete(socket);
      });
      if (this.#open <= this.#most) return;
      const [longest] = this.#waiting;
      if (longest === undefined) return;
      // its close comes later: nobody may be closed twice
      this.#waiting.delete(longest);
      longest.destroy();
    });
  }

  /** A complete request has come: its connection stays until it has its answer. */
  busy(socket: Socket, response: ServerResponse): void {
    this.#waiting.delete(socket);
    response.once("close", () => {
      if (!socket.destroyed) this.#waiting.add(socket);
    });
  }
}
