import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2SecureServer, Http2Server, ServerHttp2Session } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { HttpConnection } from "./http-connection.js";
import { drainSession } from "./http2-session.js";
import { fdOf } from "./sibling.js";

export type DrainableServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer;

type Listener = (...args: never[]) => void;

/** Plain HTTP/1: neither TLS nor HTTP/2. */
export function isPlainHttp1(server: DrainableServer): boolean {
  return !("setSecureContext" in server) && "keepAliveTimeout" in server;
}

/** Every connection of a server from its beginning, and what became of those that ended during the drain. */
export class ConnectionBook {
  readonly sessions = new Set<ServerHttp2Session>();
  ended = 0;
  cut = 0;
  readonly #connections = new Map<Socket, HttpConnection>();
  /** by descriptor: TCP connections whose TLS handshake is not complete; of a silent one nothing else is ever told */
  readonly #handshakes = new Map<number, HttpConnection>();
  /** all there are, below TLS and HTTP/2 */
  readonly #sockets = new Set<Socket>();
  readonly #cutSessions = new Set<ServerHttp2Session>();
  #draining = false;
  #late: (connection: HttpConnection) => void = () => {};

  constructor(server: DrainableServer, more: Readonly<Record<string, Listener>>) {
    const plain = isPlainHttp1(server);
    const tls = "setSecureContext" in server;
    const listeners: Readonly<Record<string, Listener>> = {
      ...more,
      connection: (socket: Socket) => {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
        if (plain) this.#track(socket);
        else if (tls) this.#trackHandshake(socket);
      },
      secureConnection: (socket: Socket & { readonly alpnProtocol?: string }) => {
        this.#handshakeOver(socket);
        if (socket.alpnProtocol !== "h2") this.#track(socket);
      },
      session: (session: ServerHttp2Session) => this.#trackSession(session),
      request: this.#asked,
      checkContinue: this.#asked,
      checkExpectation: this.#asked,
      upgrade: this.#upgraded,
      connect: this.#upgraded,
    };
    // a listener of ours would come after the application's, and change what Node does by itself where nobody listens
    const emit = server.emit as (event: string, ...args: unknown[]) => boolean;
    server.emit = function (this: DrainableServer, event: string, ...args: unknown[]) {
      (listeners[event] as ((...args: unknown[]) => void) | undefined)?.(...args);
      return emit.call(this, event, ...args);
    } as typeof server.emit;
  }

  get connections(): HttpConnection[] {
    return [...this.#connections.values()];
  }

  get upgraded(): HttpConnection[] {
    return this.connections.filter(({ upgraded }) => upgraded);
  }

  get idle(): HttpConnection[] {
    return this.connections.filter(({ idle, socket }) => idle && !socket.destroyed);
  }

  /** From now on every answer is the last one of its connection. `late` gets what is upgraded from now on, before the application does. */
  drain(late: (connection: HttpConnection) => void): void {
    this.#draining = true;
    this.#late = late;
    const handshakes = new Set(this.#handshakes.values());
    for (const connection of this.connections) if (!handshakes.has(connection)) connection.drain();
  }

  /** Closes all there is. */
  close(): void {
    for (const connection of this.connections) connection.cut();
    for (const session of this.sessions) {
      this.#cutSessions.add(session);
      session.destroy();
    }
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Also of connections that the server itself does not count: what a sibling gave. */
  async empty(): Promise<void> {
    for (;;) {
      const [left] = [...this.#connections.keys(), ...this.sessions];
      if (left === undefined) return;
      await new Promise((resolve) => left.once("close", resolve));
    }
  }

  #track(socket: Socket): HttpConnection {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const connection = this.#add(socket);
    if (this.#draining) connection.drain();
    return connection;
  }

  #add(socket: Socket): HttpConnection {
    const connection = new HttpConnection(socket);
    this.#connections.set(socket, connection);
    socket.once("close", () => {
      // else it has gone on as another
      if (this.#connections.delete(socket)) this.#end(connection.wasCut);
    });
    return connection;
  }

  /** Idle until its first byte: it ends, and is counted, as a plain connection that was never asked anything. */
  #trackHandshake(socket: Socket): void {
    const connection = this.#add(socket);
    const fd = fdOf(socket);
    if (fd === undefined) return;
    this.#handshakes.set(fd, connection);
    socket.once("close", () => {
      if (this.#handshakes.get(fd) === connection) this.#handshakes.delete(fd);
    });
  }

  /** What is encrypted has the descriptor of what is below. */
  #handshakeOver(secure: Socket): void {
    const fd = fdOf(secure);
    const below = fd === undefined ? undefined : this.#handshakes.get(fd);
    if (fd === undefined || below === undefined) return;
    this.#handshakes.delete(fd);
    this.#connections.delete(below.socket);
  }

  #trackSession(session: ServerHttp2Session): void {
    this.sessions.add(session);
    session.once("close", () => {
      this.sessions.delete(session);
      this.#end(this.#cutSessions.has(session));
    });
    if (this.#draining) drainSession(session);
  }

  #end(cut: boolean): void {
    if (!this.#draining) return;
    this.ended += 1;
    if (cut) this.cut += 1;
  }

  readonly #asked = (request: IncomingMessage, answer: ServerResponse): void => {
    if (request.httpVersionMajor < 2) this.#track(request.socket).asked(request, answer);
  };

  readonly #upgraded = (request: IncomingMessage, socket: Socket): void => {
    // an HTTP/2 CONNECT is a stream of its session, and what looks like its socket is an answer
    if (request.httpVersionMajor >= 2) return;
    const connection = this.#track(socket);
    connection.upgrade();
    this.#late(connection);
  };
}
