import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmdirSync, statSync, unlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { EntryError } from "../../core/entry-error.js";
import { type NotifyWord, parseNotify } from "../../core/notify-message.js";
import { native, type ReceivedMessage } from "../native/addon.js";
import { readable, type Watch, watch } from "../native/watch.js";

export interface NotifyOwner {
  readonly uid: number;
  readonly gid: number;
}

/** sun_path with its NUL */
const pathLimit = 107;

/** systemd's limit, and something to notice that it was passed */
const datagramLimit = 4096;

/** Datagrams read before others get their turn; senders wait in the kernel. */
const perTurn = 32;

/**
 * Binds NOTIFY_SOCKET for one process in a new directory below the first of `directories` that allows it. A path, not an abstract
 * name: the containers of a pod share the network namespace and with it all abstract names. Only `owner` and root can send.
 * @throws EntryError os: no directory allows it; every one with its reason
 */
export function bindNotifySocket(
  directories: readonly string[],
  owner: NotifyOwner | undefined,
): { readonly fd: number; readonly path: string } {
  const refusals: string[] = [];
  for (const directory of new Set(directories)) {
    try {
      return bindBelow(directory, owner);
    } catch (error) {
      refusals.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new EntryError(
    "os",
    `cannot make a NOTIFY_SOCKET: no directory takes it; one that is writable is needed (${refusals.join("; ")})`,
  );
}

function bindBelow(directory: string, owner: NotifyOwner | undefined): { readonly fd: number; readonly path: string } {
  if (owner !== undefined && !mayEnter(directory, owner)) throw new Error(`uid ${owner.uid} may not enter it`);
  // one level only: with `recursive`, Node loops for ever on what can never be made, as below /proc
  if (!existsSync(directory)) mkdirSync(directory);
  const own = mkdtempSync(join(directory, "notify-"));
  const path = join(own, "socket");
  const { AF_UNIX, SOCK_DGRAM, SOL_SOCKET, SO_PASSCRED } = native().constants;
  let fd: number | undefined;
  try {
    if (Buffer.byteLength(path) > pathLimit) throw new Error(`the path would be longer than ${pathLimit} bytes`);
    fd = native().socket(AF_UNIX, SOCK_DGRAM);
    native().setOption(fd, SOL_SOCKET, SO_PASSCRED, 1);
    native().setMode(fd, 0o600);
    native().bindUnix(fd, path);
    if (owner !== undefined && owner.uid !== process.geteuid?.()) {
      chownSync(path, owner.uid, owner.gid);
      // who is to use the socket must be able to walk to it; listing it stays ours
      chmodSync(own, 0o711);
    }
    return { fd, path };
  } catch (error) {
    if (fd !== undefined) native().close(fd);
    remove(path);
    throw error;
  }
}

/** Whether the owner gets to what lies below: search permission on the whole way. Groups beside the first are not looked at. */
function mayEnter(directory: string, { uid, gid }: NotifyOwner): boolean {
  for (let path = resolve(directory); ; path = dirname(path)) {
    const { mode, uid: ofUser, gid: ofGroup } = statSync(existsSync(path) ? path : dirname(path));
    const bit = ofUser === uid ? 0o100 : ofGroup === gid ? 0o010 : 0o001;
    if (uid !== 0 && (mode & bit) === 0) return false;
    if (path === "/") return true;
  }
}

function remove(path: string): void {
  for (const step of [() => unlinkSync(path), () => rmdirSync(dirname(path))]) {
    try {
      step();
    } catch {
      // gone already, or somebody put something there: not ours to remove
    }
  }
}

export interface NotifySocketParts {
  /** the socket; owned from now on */
  readonly fd: number;
  readonly owner: NotifyOwner | undefined;
  readonly receive: (word: NotifyWord) => void;
  /** told once, when a datagram is not accepted */
  readonly refused: (reason: string) => void;
}

/** Reads what one process says on its NOTIFY_SOCKET. */
export class NotifySocket {
  readonly #parts: NotifySocketParts;
  readonly #watch: Watch;
  readonly #path: string | undefined;
  readonly #buffer = Buffer.allocUnsafeSlow(datagramLimit + 1);
  #refusedOnce = false;
  #closed = false;

  constructor(parts: NotifySocketParts) {
    this.#parts = parts;
    const address = native().getLocalAddress(parts.fd);
    this.#path = address.family === "unix" ? address.path : undefined;
    this.#watch = watch(parts.fd, readable, () => this.#read());
    this.#watch.keepAlive(false);
  }

  /** Closes the socket and removes it from the file system. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    native().close(this.#parts.fd);
    if (this.#path !== undefined) remove(this.#path);
  }

  #read(): void {
    for (let count = 0; count < perTurn && !this.#closed; count += 1) {
      // taken from the socket only when it has been dealt with: a supervisor that dies in between has not swallowed it
      const message = this.#next("peekmsg");
      if (message === undefined) return;
      // descriptors are not for us (FDSTORE); closing that of BARRIER=1 is the answer which systemd-notify waits for
      for (const fd of message.fds) native().close(fd);
      const refusal = this.#refusal(message);
      if (refusal === undefined) {
        for (const word of parseNotify(this.#buffer.toString("utf8", 0, message.length))) {
          if (!this.#closed) this.#parts.receive(word);
        }
      } else if (!this.#refusedOnce) {
        this.#refusedOnce = true;
        this.#parts.refused(refusal);
      }
      if (this.#closed) return;
      for (const fd of this.#next("recvmsg")?.fds ?? []) native().close(fd);
    }
  }

  #next(read: "peekmsg" | "recvmsg"): ReceivedMessage | undefined {
    try {
      return native()[read](this.#parts.fd, this.#buffer);
    } catch (error) {
      // told again and again otherwise: what makes a read fail once does not pass by itself
      this.#watch.want(0);
      this.#parts.refused(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  /** Pid 0 is a process that our PID namespace does not know: another container that found the path on a shared volume. */
  #refusal({ credentials, truncated }: ReceivedMessage): string | undefined {
    if (truncated) return `it is longer than ${datagramLimit} bytes`;
    if (credentials === undefined || credentials.pid === 0) return "its sender is unknown here";
    const { owner } = this.#parts;
    if (credentials.uid === process.geteuid?.() || credentials.uid === owner?.uid) return undefined;
    return `process ${credentials.pid} runs as uid ${credentials.uid}, not as ${owner?.uid ?? process.geteuid?.()}`;
  }
}
