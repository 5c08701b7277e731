import { decodeKnock, encodePingoraNames, isFrame } from "../../core/pingora-handover.js";
import type { Clock } from "../../runtime/ports.js";
import { type Credentials, native } from "../native/addon.js";
import { codeOf, readableBefore, stranger } from "./wait-for.js";

export interface SendOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** tries after the first; pingora's is 5 */
  readonly retries: number;
  /** between two of them; pingora's is 1000 */
  readonly intervalMs: number;
  /** what one of ours has to say something; pingora's says nothing */
  readonly helloWaitMs: number;
  /** of our journal; one of ours that goes by the same is left to our own protocol */
  readonly directory: string;
  readonly retrying: (reason: string, tries: number) => void;
}

export type Sent =
  /** the message is on its way. `ours`: to one of ours that goes by another journal */
  | { readonly kind: "sent"; readonly connection: number; readonly peer: Credentials; readonly ours: boolean }
  /** one of ours is there, nothing was sent; the connection is the caller's */
  | { readonly kind: "ours"; readonly connection: number }
  /** so many tries, nobody listened */
  | { readonly kind: "nobody"; readonly reason: string; readonly tries: number }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * The old one's side: connects to whoever waits at `path`, and sends it the sockets as pingora does. They stay the caller's in any case, and
 * everything is as before unless the result is `sent`, but for O_NONBLOCK: when it is not wanted any more, the caller has to put that back.
 */
export async function sendToPingora(
  path: string,
  sockets: readonly { readonly key: string; readonly fd: number }[],
  options: SendOptions,
): Promise<Sent> {
  const addon = native();
  const connection = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
  const result = await converse(connection, path, sockets, options).catch((error: unknown): Sent => {
    if (codeOf(error) === "") throw error;
    return { kind: "refused", reason: `cannot hand over at ${path}: ${(error as Error).message}` };
  });
  if (result.kind === "nobody" || result.kind === "refused") addon.close(connection);
  return result;
}

async function converse(
  connection: number,
  path: string,
  sockets: readonly { readonly key: string; readonly fd: number }[],
  options: SendOptions,
): Promise<Sent> {
  const addon = native();
  const nobody = await connect(connection, path, options);
  if (nobody !== undefined) return nobody;
  const peer = addon.getPeerCredentials(connection);
  const problem = stranger(peer.uid);
  if (problem !== undefined) return { kind: "refused", reason: `whoever listens at ${path} gets nothing: ${problem}` };
  const { clock, helloWaitMs, signal, directory } = options;
  const spoken = await readableBefore(connection, clock.now() + helloWaitMs, clock, signal);
  if (signal.aborted) return { kind: "refused", reason: "it is not wanted any more" };
  let ours = false;
  if (spoken) {
    const word = listen(connection, path);
    if (typeof word === "object") return word;
    if (word === directory && directory !== "") return { kind: "ours", connection };
    ours = true;
  }
  // tokio would stand still in accept on a socket that blocks; the flag is the socket's, whoever has it. One of ours leaves it to its services
  if (!ours) for (const { fd } of sockets) addon.setNonblock(fd, true);
  const names = encodePingoraNames(sockets.map(({ key }) => key));
  const sent = addon.sendmsg(
    connection,
    names,
    sockets.map(({ fd }) => fd),
  );
  if (sent !== names.length) return { kind: "refused", reason: `whoever listens at ${path} takes no message` };
  return { kind: "sent", connection, peer, ours };
}

/** What the other end has said: the directory of one of ours, or why it is nobody to talk to. */
function listen(connection: number, path: string): string | Sent {
  const buffer = new Uint8Array(64 * 1024);
  const addon = native();
  const message = addon.peekmsg(connection, buffer);
  for (const fd of message?.fds ?? []) addon.close(fd);
  const bytes = buffer.subarray(0, message?.length ?? 0);
  if (bytes.length === 0) return { kind: "refused", reason: `whoever listened at ${path} closed the connection` };
  if (!isFrame(bytes))
    return { kind: "refused", reason: `whoever listens at ${path} is neither a pingora nor one of ours` };
  const directory = decodeKnock(bytes);
  // another frame is a session's: nothing of it may be missing there
  if (directory !== undefined) addon.recvmsg(connection, buffer);
  return directory ?? { kind: "ours", connection };
}

/** Undefined when it is connected. */
async function connect(connection: number, path: string, options: SendOptions): Promise<Sent | undefined> {
  const { clock, signal, retries, intervalMs, retrying } = options;
  // nobody there, nobody any more, not yet permitted, too many at once
  const passing = new Set(["ENOENT", "ECONNREFUSED", "EACCES", "EAGAIN"]);
  for (let tries = 1; ; tries += 1) {
    try {
      native().connectUnix(connection, path);
      return undefined;
    } catch (error) {
      if (!passing.has(codeOf(error))) throw error;
      const reason = `nobody listens at ${path} (${codeOf(error)})`;
      if (tries > retries) return { kind: "nobody", reason, tries };
      retrying(reason, tries);
    }
    await clock.until(clock.now() + intervalMs, signal);
    if (signal.aborted) return { kind: "refused", reason: "it is not wanted any more" };
  }
}
