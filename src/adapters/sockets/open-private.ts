import { fstatSync } from "node:fs";
import { join } from "node:path";
import { EntryError } from "../../core/entry-error.js";
import type { ListenerSpec } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { addressText, errnoOf } from "./address-text.js";
import { described } from "./adopt.js";
import { openInet } from "./open-inet.js";
import { openUnix, type UnixAddress } from "./open-unix.js";

/** at once, on one listener */
const mostTrials = 100;

/**
 * See Sockets.bindPrivate. A unix socket's path is in the first of `directories` that allows it: not an abstract name, which every container of
 * a pod would see.
 * @throws EntryError os, with the reason
 */
export function openPrivate(listener: BoundListener, directories: readonly string[]): BoundListener {
  const { spec } = listener;
  const { address } = spec;
  const own: ListenerSpec = { ...spec, reusePort: false, passAs: spec.passAs === "nginx" ? "adopt" : spec.passAs };
  try {
    const fd = address.kind === "unix" ? openPath(own, address, listener, directories) : openLoopback(own, listener);
    native().setNonblock(fd, false);
    return { ...described(own, fd), standsFor: listener };
  } catch (error) {
    if (error instanceof EntryError) throw error;
    throw new EntryError(
      "os",
      `cannot open a private socket in place of ${addressText(address)}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/**
 * Named after the listener's inode, which the generations share: what one that was killed has left, the next one replaces. Services that share a
 * listener are tried at the same time.
 */
function openPath(
  spec: ListenerSpec,
  address: UnixAddress,
  listener: BoundListener,
  directories: readonly string[],
): number {
  const name = `preflight-${fstatSync(listener.fd).ino}`;
  const refusals: string[] = [];
  for (const directory of new Set(directories)) {
    for (let number = 1; ; number += 1) {
      try {
        return openUnix(spec, { ...address, path: join(directory, number === 1 ? name : `${name}-${number}`) });
      } catch (error) {
        if (errnoOf(error) === "EADDRINUSE" && number < mostTrials) continue;
        refusals.push(`${directory}: ${(error as Error).message}`);
        break;
      }
    }
  }
  throw new Error(`no directory takes it (${refusals.join("; ")})`);
}

function openLoopback(spec: ListenerSpec, { fd, host }: BoundListener): number {
  const { getOption, getLocalAddress, constants: c } = native();
  if (getLocalAddress(fd).family !== "inet6")
    return openInet(spec, { family: 4, host: "127.0.0.1", scope: 0 }, 0, false);
  const ipv6Only = getOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY) !== 0;
  // one that takes both families may be on a machine where only one has addresses
  const loopback = host === "::" && !ipv6Only ? "::ffff:127.0.0.1" : "::1";
  return openInet(spec, { family: 6, host: loopback, scope: 0 }, 0, ipv6Only);
}
