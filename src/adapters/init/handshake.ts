import { fstatSync } from "node:fs";
import { EntryError } from "../../core/entry-error.js";
import type { Recovered } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { type ReceivedFrame, readAll } from "./channel.js";
import { FrameError } from "./frame.js";
import type { Reply } from "./reply.js";

export const protocolVersion = 1;

export interface Greeting {
  readonly pid: number;
  readonly isPid1: boolean;
  readonly line: number;
  readonly primary: boolean;
  readonly recovered: Recovered;
}

/** Collects what comes between HELLO and SYNCED. */
export class Handshake {
  #welcome: Extract<Reply, { kind: "welcome" }> | undefined;
  readonly #children: Recovered["children"][number][] = [];
  readonly #held = new Map<string, number>();
  readonly #state = new Map<string, string>();
  readonly #lines: Recovered["lines"][number][] = [];

  /**
   * True when the reply belongs to the handshake.
   * @throws FrameError: a held socket or state without its descriptor. EntryError os: the init speaks another version
   */
  take(reply: Reply, frame: ReceivedFrame): boolean {
    switch (reply.kind) {
      case "welcome":
        if (reply.version !== protocolVersion) {
          throw new EntryError(
            "os",
            `cannot work under this init: it speaks version ${reply.version} of the channel, version ${protocolVersion} is needed; install both of one release`,
          );
        }
        this.#welcome = reply;
        return true;
      case "sync-child":
        this.#children.push(
          reply.exit === undefined
            ? { id: reply.id, pid: reply.pid }
            : { id: reply.id, pid: reply.pid, exit: reply.exit },
        );
        return true;
      case "sync-held":
        this.#held.set(reply.name, onlyFd(frame));
        return true;
      case "sync-state": {
        const fd = onlyFd(frame);
        this.#state.set(reply.name, readAll(fd, fstatSync(fd).size).toString("utf8"));
        native().close(fd);
        return true;
      }
      case "sync-line":
        this.#lines.push({ line: reply.line, pid: reply.pid });
        return true;
      default:
        return false;
    }
  }

  /** @throws FrameError: SYNCED came without WELCOME */
  finish(): Greeting {
    if (this.#welcome === undefined) throw new FrameError("SYNCED", "no WELCOME came before");
    const { pid, isPid1, restarts, line, primary } = this.#welcome;
    const recovered = {
      restarts,
      children: this.#children,
      held: this.#held,
      state: this.#state,
      lines: this.#lines,
    };
    return { pid, isPid1, line, primary, recovered };
  }

  /** closes what was taken over, when nothing comes of it */
  abandon(): void {
    for (const fd of this.#held.values()) native().close(fd);
    this.#held.clear();
  }
}

function onlyFd(frame: ReceivedFrame): number {
  const [fd, ...more] = frame.fds;
  if (fd === undefined || more.length > 0)
    throw new FrameError(frame.verb, `${frame.fds.length} descriptors, 1 is needed`);
  return fd;
}
