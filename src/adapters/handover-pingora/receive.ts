import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { decodePingoraNames, encodeKnock, isFrame, mostPingoraBytes } from "../../core/pingora-handover.js";
import type { PingoraSocket } from "../../runtime/handover-ports.js";
import type { Clock } from "../../runtime/ports.js";
import { type Credentials, native, type ReceivedMessage } from "../native/addon.js";
import { codeOf, readableBefore, stranger } from "./wait-for.js";

export interface ReceiveOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** as pingora counts: how long it waits for a connection is (retries + 1) times intervalMs */
  readonly retries: number;
  readonly intervalMs: number;
  /** what somebody who has connected may take to say something; pingora waits for ever */
  readonly silenceMs: number;
  /** of our journal, told to one of ours; a real pingora does not notice */
  readonly directory: string;
  /** somebody came who did not hand over */
  readonly turnedAway: (reason: string) => void;
}

export type Received =
  /** fds and connection are the caller's; the other end sees by the connection that this one lives */
  | {
      readonly kind: "sockets";
      readonly sockets: readonly PingoraSocket[];
      readonly connection: number;
      readonly peer: Credentials;
    }
  /** one of ours, speaking frames */
  | { readonly kind: "ours"; readonly connection: number }
  | { readonly kind: "nobody"; readonly reason: string };

/**
 * The new one's side: waits at `path` for whoever hands its sockets over. Who comes and does not, is turned away, and the wait goes on.
 * @throws Error with `code`: the path cannot be listened at
 */
export async function receiveFromPingora(path: string, options: ReceiveOptions): Promise<Received> {
  const { clock, signal, retries, intervalMs } = options;
  const deadline = clock.now() + (retries + 1) * intervalMs;
  const place = new MeetingPlace(path);
  let last = "";
  try {
    while (await readableBefore(place.fd, deadline, clock, signal)) {
      const connection = native().accept(place.fd);
      if (connection === undefined) continue;
      const received = await take(connection, options);
      if (typeof received !== "string") return received;
      native().close(connection);
      last = received;
      options.turnedAway(received);
    }
  } finally {
    place.close();
  }
  if (signal.aborted) return { kind: "nobody", reason: "it is not wanted any more" };
  const seconds = ((retries + 1) * intervalMs) / 1000;
  const reason = `nobody handed over at ${path} within ${seconds} s${last === "" ? "" : `; the last who came: ${last}`}`;
  return { kind: "nobody", reason };
}

/** The listening socket at upgrade_sock; its path is removed with it, unless another has it by then. */
class MeetingPlace {
  readonly fd: number;
  readonly #path: string;
  readonly #inode: bigint;

  constructor(path: string) {
    const addon = native();
    const { AF_UNIX, SOCK_STREAM } = addon.constants;
    this.#path = path;
    removeSocket(path);
    this.fd = addon.socket(AF_UNIX, SOCK_STREAM);
    try {
      addon.setMode(this.fd, 0o660);
      addon.bindUnix(this.fd, path);
      // the umask may have taken the group's part
      chmodSync(path, 0o660);
      addon.listen(this.fd, 8);
      this.#inode = lstatSync(path, { bigint: true }).ino;
    } catch (error) {
      addon.close(this.fd);
      throw error;
    }
  }

  close(): void {
    native().close(this.fd);
    const found = lstatSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (found?.ino === this.#inode) unlinkSync(this.#path);
  }
}

/** As pingora does, but a socket only. */
function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path);
}

/** What one who came has to give, or why it is sent away. The connection stays open. */
async function take(
  connection: number,
  options: ReceiveOptions,
): Promise<Exclude<Received, { kind: "nobody" }> | string> {
  const { clock, signal, silenceMs, directory } = options;
  const peer = native().getPeerCredentials(connection);
  const problem = stranger(peer.uid);
  if (problem !== undefined) return problem;
  knock(connection, directory);
  if (!(await readableBefore(connection, clock.now() + silenceMs, clock, signal))) return "it said nothing";
  const buffer = new Uint8Array(mostPingoraBytes + 1);
  const first = read(connection, buffer, "peekmsg");
  for (const fd of first?.fds ?? []) native().close(fd);
  if (first !== undefined && first.length > 0 && first.fds.length === 0 && isFrame(buffer))
    return { kind: "ours", connection };
  const message = read(connection, buffer, "recvmsg");
  if (message === undefined || message.length === 0) return "it closed the connection and sent nothing";
  const sockets = unpack(buffer.subarray(0, message.length), message);
  if (typeof sockets !== "string") return { kind: "sockets", sockets, connection, peer };
  for (const fd of message.fds) native().close(fd);
  return sockets;
}

/** A real pingora never reads: this stays in its socket, or the socket is closed already. */
function knock(connection: number, directory: string): void {
  try {
    native().sendmsg(connection, encodeKnock(directory), []);
  } catch (error) {
    if (codeOf(error) !== "EPIPE" && codeOf(error) !== "ECONNRESET") throw error;
  }
}

/** One that closed without having read our knock has reset the connection: told once, perhaps before what it had sent. */
function read(connection: number, buffer: Uint8Array, how: "peekmsg" | "recvmsg"): ReceivedMessage | undefined {
  for (;;) {
    try {
      return native()[how](connection, buffer);
    } catch (error) {
      if (codeOf(error) !== "ECONNRESET") throw error;
    }
  }
}

function unpack(bytes: Uint8Array, message: ReceivedMessage): readonly PingoraSocket[] | string {
  if (message.controlTruncated) return "sockets were lost: this process may open no more files";
  const names = decodePingoraNames(bytes, message.fds.length);
  if (!names.ok) return names.reason;
  try {
    return names.keys.map((key, i) => describe(key, message.fds[i] ?? -1));
  } catch (error) {
    return `what it sent is no listening socket: ${(error as Error).message}`;
  }
}

/** @throws Error: it is no socket that listens */
function describe(key: string, fd: number): PingoraSocket {
  const addon = native();
  const { constants: c } = addon;
  const facts = new Float64Array(2);
  addon.inspectSockets(Int32Array.of(fd), facts);
  const [inode = 0, listening] = facts;
  if (listening !== 1) throw new Error(`"${key}" does not listen`);
  const type = addon.getOption(fd, c.SOL_SOCKET, c.SO_TYPE);
  const local = addon.getLocalAddress(fd);
  const host = local.family === "inet6" ? `[${local.host}]` : local.family === "inet" ? local.host : "";
  const address = local.family === "unix" ? (local.path ?? "") : local.family === "none" ? "" : `${host}:${local.port}`;
  return { key, fd, inode, address, type: type === c.SOCK_STREAM ? "stream" : "seqpacket" };
}
