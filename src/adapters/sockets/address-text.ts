import type { ListenerAddress } from "../../core/plan.js";

/** `host` and `port` as one writes them: "0.0.0.0:80", "[::]:80", "*:80". */
export function hostAndPort(host: string, port: number): string {
  return `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

/** An address as messages name it. */
export function addressText(address: ListenerAddress): string {
  if (address.kind === "unix") return address.path;
  return `${hostAndPort(address.host, address.port)}${address.kind === "udp" ? " (udp)" : ""}`;
}

/** errno name of what the addon or node:fs threw; undefined for anything else */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
