import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { EntryError } from "../../core/entry-error.js";
import { cutOff, otherMachine } from "./library-file.js";

/** As getsockname(2) and recvmsg(2) tell. `none`: no address, or a family other than these. */
export type SocketAddress =
  | { readonly family: "unix"; readonly path?: string }
  | { readonly family: "inet" | "inet6"; readonly host: string; readonly port: number; readonly scope?: number }
  | { readonly family: "none" };

export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface ReceivedMessage {
  /** bytes written into the buffer; 0 is the end of a connection, or an empty datagram */
  readonly length: number;
  /** owned by the receiver, CLOEXEC; also those of a truncated message */
  readonly fds: readonly number[];
  /** the buffer was too small for the datagram */
  readonly truncated: boolean;
  /** descriptors were lost: more than fitted, or this process may open no more */
  readonly controlTruncated: boolean;
  /** when SO_PASSCRED is set */
  readonly credentials?: Credentials;
  readonly from: SocketAddress;
}

export type ConstantName =
  | "AF_UNIX"
  | "AF_INET"
  | "AF_INET6"
  | "SOCK_STREAM"
  | "SOCK_DGRAM"
  | "SOCK_SEQPACKET"
  | "SOL_SOCKET"
  | "SO_REUSEADDR"
  | "SO_REUSEPORT"
  | "SO_PASSCRED"
  | "SO_ACCEPTCONN"
  | "SO_DOMAIN"
  | "SO_TYPE"
  | "SO_RCVBUF"
  | "SO_SNDBUF"
  | "LOCK_SH"
  | "LOCK_EX"
  | "LOCK_UN"
  | "LOCK_NB"
  | "IPPROTO_IPV6"
  | "IPV6_V6ONLY";

export interface Diagnosis {
  readonly count: number;
  readonly interrupted: boolean;
}

/**
 * What src/native/addon exports, call by call. Every descriptor it makes is CLOEXEC and belongs to the caller.
 * All throw Error with `code` (EADDRINUSE), `errno`, `syscall`; TypeError or RangeError for arguments that make no sense.
 */
export interface Addon {
  readonly constants: Readonly<Record<ConstantName, number>>;
  dup(fd: number): number;
  close(fd: number): void;
  setCloexec(fd: number, on: boolean): void;
  setNonblock(fd: number, on: boolean): void;
  getFlags(fd: number): { readonly cloexec: boolean; readonly nonblock: boolean };
  /** [read end, write end], both blocking */
  pipe(): [number, number];
  /** unix sockets, both non-blocking */
  socketpair(type: number): [number, number];
  /** flock(2); false: LOCK_NB is in `operation`, and another holds the lock. The lock belongs to the open file, not to the process. */
  flock(fd: number, operation: number): boolean;
  /** raises RLIMIT_NOFILE to `wanted` or as far as it goes, and has the kernel's table grow at once; returns the limit that holds now */
  makeRoomForFiles(wanted: number): number;
  /** a memfd with these bytes, sealed against writing, shrinking and growing; read it with fs.readSync and a position */
  sealedMemory(name: string, data: Uint8Array): number;
  isSealed(fd: number): boolean;
  /** number of bytes sent; undefined: it would block. Never raises SIGPIPE. */
  sendmsg(fd: number, data: Uint8Array, fds: readonly number[]): number | undefined;
  /** undefined: nothing is there. At most 253 descriptors come with one message. */
  recvmsg(fd: number, buffer: Uint8Array): ReceivedMessage | undefined;
  /** as recvmsg, and the message stays where it is; its descriptors are copies of their own */
  peekmsg(fd: number, buffer: Uint8Array): ReceivedMessage | undefined;
  /** non-blocking */
  socket(domain: number, type: number): number;
  /** at most 107 bytes; a first NUL makes it an abstract name */
  bindUnix(fd: number, path: string): void;
  /** numeric host; `scope`: interface index of a link-local address, else 0 */
  bindInet(fd: number, host: string, port: number, scope: number): void;
  /** does not wait: EAGAIN when the other's queue is full */
  connectUnix(fd: number, path: string): void;
  /** mode of the file that a later bindUnix makes, less the umask */
  setMode(fd: number, mode: number): void;
  listen(fd: number, backlog: number): void;
  /** the next connection; undefined: none waits */
  accept(fd: number): number | undefined;
  /** for each fd two numbers: its inode, and 1 when it listens */
  inspectSockets(fds: Int32Array, results: Float64Array): void;
  setOption(fd: number, level: number, name: number, value: number): void;
  getOption(fd: number, level: number, name: number): number;
  getLocalAddress(fd: number): SocketAddress;
  /** SO_PEERCRED: who connected, or who called listen */
  getPeerCredentials(fd: number): Credentials;
  /** what this end sent and the other has not read: 0 when it has read, or dropped, everything; of a unix socket a size in memory */
  unread(fd: number): number;
  /**
   * Connections of this network namespace whose local port is in `ports` (8192 bytes, a bit each; `port` other than 0: only that one, which
   * the kernel then chooses itself), as records of 48 bytes in `out`. `count` may be more than fitted. `interrupted`: ask again.
   */
  diagnoseTcp(family: 4 | 6, port: number, ports: Uint8Array, out: Uint8Array): Diagnosis;
  /** connections of every named unix listener, accepted and queued, as records of 120 bytes */
  diagnoseUnix(out: Uint8Array): Diagnosis;
  /** number of sockets a process has open; their inodes as 32-bit numbers in `out`, as far as they fit. EACCES: not ours to see */
  heldSockets(pid: number, out: Uint8Array): number;
  openWatch(fd: number, callback: (events: number) => void): number;
  startWatch(watch: number, events: number): void;
  keepWatch(watch: number, keep: boolean): void;
  closeWatch(watch: number): void;
}

/** Beside the bundle (dist/bin), or in dist/bin of a folder above: from a test bundle. The first of them when it is in none. */
export function nativeFile(name: string): string {
  // in a CommonJS bundle, esbuild's `define` puts __dirname here
  let folder = import.meta.dirname;
  const beside = join(folder, name);
  if (existsSync(beside)) return beside;
  for (;;) {
    const built = join(folder, "dist/bin", name);
    if (existsSync(built)) return built;
    const parent = dirname(folder);
    if (parent === folder) return beside;
    folder = parent;
  }
}

function findAddon(): string {
  const file = nativeFile("addon.node");
  if (existsSync(file)) return file;
  throw new EntryError("os", `cannot load the native addon: ${file} does not exist; build it with \`npm run setup\``);
}

let loaded: Addon | undefined;

/**
 * The addon, loaded at the first call.
 * @throws EntryError os: it is missing, cut off, or made for another machine
 */
export function native(): Addon {
  if (loaded) return loaded;
  const path = findAddon();
  const damage = cutOff(path);
  if (damage !== undefined) throw new EntryError("os", `cannot load the native addon: ${damage}`);
  const module = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch (cause) {
    const reason = otherMachine(path) ?? (cause instanceof Error ? cause.message : String(cause));
    throw new EntryError("os", `cannot load the native addon: ${reason}`, { cause });
  }
  loaded = module.exports as Addon;
  return loaded;
}
