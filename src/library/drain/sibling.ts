import { fstatSync, readFileSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { native } from "../../adapters/native/addon.js";
import { readable, watch } from "../../adapters/native/watch.js";

/**
 * How processes that accept on the same socket find each other, so that one that drains can give its idle connections to another: the client
 * notices nothing, and a request that is on its way arrives.
 *
 *     draining                                       sibling
 *     name in /proc/net/unix  <-------------------   listens on "\0pingora-entry/idle/INODE OF THE LISTENER/ID"
 *     connect, same user? --------------------->     same user?
 *     "."                        -------------->     0: it lives (a process that is stopped would hold what it is given)
 *     stops reading
 *     "." + up to 64 connections -------------->     takes them as if it had accepted them
 *     closes its own copies      <--------------     how many: a process at its limit of descriptors gets the first few
 *     (reads on where the answer is the end: the sibling drains as well, or died)
 *
 * Abstract names live in the network namespace: pods' containers find each other, too. Nobody else's user is listened to, or given anything.
 */
const prefix = "pingora-entry/idle/";
const mostFds = 64;
/** how long a sibling that does not read may keep us from going on */
const patienceMs = 500;

/** Is there to be given connections until `close`. */
export interface Welcome {
  readonly name: string;
  close(): void;
}

/** Undefined where it cannot be: a server that does not listen (yet), no addon, no abstract sockets. */
export function openWelcome(listenerFd: number, take: (socket: Socket) => void): Welcome | undefined {
  try {
    const addon = native();
    const { AF_UNIX, SOCK_STREAM } = addon.constants;
    const id = `${Math.round(performance.timeOrigin).toString(36)}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    const name = `${prefix}${fstatSync(listenerFd).ino}/${id}`;
    const fd = addon.socket(AF_UNIX, SOCK_STREAM);
    addon.bindUnix(fd, `\0${name}`);
    // libuv must not read: it would drop the descriptors
    const server = createServer({ pauseOnConnect: true }, (from) => receive(from, take));
    server.on("error", () => {});
    server.listen({ fd });
    server.unref();
    return { name, close: () => void server.close() };
  } catch {
    return undefined;
  }
}

function receive(from: Socket, take: (socket: Socket) => void): void {
  const addon = native();
  from.on("error", () => {});
  const fd = sameUser(from);
  from.destroy();
  if (fd === undefined) return;
  const buffer = Buffer.alloc(16);
  const read = watch(fd, readable, () => {
    try {
      for (;;) {
        const message = addon.recvmsg(fd, buffer);
        if (message === undefined) return;
        if (message.length === 0) break;
        for (const each of message.fds)
          take(new Socket({ fd: each, readable: true, writable: true, allowHalfOpen: true }));
        addon.sendmsg(fd, Buffer.of(message.fds.length), []);
      }
    } catch {
      // it died in the middle
    }
    read.close();
    addon.close(fd);
  });
  read.keepAlive(false);
}

/** A descriptor of it that is not libuv's; undefined for another user's, or where there is none left: then the other side keeps what it has. */
function sameUser(from: Socket): number | undefined {
  const fd = fdOf(from);
  try {
    if (fd === undefined || native().getPeerCredentials(fd).uid !== process.geteuid?.()) return undefined;
    return native().dup(fd);
  } catch {
    return undefined;
  }
}

/** A connection that can be given away while it is idle. */
export interface Givable {
  readonly socket: Socket;
  /** stops reading: what arrives from now on is for who gets it */
  hold(): void;
  /** reads on */
  resume(): void;
}

/** Gives these connections to a sibling, the youngest first, and closes them here. Without a sibling they stay as they are. */
export async function giveToSibling(
  listenerFd: number,
  own: string | undefined,
  idle: () => readonly Givable[],
): Promise<void> {
  const addon = native();
  for (const name of siblings(listenerFd, own)) {
    const fd = connectTo(name);
    if (fd === undefined) continue;
    try {
      if ((await give(fd, [])) !== "taken") continue;
      for (let batch = idle().slice(0, mostFds); batch.length > 0; batch = idle().slice(0, mostFds))
        if ((await give(fd, batch)) !== "taken") break;
      if (idle().length === 0) return;
    } finally {
      addon.close(fd);
    }
  }
}

/** `refused`: the sibling has not taken them, and they are read here again; `silent`: it may yet. */
async function give(fd: number, batch: readonly Givable[]): Promise<"taken" | "refused" | "silent"> {
  const addon = native();
  for (const each of batch) each.hold();
  const fds = batch.flatMap(({ socket }) => fdOf(socket) ?? []);
  const until = performance.now() + patienceMs;
  const answer = Buffer.alloc(1);
  let sent = false;
  let answered = false;
  try {
    for (;;) {
      sent ||= addon.sendmsg(fd, Buffer.from("."), fds) !== undefined;
      const message = sent ? addon.recvmsg(fd, answer) : undefined;
      if (message?.length === 0) sent = false;
      else answered = message !== undefined;
      if (message !== undefined || performance.now() > until) break;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } catch {
    sent = false;
  }
  // who has not answered in time may take them still, and two must not read: they are given, not resumed
  const given = !sent ? 0 : answered ? (answer[0] ?? 0) : batch.length;
  for (const each of batch.slice(0, given)) each.socket.destroy();
  for (const each of batch.slice(given)) each.resume();
  if (given < batch.length || !sent) return "refused";
  return answered ? "taken" : "silent";
}

function siblings(listenerFd: number, own: string | undefined): readonly string[] {
  try {
    const { ino } = fstatSync(listenerFd);
    const names = readFileSync("/proc/net/unix", "utf8").match(new RegExp(`@${prefix}${ino}/\\S+$`, "gm")) ?? [];
    const others = new Set(names.map((name) => name.slice(1)).filter((name) => name !== own));
    return [...others].sort().reverse();
  } catch {
    return [];
  }
}

function connectTo(name: string): number | undefined {
  const addon = native();
  let fd: number | undefined;
  try {
    fd = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
    addon.connectUnix(fd, `\0${name}`);
    if (addon.getPeerCredentials(fd).uid === process.geteuid?.()) return fd;
  } catch {
    // it is draining, too, or gone; or this process may open no more
  }
  if (fd !== undefined) addon.close(fd);
  return undefined;
}

interface Handle {
  readonly fd?: number;
  readStop?(): void;
  readStart?(): void;
}

/** Node has no public name for it, and has had it in every version. */
export function handleOf(of: object): Handle | undefined {
  return (of as { readonly _handle?: Handle | null })._handle ?? undefined;
}

export function fdOf(of: object): number | undefined {
  const fd = handleOf(of)?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
