import { fstatSync } from "node:fs";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Acceptors, ClientEnd } from "../../core/acceptance.js";
import type { OwnConnections } from "./own-connections.js";

/** Opens a connection for a probe. */
export type Dial = (options: NetConnectOpts, signal: AbortSignal) => Promise<Socket>;

/** A connection that anybody may accept. */
export function plainDial(own: OwnConnections): Dial {
  return (options, signal) => open(options, own, signal);
}

/** so many connections at once: of several that accept on one socket the one that is always first is busy then */
const burst = [1, 2, 4, 8];
/** between looks, and between tries: longer and longer, so that a race that is not won for long does not keep a processor from who has to accept */
const pauses = [2, 4, 8, 16, 32, 50] as const;
/** a connection that nobody has accepted by then is given up */
const queueMs = 250;

export interface AcceptedParts {
  readonly pids: readonly number[];
  readonly acceptors: Acceptors;
  readonly own: OwnConnections;
  /** told when somebody else was faster */
  readonly othersAccepted: () => void;
  /** told when somebody has accepted and closed a connection before it was seen who */
  readonly closed: () => void;
}

/**
 * Opens a connection that one of the processes, or one below them, has accepted; others' are closed without a word. Two generations accept on the
 * same sockets during an upgrade, and the old one's answer says nothing of the new one.
 */
export async function acceptedConnection(
  options: NetConnectOpts,
  parts: AcceptedParts,
  signal: AbortSignal,
): Promise<Socket> {
  for (let round = 0; ; round += 1) {
    const sockets = Array.from({ length: burst[Math.min(round, burst.length - 1)] ?? 1 }, () =>
      open(options, parts.own, signal),
    );
    try {
      const connected = await Promise.all(sockets);
      const mine = await choose(connected, options, parts, signal);
      for (const socket of connected) if (socket !== mine) socket.destroy();
      if (mine !== undefined) return mine;
    } catch (error) {
      for (const socket of sockets)
        void socket.then(
          (each) => each.destroy(),
          () => {},
        );
      throw error;
    }
    signal.throwIfAborted();
    await pause(round);
  }
}

async function choose(
  sockets: readonly Socket[],
  options: NetConnectOpts,
  { pids, acceptors, othersAccepted, closed }: AcceptedParts,
  signal: AbortSignal,
): Promise<Socket | undefined> {
  const from = performance.now();
  for (let look = 0; performance.now() - from < queueMs && !signal.aborted; look += 1) {
    const ends = sockets.map((socket) => clientEnd(socket, options));
    const known = acceptors(
      ends.filter((end) => end !== undefined),
      pids,
    ).values();
    const found = ends.map((end) => (end === undefined ? "closed" : (known.next().value ?? "untold")));
    const mine = sockets[found.indexOf("mine")];
    // where it cannot be told, any answer has to do
    const untold = sockets.find((each, i) => found[i] === "untold" && !each.destroyed);
    if (mine !== undefined || untold !== undefined) return mine ?? untold;
    if (found.includes("other")) othersAccepted();
    if (found.includes("closed")) closed();
    if (!found.includes("queued")) return undefined;
    await pause(look);
  }
  return undefined;
}

function pause(round: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, pauses[round] ?? pauses.at(-1)));
}

function open(options: NetConnectOpts, own: OwnConnections, signal: AbortSignal): Promise<Socket> {
  return new Promise((done, failed) => {
    const socket = connect(options);
    own.watch(socket);
    const leave = () => socket.destroy();
    signal.addEventListener("abort", leave, { once: true });
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      signal.removeEventListener("abort", leave);
      // whoever closes it meanwhile is found by the next look
      socket.on("error", () => {});
      done(socket);
    });
  });
}

function clientEnd(socket: Socket, options: NetConnectOpts): ClientEnd | undefined {
  if ("path" in options && options.path !== undefined) {
    const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
    if (handle?.fd === undefined || handle.fd < 0) return undefined;
    return { kind: "unix", inode: fstatSync(handle.fd).ino };
  }
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (localAddress === undefined || localPort === undefined || remoteAddress === undefined || remotePort === undefined)
    return undefined;
  return { kind: "tcp", localAddress, localPort, remoteAddress, remotePort };
}
