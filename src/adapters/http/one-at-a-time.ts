import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests a client may have sent ahead of the answers it has had. Nobody who reads does that; curl and browsers do not at all. */
const mostAhead = 16;

/**
 * Serves each connection's requests one after the other: the next begins when the answer before has been handed to the kernel. So what a
 * connection can make us hold is one answer, however many requests it sends; one that sends too many ahead is closed.
 */
export class OneAtATime {
  readonly #lines = new WeakMap<Socket, (() => void)[]>();

  enter(socket: Socket, response: ServerResponse, serve: () => void): void {
    const line = this.#lines.get(socket);
    if (line === undefined) {
      this.#lines.set(socket, []);
      this.#serve(socket, response, serve);
    } else if (line.length < mostAhead) line.push(() => this.#serve(socket, response, serve));
    else socket.destroy();
  }

  /** An answer is under way. */
  engaged(socket: Socket): boolean {
    return this.#lines.has(socket);
  }

  #serve(socket: Socket, response: ServerResponse, serve: () => void): void {
    response.once("close", () => {
      const next = socket.destroyed ? undefined : this.#lines.get(socket)?.shift();
      if (next === undefined) this.#lines.delete(socket);
      else next();
    });
    serve();
  }
}
