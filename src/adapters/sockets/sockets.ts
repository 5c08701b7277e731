import { setMaxListeners } from "node:events";
import { chmodSync, existsSync, fstatSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { EntryError } from "../../core/entry-error.js";
import type { BindRetrySpec, ListenerSpec } from "../../core/plan.js";
import type { BoundListener, Log, Sockets } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { addressText, errnoOf } from "./address-text.js";
import { adopt, described, takeBack } from "./adopt.js";
import { holderOf } from "./holder.js";
import { openInet } from "./open-inet.js";
import { openPrivate } from "./open-private.js";
import { openUnix, removeUnix } from "./open-unix.js";
import { resolveHost } from "./resolve-host.js";

/** Listening sockets that libuv knows nothing of, so that it neither accepts on them nor unlinks their paths. */
export function createSockets(options: {
  readonly retry: BindRetrySpec;
  readonly log: Log;
  /** where the paths of private sockets may be made, best first; where temporary files go when nothing is said */
  readonly privateDirectories?: readonly string[];
}): Sockets {
  return {
    bind: (spec, signal, inUse) => bind(spec, signal, options, inUse),
    adopt,
    asIs: described,
    bindPrivate: (listener) => openPrivate(listener, options.privateDirectories ?? [tmpdir()]),
    isBlocking: ({ fd }) => !native().getFlags(fd).nonblock,
    takeBack,
    isReachable: ({ address }) => address.kind !== "unix" || address.path.startsWith("@") || existsSync(address.path),
    setMode: ({ spec: { address }, path }) => {
      if (address.kind === "unix" && path !== undefined && !address.path.startsWith("@"))
        chmodSync(path, address.mode & 0o777);
    },
    remove: ({ fd, path }) => {
      if (path !== undefined) removeUnix(fd, path);
    },
    leave: (listener) => {
      const { ino: inode } = fstatSync(listener.fd);
      native().close(listener.fd);
      return { ...listener, fd: -1, inode };
    },
    close: (listener) => native().close(listener.fd),
  };
}

async function bind(
  spec: ListenerSpec,
  signal: AbortSignal,
  { retry, log }: { readonly retry: BindRetrySpec; readonly log: Log },
  tell: (problem: string) => void = () => {},
): Promise<BoundListener> {
  let holder: string | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const fd = await open(spec);
      native().setNonblock(fd, isNonblocking(spec));
      return described(spec, fd);
    } catch (error) {
      if (error instanceof EntryError) throw error;
      if (errnoOf(error) !== "EADDRINUSE") throw refusal(spec, error);
      const last = attempt >= retry.attempts;
      const first = holder === undefined;
      if (first || last) holder = holderOf(spec.address);
      if (last || signal.aborted) throw inUse(spec, attempt, holder, error);
      if (first) {
        const problem = `${addressText(spec.address)} is in use by ${holder} (EADDRINUSE)`;
        const { attempts, intervalMs } = retry;
        log.warn(`listener "${spec.name}": ${problem}; tried every ${intervalMs / 1000} s, ${attempts} times at most`, {
          listener: spec.name,
          attempts,
        });
        tell(problem);
      }
    }
    // as many wait as there are addresses in use
    setMaxListeners(0, signal);
    await delay(retry.intervalMs, undefined, { signal }).catch(() => {
      throw inUse(spec, attempt, holderOf(spec.address), undefined);
    });
  }
}

/**
 * As systemd passes its sockets: what waits in accept(2) may wait. Event loops make a socket non-blocking when they are given it; nginx
 * takes over what it inherits as it is, and its workers would wait for each other's connections.
 */
function isNonblocking({ passAs }: ListenerSpec): boolean {
  return passAs === "nginx";
}

async function open(spec: ListenerSpec): Promise<number> {
  const { address } = spec;
  if (address.kind === "unix") return openUnix(spec, address);
  return openInet(spec, await resolveHost(address.host), address.port, address.ipv6Only);
}

function inUse(spec: ListenerSpec, attempts: number, holder: string | undefined, cause: unknown): EntryError {
  const tried = attempts === 1 ? "" : `, tried ${attempts} times`;
  return new EntryError(
    "os",
    `cannot bind listener "${spec.name}" to ${addressText(spec.address)}: in use by ${holder ?? "another process"}, it must be free (EADDRINUSE${tried})`,
    { cause },
  );
}

/** What the operator can do about it, where that is not in the error's own text. */
function advice(code: string | undefined, { address }: ListenerSpec): string {
  if (address.kind === "unix") {
    if (code === "ENOENT") return "its directory does not exist";
    if (code === "ENOTDIR") return "a part of its path is not a directory";
    if (code === "EACCES" || code === "EPERM") return "this user may not write in its directory";
    if (code === "EROFS") return "its directory is on a read-only file system; mount a writable one (emptyDir)";
  }
  if (code === "EACCES" && address.kind !== "unix") {
    return `port ${address.port} is privileged; use one from 1024 on, or grant NET_BIND_SERVICE`;
  }
  if (code === "EADDRNOTAVAIL") return "no interface of this machine has this address";
  if (code === "EAFNOSUPPORT") return "this machine has no IPv6";
  if (code === "EMFILE") return "this process may open no more files (limit nofile)";
  return "";
}

function refusal(spec: ListenerSpec, cause: unknown): unknown {
  const code = errnoOf(cause);
  if (code === undefined || !(cause instanceof Error)) return cause;
  const reason = advice(code, spec) || cause.message;
  return new EntryError("os", `cannot bind listener "${spec.name}" to ${addressText(spec.address)}: ${reason}`, {
    cause,
  });
}
