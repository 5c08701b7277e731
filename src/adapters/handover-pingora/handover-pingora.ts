import { statSync } from "node:fs";
import { EntryError } from "../../core/entry-error.js";
import type { PingoraHandover, PingoraSocket } from "../../runtime/handover-ports.js";
import type { Clock, Log } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { type Received, receiveFromPingora } from "./receive.js";
import { sendToPingora } from "./send.js";
import { watchPingoraSuccessor } from "./successor.js";
import { codeOf } from "./wait-for.js";

/** pingora's, compiled in there */
const intervalMs = 1_000;
const helloWaitMs = 200;
const silenceMs = 2_000;

export interface PingoraOptions {
  readonly path: string;
  readonly retries: number;
  /** upgrade.directory, which tells one of ours apart from one of ours that goes by another journal */
  readonly directory: string | undefined;
  readonly clock: Clock;
}

/** The old one's side of pingora's way, for the runtime. */
export function pingoraHandover({ path, retries, directory, clock }: PingoraOptions): PingoraHandover {
  return {
    path,
    async send(sockets, { signal, retrying }) {
      const common = { clock, signal, retries, intervalMs, helloWaitMs, retrying };
      const sent = await sendToPingora(path, sockets, { ...common, directory: directoryId(directory) });
      if (sent.kind === "ours") return sent;
      if (sent.kind !== "sent")
        return { kind: "failed", reason: sent.kind === "nobody" ? `${sent.reason}, ${sent.tries} tries` : sent.reason };
      const { connection, peer, ours } = sent;
      return {
        kind: "sent",
        successor: watchPingoraSuccessor({ connection, pid: peer.pid, ours, sockets: identified(sockets), clock }),
      };
    },
  };
}

/**
 * The new one's side: resolves with the sockets, or undefined when nobody handed over.
 * @throws EntryError os: the path cannot be listened at
 */
export async function inheritFromPingora(
  { path, retries, directory, clock }: PingoraOptions,
  log: Log,
): Promise<readonly PingoraSocket[] | undefined> {
  const received = await receiveFromPingora(path, {
    clock,
    signal: new AbortController().signal,
    retries,
    intervalMs,
    silenceMs,
    directory: directoryId(directory),
    turnedAway: (reason) => log.warn(`somebody came to ${path} and did not hand over: ${reason}`),
  }).catch((error: unknown): Received => {
    if (codeOf(error) === "") throw error;
    throw new EntryError("os", `cannot wait at upgrade_sock ${path}: ${(error as Error).message}`, { cause: error });
  });
  if (received.kind === "sockets") {
    // the connection stays: the old one sees by it that this process lives
    log.info(`${received.sockets.length} sockets from process ${received.peer.pid}`, { role: "new" });
    return received.sockets;
  }
  if (received.kind === "ours") native().close(received.connection);
  log.warn(received.kind === "ours" ? `who came to ${path} wants another handover` : received.reason);
  return undefined;
}

/** The same for all who see the directory, whatever it is called there. */
function directoryId(directory: string | undefined): string {
  const found = directory === undefined ? undefined : statSync(directory, { throwIfNoEntry: false });
  return found === undefined ? "" : `${found.dev}:${found.ino}`;
}

function identified(sockets: readonly { readonly key: string; readonly fd: number }[]) {
  const facts = new Float64Array(sockets.length * 2);
  native().inspectSockets(
    Int32Array.from(sockets, ({ fd }) => fd),
    facts,
  );
  return sockets.map(({ key }, i) => ({ key, inode: facts[2 * i] ?? 0 }));
}
