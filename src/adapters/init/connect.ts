import { EntryError } from "../../core/entry-error.js";
import type { Init } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { Channel, type ReceivedFrame } from "./channel.js";
import { encodeFrame, FrameError } from "./frame.js";
import { Handshake, protocolVersion } from "./handshake.js";
import { InitClient } from "./init-client.js";
import { type Reply, readReply } from "./reply.js";

/** Set by the init, for its supervisor alone: the number of the channel's descriptor. */
export const channelVariable = "PINGORA_ENTRY_CHANNEL";

const handshakeMs = 10_000;

/**
 * Connects to the init that started this process, and takes what an earlier supervisor left with it. The variable is removed from
 * `env` and the channel is made close-on-exec: nothing that is started from here sees either. Takes the channel over, also when it fails.
 * @throws EntryError os: not started by an init, a channel that is none, an init that does not answer or speaks another version
 */
export async function connectInit(env: NodeJS.ProcessEnv): Promise<Init> {
  const text = env[channelVariable];
  delete env[channelVariable];
  if (text === undefined) {
    throw new EntryError(
      "os",
      `cannot find the init: ${channelVariable} is not set; start through the pingora-entry program`,
    );
  }
  const fd = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (!isChannel(fd)) {
    throw new EntryError(
      "os",
      `cannot find the init: ${channelVariable} is "${text}", which is no channel; leave it to the init`,
    );
  }
  native().setCloexec(fd, true);
  return openChannel(fd);
}

function isChannel(fd: number): boolean {
  if (fd < 0) return false;
  const { getOption, constants } = native();
  try {
    const domain = getOption(fd, constants.SOL_SOCKET, constants.SO_DOMAIN);
    const type = getOption(fd, constants.SOL_SOCKET, constants.SO_TYPE);
    return domain === constants.AF_UNIX && type === constants.SOCK_SEQPACKET;
  } catch {
    return false;
  }
}

/**
 * Starts the init as a child that spawns and reaps for this process (library use). It shares stdout and stderr, and when this process
 * ends without `exit`, it stops everything it has started.
 * @throws EntryError os: the program cannot be started, or does not answer
 */
export async function startSpawner(binary: string): Promise<Init> {
  // only here: a supervisor under an init never starts a process by itself, and should not wait for what could
  const { spawn } = await import("node:child_process");
  const { socketpair, close, constants } = native();
  const [ours, theirs] = socketpair(constants.SOCK_SEQPACKET);
  const child = spawn(binary, ["--spawner"], { stdio: ["ignore", "inherit", "inherit", theirs] });
  close(theirs);
  const failed = new Promise<never>((_, reject) => {
    child.once("error", (cause) =>
      reject(new EntryError("os", `cannot start the init ${binary}: ${cause.message}`, { cause })),
    );
  });
  child.unref();
  const opened = openChannel(ours);
  try {
    return await Promise.race([opened, failed]);
  } catch (error) {
    opened.catch(() => {});
    throw error;
  }
}

/** Shakes hands over `fd`, which is taken over, and returns the client. Exported for tests with an init of their own. */
export function openChannel(fd: number): Promise<Init> {
  return new Promise((resolve, reject) => {
    const handshake = new Handshake();
    let client: InitClient | undefined;
    const fail = (error: Error) => {
      clearTimeout(timer);
      channel.close();
      handshake.abandon();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new EntryError("os", `cannot reach the init: no answer for ${handshakeMs / 1000} s, it must run`)),
      handshakeMs,
    );
    const early: Reply[] = [];
    const receive = (frame: ReceivedFrame) => {
      if (client) return client.receive(frame);
      const reply = readReply(frame);
      if (handshake.take(reply, frame)) return;
      if (frame.fds.length > 0) throw new FrameError(frame.verb, `${frame.fds.length} descriptors, none is needed`);
      if (reply.kind !== "synced") {
        early.push(reply);
        return;
      }
      client = new InitClient(channel, handshake.finish());
      for (const waiting of early) client.take(waiting);
      clearTimeout(timer);
      resolve(client);
    };
    const channel = new Channel(fd, {
      receive: (frame) => {
        try {
          receive(frame);
        } catch (error) {
          if (error instanceof EntryError && client === undefined) fail(error);
          else throw error;
        }
      },
      misunderstood: (error) => {
        // what an earlier supervisor left must be complete: without it, services would be started twice
        if (client) process.emitWarning(`from the init, ${error.verb}: ${error.message}`);
        else
          fail(
            new EntryError("os", `cannot take over from the init, ${error.verb}: ${error.message}`, { cause: error }),
          );
      },
      lost: () => {
        if (client) client.lost();
        else fail(new EntryError("os", "cannot reach the init: it closed the channel before it had said all"));
      },
    });
    channel.send({ verb: "HELLO", bytes: encodeFrame("HELLO", [`${protocolVersion}`]), fds: [] });
  });
}
