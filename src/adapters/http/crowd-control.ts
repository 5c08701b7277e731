import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface CrowdLimits {
  /** open connections from which on the longest-waiting one is closed for each new one */
  readonly connections: number;
  /** a connection that has not taken its answer this long after it was written is closed */
  readonly answerMs: number;
  /** bytes of answers nobody takes, of all connections together; beyond it those go that have had theirs longest */
  readonly unreadBytes: number;
}

interface Answer {
  readonly response: ServerResponse;
  /** when it was first seen to be written and not taken */
  since?: number;
}

const lookEveryMs = 1_000;

/**
 * Keeps room for new connections: when too many are open, those that have been waiting longest without a complete request go first.
 * So nobody keeps a probe out by connecting and saying nothing, or half a request, or by keeping connections alive. And keeps memory:
 * nobody fills it by asking and not reading.
 */
export class CrowdControl {
  readonly #limits: CrowdLimits;
  readonly #waiting = new Set<Socket>();
  /** in the order in which their requests came */
  readonly #answers = new Map<Socket, Answer>();
  #open = 0;
  #look: NodeJS.Timeout | undefined;
  #weighing = false;

  constructor(limits: CrowdLimits) {
    this.#limits = limits;
  }

  watch(server: Server): void {
    server.on("connection", (socket: Socket) => {
      this.#open += 1;
      this.#waiting.add(socket);
      socket.once("close", () => {
        this.#open -= 1;
        this.#waiting.delete(socket);
        this.#answered(socket);
      });
      if (this.#open <= this.#limits.connections) return;
      const [longest] = this.#waiting;
      if (longest === undefined) return;
      // its close comes later: nobody may be closed twice
      this.#waiting.delete(longest);
      longest.destroy();
    });
  }

  /** A complete request has come: its connection stays until it has its answer. One answer per connection at a time. */
  busy(socket: Socket, response: ServerResponse): void {
    this.#waiting.delete(socket);
    this.#answers.set(socket, { response });
    response.once("close", () => {
      this.#answered(socket);
      if (!socket.destroyed) this.#waiting.add(socket);
    });
    this.#look ??= setInterval(() => this.#letTheSlowGo(), lookEveryMs).unref();
    if (this.#weighing) return;
    this.#weighing = true;
    setImmediate(() => this.#weigh());
  }

  #answered(socket: Socket): void {
    this.#answers.delete(socket);
    if (this.#answers.size > 0) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  /** An answer that is still being made, or a stream, is not waited for: only what has been written to its end. */
  #letTheSlowGo(): void {
    const now = performance.now();
    for (const [socket, answer] of this.#answers) {
      if (!answer.response.writableEnded) continue;
      answer.since ??= now;
      if (now - answer.since >= this.#limits.answerMs - lookEveryMs) socket.destroy();
    }
  }

  #weigh(): void {
    this.#weighing = false;
    let bytes = 0;
    for (const [socket] of this.#answers) bytes += socket.writableLength;
    for (const [socket] of this.#answers) {
      if (bytes <= this.#limits.unreadBytes) return;
      bytes -= socket.writableLength;
      if (socket.writableLength > 0) socket.destroy();
    }
  }
}
