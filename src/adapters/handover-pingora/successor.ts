import type { PingoraSuccessor } from "../../runtime/handover-ports.js";
import type { Clock } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { isRunning, polledSockets } from "./process-sockets.js";
import { codeOf } from "./wait-for.js";

const lookMs = 50;

export interface Watched {
  /** that the sockets were sent over; taken over */
  readonly connection: number;
  /** 0: of another PID namespace */
  readonly pid: number;
  /** one of ours: its services accept, not the process itself */
  readonly ours: boolean;
  readonly sockets: readonly { readonly key: string; readonly inode: number }[];
  readonly clock: Clock;
}

/**
 * What can be seen of a pingora that was sent the sockets. It answers nothing, but:
 * - what it has not read is counted by the kernel (SIOCOUTQ), and dropping it unread resets the connection;
 * - until 0.8 it never closes that connection, so that its end is the process's end; from 0.9 on the end tells nothing, and its pid has to;
 * - what it accepts on is in its epoll, readable in /proc by the same user.
 */
export function watchPingoraSuccessor(watched: Watched): PingoraSuccessor {
  return new Watching(watched);
}

class Watching implements PingoraSuccessor {
  readonly pid: number;
  readonly ours: boolean;
  readonly #watched: Watched;
  #state: "open" | "closed" | "reset" = "open";
  #over = false;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.pid = watched.pid;
    this.ours = watched.ours;
  }

  async received(deadline: number, signal: AbortSignal): Promise<string | undefined> {
    const { connection, clock } = this.#watched;
    for (;;) {
      // in this order: what is dropped unread is also none, but the connection is reset before
      const unread = native().unread(connection);
      this.#look();
      if (this.#state === "reset") return `${this.#who} went away before it took the sockets`;
      if (unread === 0) return undefined;
      if (clock.now() >= deadline) return `${this.#who} did not take the sockets`;
      await clock.until(Math.min(deadline, clock.now() + lookMs), signal);
      if (signal.aborted) return "it is not wanted any more";
    }
  }

  async proved(deadline: number, signal: AbortSignal): Promise<string | undefined> {
    const { clock } = this.#watched;
    for (;;) {
      const gone = this.#gone();
      if (gone !== undefined) return gone;
      if (clock.now() >= deadline) return this.#idle();
      await clock.until(Math.min(deadline, clock.now() + lookMs), signal);
      if (signal.aborted) return "it is not wanted any more";
    }
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    native().close(this.#watched.connection);
  }

  get #who(): string {
    return this.pid === 0 ? "the successor" : `the successor (pid ${this.pid})`;
  }

  #look(): void {
    if (this.#state !== "open") return;
    try {
      if (native().peekmsg(this.#watched.connection, new Uint8Array(1))?.length === 0) this.#state = "closed";
    } catch (error) {
      if (codeOf(error) !== "ECONNRESET") throw error;
      this.#state = "reset";
    }
  }

  /** Why it cannot be there any more. */
  #gone(): string | undefined {
    this.#look();
    if (this.#state === "open") return undefined;
    if (this.pid === 0) return `${this.#who} closed the connection, and nothing else can be seen of it from here`;
    return isRunning(this.pid) ? undefined : `${this.#who} has ended`;
  }

  /** What it should accept on and does not. Without a look into it, that it lives has to do. */
  #idle(): string | undefined {
    const { ours, sockets } = this.#watched;
    // one that became a daemon is another process by now
    const polled = ours || this.pid === 0 || !isRunning(this.pid) ? undefined : polledSockets(this.pid);
    const idle = polled && sockets.filter(({ inode }) => !polled.has(inode % 2 ** 32));
    if (idle === undefined || idle.length === 0) return undefined;
    const keys = idle.map(({ key }) => `"${key}"`).join(", ");
    return `${this.#who} has the sockets and does not accept on ${keys}: does its configuration spell them like this?`;
  }
}
