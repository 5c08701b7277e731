import { Server as NetServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { native } from "../../adapters/native/addon.js";
import { judgeWindow } from "../judge.js";
import { ConnectionBook, type DrainableServer, isPlainHttp1 } from "./connection-book.js";
import type { HttpConnection } from "./http-connection.js";
import { drainSession } from "./http2-session.js";
import { fdOf, giveToSibling, openWelcome, type Welcome } from "./sibling.js";

export interface DrainableOptions {
  /**
   * Gives idle connections to another process of the same user that accepts on the same socket and has called `drainable`, too; and takes
   * such connections. True unless said otherwise; never for TLS and HTTP/2.
   */
  readonly siblings?: boolean;
}

export interface DrainOptions {
  /** what open connections may take, 0 to 2 ** 31 - 1; 10 seconds unless said otherwise */
  readonly windowMs?: number;
  /** ends the window at once */
  readonly signal?: AbortSignal;
  /**
   * An upgraded connection (a WebSocket) should say goodbye in its own protocol now; what has not ended in `leftMs` is closed. The calls are
   * spread over the first half of the window, so that not all clients come back at once; of what is upgraded later, over what is left of it.
   * Never for a WebSocket over HTTP/2: that is a stream of its session, and the GOAWAY tells the client.
   */
  readonly onUpgraded?: (socket: Socket, leftMs: number) => void;
}

export interface DrainOutcome {
  /** connections that ended with nothing under way, or went on with a sibling */
  readonly drained: number;
  /** connections that were closed in the middle of something */
  readonly cut: number;
  readonly seconds: number;
}

/**
 * Stops accepting, lets what is open end, and resolves when nothing is. A later call gets the first one's outcome. Rejects with EntryError
 * config, and nothing has begun, for a `windowMs` that cannot be.
 */
export type Drain = (options?: DrainOptions) => Promise<DrainOutcome>;

/** until then a client that wants something asks for it, and is told with the answer; only who is still silent is closed without a word */
const patience = 0.5;
/** from then on upgraded connections are closed, one by one, until the end of the window */
const lastCall = 0.9;
const giveEveryMs = 50;
const tickMs = 20;

/**
 * Prepares a server for a drain that takes nothing from its clients. To be called before it listens: connections are known from their
 * beginning.
 */
export function drainable(server: DrainableServer, { siblings = true }: DrainableOptions = {}): Drain {
  let welcome: Welcome | undefined;
  const book = new ConnectionBook(server, {
    listening: () => {
      const fd = fdOf(server);
      if (siblings && isPlainHttp1(server) && fd !== undefined)
        welcome = openWelcome(fd, (socket) => server.emit("connection", socket));
    },
    close: () => welcome?.close(),
  });
  let outcome: Promise<DrainOutcome> | undefined;
  return async ({ windowMs = 10_000, ...options } = {}) => {
    judgeWindow(windowMs);
    outcome ??= run(server, book, welcome, windowMs, options);
    return outcome;
  };
}

async function run(
  server: DrainableServer,
  book: ConnectionBook,
  welcome: Welcome | undefined,
  windowMs: number,
  { signal, onUpgraded }: DrainOptions,
): Promise<DrainOutcome> {
  const began = performance.now();
  const over = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  const passed = () => performance.now() - began;
  /** Acts `part` of the way between two shares of the window; of what has passed already nothing counts. */
  const between = (from: number, to: number, part: number, act: () => void): void => {
    const wait = Math.max(0, from * windowMs - passed());
    const room = Math.max(0, to * windowMs - passed() - wait);
    timers.push(setTimeout(act, wait + part * room));
  };
  const farewell = (connection: HttpConnection, part: number): void => {
    const { socket } = connection;
    between(0, patience, part, () => {
      if (socket.writable) onUpgraded?.(socket, windowMs - passed());
    });
    between(lastCall, 1, part, () => {
      if (!socket.destroyed) connection.cut();
    });
  };
  // the server's own descriptor is closed with it
  const listener = welcome === undefined ? undefined : fdOf(server);
  const listenerFd = listener === undefined ? undefined : duplicate(listener);
  welcome?.close();
  const closed = new Promise<void>((resolve) => {
    // http.Server.close would destroy what looks idle, also where a request waits to be read
    NetServer.prototype.close.call(server, () => resolve());
  });
  if ("keepAliveTimeout" in server) server.keepAliveTimeout = 0;
  // how many will come late, nobody knows
  book.drain((late) => farewell(late, Math.random()));
  const giving = listenerFd === undefined ? undefined : giveIdle(listenerFd, welcome?.name, book, over.signal);
  for (const [index, session] of [...book.sessions].entries())
    between(0, patience, index / book.sessions.size, () => drainSession(session));
  const { upgraded } = book;
  for (const [index, connection] of upgraded.entries()) farewell(connection, index / upgraded.length);
  between(patience, 1, 0, () => void closeSilent(book, began + lastCall * windowMs, over.signal));
  const end = () => book.close();
  between(1, 1, 0, end);
  if (signal?.aborted) end();
  else signal?.addEventListener("abort", end, { once: true });
  await closed;
  await book.empty();
  over.abort();
  for (const timer of timers) clearTimeout(timer);
  signal?.removeEventListener("abort", end);
  await giving;
  const seconds = Math.round(passed() / 10) / 100;
  return { drained: book.ended - book.cut, cut: book.cut, seconds };
}

/** Without a descriptor left nothing can be given away, and the drain goes on. */
function duplicate(fd: number): number | undefined {
  try {
    return native().dup(fd);
  } catch {
    return undefined;
  }
}

/** What is idle goes at once; what becomes idle, soon after. */
async function giveIdle(
  listenerFd: number,
  own: string | undefined,
  book: ConnectionBook,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    if (book.idle.length > 0) await giveToSibling(listenerFd, own, () => book.idle);
    await delay(giveEveryMs, undefined, { signal: over }).catch(() => {});
  }
  native().close(listenerFd);
}

/** One after the other until `until`, who has been silent for longest first: who will say something next is known last. */
async function closeSilent(book: ConnectionBook, until: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const silent = book.idle.sort((a, b) => a.idleSince - b.idleSince);
    const left = Math.max(1, until - performance.now());
    for (const connection of silent.slice(0, Math.ceil((silent.length * tickMs) / left))) connection.endIfSilent();
    await delay(tickMs, undefined, { signal: over }).catch(() => {});
    // right after a look for new bytes: what had arrived by then has been read
    await new Promise((resolve) => setImmediate(resolve));
  }
}
