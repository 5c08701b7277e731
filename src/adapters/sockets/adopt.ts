import { EntryError } from "../../core/entry-error.js";
import type { ListenerSpec } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { native, type SocketAddress } from "../native/addon.js";
import { realPathOf } from "../native/real-path.js";
import { addressText, errnoOf, hostAndPort } from "./address-text.js";
import { socketType } from "./open-unix.js";
import { canonicalHost, numericAddress } from "./resolve-host.js";

/** A listener with the address that the kernel tells of its socket. */
export function described(spec: ListenerSpec, fd: number): BoundListener {
  const { getLocalAddress, getOption, constants: c } = native();
  const local = getLocalAddress(fd);
  if (local.family === "unix") return { spec, fd, ...(local.path === undefined ? {} : { path: local.path }) };
  if (local.family === "none") return { spec, fd };
  return {
    spec,
    fd,
    host: local.host,
    port: local.port,
    reusePort: getOption(fd, c.SOL_SOCKET, c.SO_REUSEPORT) !== 0,
  };
}

/**
 * Checks that `fd` is the socket that `spec` asks for, and gives it this spec's backlog. The fd stays the caller's when this throws.
 * O_NONBLOCK stays as it is: services that run share it, and an event loop would hang in accept(2) without it.
 * @throws EntryError os, saying what it is and what it had to be
 */
export function adopt(spec: ListenerSpec, fd: number): BoundListener {
  const problem = mismatch(spec, fd);
  if (problem) throw new EntryError("os", `cannot take over the socket of listener "${spec.name}": ${problem}`);
  const addon = native();
  addon.setCloexec(fd, true);
  if (isStream(spec)) addon.listen(fd, spec.backlog);
  return described(spec, fd);
}

/** A socket that another generation had, too, as it was before. One that was shut down there listens again. */
export function takeBack({ spec, fd }: BoundListener, blocking: boolean): void {
  native().setNonblock(fd, !blocking);
  if (isStream(spec)) native().listen(fd, spec.backlog);
}

function isStream({ address }: ListenerSpec): boolean {
  return address.kind === "tcp" || (address.kind === "unix" && address.type !== "dgram");
}

function mismatch(spec: ListenerSpec, fd: number): string | undefined {
  const { getOption, getLocalAddress, constants: c } = native();
  let type: number;
  try {
    type = getOption(fd, c.SOL_SOCKET, c.SO_TYPE);
  } catch (error) {
    return errnoOf(error) === "ENOTSOCK" ? `descriptor ${fd} is no socket` : `descriptor ${fd} is not open`;
  }
  const { address } = spec;
  const wanted =
    address.kind === "unix" ? socketType(address.type) : address.kind === "tcp" ? c.SOCK_STREAM : c.SOCK_DGRAM;
  const local = getLocalAddress(fd);
  if (type !== wanted || (local.family === "unix") !== (address.kind === "unix") || !isAt(spec, local)) {
    const names = new Map([
      [c.SOCK_STREAM, "stream"],
      [c.SOCK_DGRAM, "datagram"],
      [c.SOCK_SEQPACKET, "seqpacket"],
    ]);
    return `it is a ${names.get(type) ?? "foreign"} socket at ${localText(local)}, a ${names.get(wanted)} socket at ${addressText(address)} is needed`;
  }
  if (isStream(spec) && getOption(fd, c.SOL_SOCKET, c.SO_ACCEPTCONN) === 0)
    return `it does not listen at ${localText(local)}`;
  return undefined;
}

function localText(local: SocketAddress): string {
  if (local.family === "none") return "no address";
  return local.family === "unix" ? (local.path ?? "no path") : hostAndPort(local.host, local.port);
}

/** Port 0 is any port. A name is not looked up again: any address will do, since it may have changed since. */
function isAt({ address }: ListenerSpec, local: SocketAddress): boolean {
  if (address.kind === "unix")
    return (
      local.family === "unix" &&
      local.path !== undefined &&
      (local.path === address.path || realPathOf(local.path) === realPathOf(address.path))
    );
  if (local.family !== "inet" && local.family !== "inet6") return false;
  if (address.port !== 0 && address.port !== local.port) return false;
  const wanted = numericAddress(address.host);
  return (
    wanted === undefined ||
    [wanted, wanted.orElse].some((one) => one !== undefined && canonicalHost(one.host) === canonicalHost(local.host))
  );
}
