import { readFileSync } from "node:fs";
import { EntryError } from "../../core/entry-error.js";

/** A numeric address to bind to. `orElse`: to be tried when this machine has no such family. */
export interface NumericAddress {
  readonly family: 4 | 6;
  readonly host: string;
  /** interface index of a link-local address, else 0 */
  readonly scope: number;
  readonly orElse?: NumericAddress;
}

const anyIpv4: NumericAddress = { family: 4, host: "0.0.0.0", scope: 0 };

/** The address that `host` says by itself: a number, "[...]", or "*" for all of both families. undefined: a name, to be looked up. */
export function numericAddress(host: string): NumericAddress | undefined {
  if (host === "*" || host === "") return { family: 6, host: "::", scope: 0, orElse: anyIpv4 };
  const bare = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  const [address = "", zone] = bare.split("%");
  if (isIpv4(bare)) return { family: 4, host: bare, scope: 0 };
  if (isIpv6(address)) return { family: 6, host: address, scope: zone === undefined ? 0 : interfaceIndex(zone) };
  return undefined;
}

// not by node:net: loading it costs a start milliseconds, and most addresses are plain numbers
function isIpv4(text: string): boolean {
  return /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}$/.test(text);
}

function isIpv6(text: string): boolean {
  return text.includes(":") && URL.canParse(`http://[${text}]/`);
}

function interfaceIndex(zone: string): number {
  if (/^\d{1,9}$/.test(zone)) return Number(zone);
  try {
    if (/^[^/]+$/.test(zone) && zone !== "..") return Number(readFileSync(`/sys/class/net/${zone}/ifindex`, "utf8"));
  } catch {}
  throw new EntryError("os", `cannot use %${zone} in an address: there is no network interface of this name`);
}

/**
 * As numericAddress; a name is looked up, and the first of its addresses is taken, as pingora does.
 * @throws EntryError os: the name has no address
 */
export async function resolveHost(host: string): Promise<NumericAddress> {
  const numeric = numericAddress(host);
  if (numeric) return numeric;
  try {
    const { lookup } = await import("node:dns/promises");
    const { address, family } = await lookup(host, { verbatim: true });
    return { family: family === 6 ? 6 : 4, host: address, scope: 0 };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EntryError("os", `cannot find an address for "${host}": ${reason}`, { cause });
  }
}

/** One spelling for each address: "::", not "0:0:0:0:0:0:0:0". */
export function canonicalHost(host: string): string {
  return host.includes(":") ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host;
}
