import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { native } from "../../adapters/native/addon.js";
import { fdOf, type Givable, handleOf } from "./sibling.js";

/** how long the other side may take to close its end after we have closed ours */
const lingerMs = 1_000;

/** One HTTP/1 connection: what of it is under way, and how it can be ended without taking anything from its client. */
export class HttpConnection implements Givable {
  readonly socket: Socket;
  /** speaks another protocol now */
  upgraded = false;
  /** closed in the middle of something, or a request came after the end was said and cannot be answered any more */
  wasCut = false;
  /** when its last answer was complete */
  idleSince = performance.now();
  #bytesRead = 0;
  #draining = false;
  #ended = false;
  #held = false;
  #linger: NodeJS.Timeout | undefined;
  /** answers that are not complete, in the order of their requests: more than one when the client pipelines */
  readonly #answers: ServerResponse[] = [];
  readonly #announced = new WeakSet<ServerResponse>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.once("close", () => clearTimeout(this.#linger));
  }

  get answering(): boolean {
    return this.#answers.length > 0;
  }

  /** Nothing has been asked, nothing has begun to arrive. */
  get idle(): boolean {
    return (
      !this.upgraded && !this.#ended && !this.#held && !this.answering && this.socket.bytesRead === this.#bytesRead
    );
  }

  asked(request: IncomingMessage, answer: ServerResponse): void {
    if (this.#ended) this.wasCut = true;
    this.#answers.push(answer);
    const took = () => {
      this.#bytesRead = this.socket.bytesRead;
    };
    // an answer may be complete before the request's body is
    request.once("close", took);
    answer.once("close", () => {
      this.#answers.splice(this.#answers.indexOf(answer), 1);
      this.idleSince = performance.now();
      took();
    });
    if (this.#draining) this.#announce();
  }

  upgrade(): void {
    if (this.#ended) this.wasCut = true;
    this.upgraded = true;
  }

  /** From now on the last answer that it owes says that it is the last. */
  drain(): void {
    this.#draining = true;
    if (this.upgraded) return;
    // the timeout of an idle connection would close it without a look at what has just arrived
    if (!this.answering) this.socket.setTimeout(0);
    // closing while bytes are unread (the rest of a request's body) is a reset, which may overtake the answer
    this.socket.destroySoon = () => this.end();
    this.#announce();
  }

  hold(): void {
    this.#held = true;
    handleOf(this.socket)?.readStop?.();
  }

  resume(): void {
    this.#held = false;
    handleOf(this.socket)?.readStart?.();
  }

  /** Closes it now, whatever is under way. */
  cut(): void {
    const nothingLost = this.idle || this.#held || (this.#ended && !this.answering);
    this.wasCut ||= !nothingLost;
    this.socket.destroy();
  }

  /** Ends an idle connection, unless a request is waiting to be read. */
  endIfSilent(): boolean {
    if (!this.idle || hasUnread(this.socket)) return false;
    this.end();
    return true;
  }

  /** Says the end, and reads on until the other side has said it, too. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { socket } = this;
    socket.end();
    const over = () => socket.destroy();
    if (socket.readableEnded) socket.once("finish", over);
    else socket.once("end", over);
    this.#linger = setTimeout(over, lingerMs);
  }

  /** With pipelining only the last answer may say it: what is announced as the last one is the last one. */
  #announce(): void {
    const last = this.#answers.at(-1);
    for (const answer of this.#answers) {
      if (answer.headersSent) continue;
      if (answer === last && answer.shouldKeepAlive) {
        answer.shouldKeepAlive = false;
        this.#announced.add(answer);
      } else if (answer !== last && this.#announced.delete(answer)) answer.shouldKeepAlive = true;
    }
  }
}

/** Something is in the kernel's buffer that Node has not read yet. False where that cannot be found out. */
function hasUnread(socket: Socket): boolean {
  const fd = fdOf(socket);
  if (fd === undefined) return false;
  try {
    return (native().peekmsg(fd, Buffer.alloc(1))?.length ?? 0) > 0;
  } catch {
    return false;
  }
}
