import { quote } from "./complaints.js";
import { type Format, Refused } from "./format.js";
import { isIPv4, isIPv6 } from "./ip-address.js";

export interface HostPort {
  readonly host: string;
  readonly port: number;
  /** as it was written */
  readonly key: string;
}

const everywhere = "0.0.0.0";

/** `host:port`, `[::1]:port`, `:port` or the port alone; host is an IP address or `localhost`. Port 0 takes any free one. */
export function parseHostPort(written: string): HostPort | Refused {
  const match = /^(?:(\[[^\]]*\]|[^:]*):)?(\d+)$/.exec(written);
  if (match === null) {
    const bare = written.lastIndexOf(":") !== written.indexOf(":") && !written.startsWith("[");
    const needs = 'needs "host:port", ":port" or a port';
    return new Refused(
      `${quote(written)} is no address to listen on: ${needs}`,
      bare ? 'write an IPv6 address in brackets: "[::]:8080"' : undefined,
    );
  }
  const port = Number(match[2]);
  if (port > 65535) return new Refused(`port ${match[2]} is too large`, "the most is 65535");
  const host = (match[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  if (match[1]?.startsWith("[") === true && !isIPv6(host)) return new Refused(`${quote(host)} is no IPv6 address`);
  if (host === "" || host === "*") return { host: everywhere, port, key: written };
  if (host === "localhost") return { host: "127.0.0.1", port, key: written };
  if (!isIPv4(host) && !isIPv6(host)) {
    const why = isIPv4Like(host) ? "is no IPv4 address" : "is a name, an IP address of this machine is needed";
    return new Refused(`${quote(host)} ${why}`, '"0.0.0.0" is every IPv4 address, "[::]" every address');
  }
  return { host, port, key: written };
}

function isIPv4Like(host: string): boolean {
  return /^[\d.]+$/.test(host) && !isIPv4(host);
}

/** A TCP or UDP address to listen on. */
export const listenAddress: Format<HostPort> = {
  name: "listen address",
  needs: 'an address to listen on: "host:port", ":port" or a port',
  parse: ({ text, value }) => (value === null ? undefined : parseHostPort(text)),
  json: { type: ["string", "integer"], examples: ["0.0.0.0:8080", "[::]:8080", ":8080", 8080] },
  write: (value: HostPort) => value.key,
};

/** An address to listen on, or `off`. Idempotent: text, or false. */
export const addressOrOff: Format<string | false> = {
  name: "address or off",
  needs: 'an address to listen on ("host:port", ":port", a port), or off',
  parse: ({ text, value }) => {
    if (value === null) return undefined;
    if (value === false || text === "off" || text === "false") return false;
    const parsed = parseHostPort(text);
    return parsed instanceof Refused ? parsed : text;
  },
  json: { anyOf: [{ type: ["string", "integer"] }, { const: false }, { const: "off" }] },
};

/** struct sockaddr_un's sun_path holds 108 bytes with the final NUL (unix(7)). */
const socketPathBytes = 107;

/** Path of a unix socket. */
export const socketPath: Format<string> = {
  name: "socket path",
  needs: "an absolute path",
  parse: ({ text, value }) => {
    if (value === null || !text.startsWith("/")) return undefined;
    const bytes = Buffer.byteLength(text);
    if (bytes > socketPathBytes)
      return new Refused(`the path has ${bytes} bytes`, `a socket's path may have ${socketPathBytes}`);
    return text;
  },
  json: { type: "string", pattern: "^/|\\$\\{" },
};
