import { fstatSync } from "node:fs";
import type { Socket } from "node:net";
import { native } from "../native/addon.js";
import { addressDigits } from "../native/address-digits.js";

/** how long the other side may take to close its end of a probe's connection */
const lingerMs = 5_000;

interface Seen {
  readonly address: string;
  /** performance.now() from which on it is nobody's; undefined while it is open */
  until?: number;
}

/** The connections that probes have open, so that whoever counts connections can leave them out. */
export class OwnConnections {
  readonly #ports = new Map<number, Seen>();
  readonly #inodes = new Map<number, Seen>();
  /** on their way: the other side may have them before this process is told */
  readonly #dialling = new Set<Socket>();

  /** From its connect on until its end is over at the other side, too. */
  watch(socket: Socket): void {
    this.#dialling.add(socket);
    socket.once("close", () => this.#dialling.delete(socket));
    socket.once("connect", () => {
      this.#dialling.delete(socket);
      const seen: Seen = { address: addressDigits(socket.localAddress ?? "") };
      if (socket.localPort !== undefined) keep(this.#ports, socket.localPort, seen);
      else {
        const inode = inodeOf(socket);
        if (inode !== undefined) keep(this.#inodes, inode, seen);
      }
      socket.once("close", () => {
        seen.until = performance.now() + lingerMs;
      });
    });
  }

  /** `address`: 8 or 32 hexadecimal digits; asked for only where the port fits */
  hasPort(port: number, address: () => string): boolean {
    const seen = this.#ports.get(port);
    // an IPv4 address is the end of the one that an IPv6 socket shows
    if (seen !== undefined && !isOver(seen) && address().endsWith(seen.address)) return true;
    return [...this.#dialling].some((socket) => {
      const place = placeOf(socket);
      return place?.port === port && address().endsWith(place.address);
    });
  }

  hasInode(inode: number): boolean {
    const seen = this.#inodes.get(inode);
    if (seen !== undefined && !isOver(seen)) return true;
    return [...this.#dialling].some((socket) => inodeOf(socket) === inode);
  }
}

function isOver({ until = Number.POSITIVE_INFINITY }: Seen): boolean {
  return performance.now() > until;
}

function keep(into: Map<number, Seen>, key: number, seen: Seen): void {
  for (const [old, { until }] of into) if (until !== undefined && performance.now() > until) into.delete(old);
  into.set(key, seen);
}

function inodeOf(socket: Socket): number | undefined {
  return ofDescriptor(socket, (fd) => fstatSync(fd).ino);
}

/** Not by the socket's own properties: what they say before it is connected they say for ever. */
function placeOf(socket: Socket): { readonly port: number; readonly address: string } | undefined {
  return ofDescriptor(socket, (fd) => {
    const place = native().getLocalAddress(fd);
    return "host" in place ? { port: place.port, address: addressDigits(place.host) } : undefined;
  });
}

/** Node has no name for it: the handle's number is the only way. */
function ofDescriptor<Value>(socket: Socket, ask: (fd: number) => Value): Value | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  try {
    return handle?.fd === undefined || handle.fd < 0 ? undefined : ask(handle.fd);
  } catch {
    return undefined;
  }
}
