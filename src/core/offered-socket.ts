import type { OfferedSocket } from "./handover-frame.js";
import type { ListenerSpec } from "./plan.js";

/** What a handover says of a listener; `bound`: its socket, as the kernel told. */
export function describeSocket(
  spec: ListenerSpec,
  bound: { readonly host?: string; readonly port?: number; readonly path?: string; readonly reusePort?: boolean },
): Omit<OfferedSocket, "inode" | "listening"> {
  const { name, key, backlog, address } = spec;
  const common = { name, key, backlog, reusePort: bound.reusePort ?? spec.reusePort };
  if (address.kind === "unix")
    return { ...common, family: "unix", type: address.type, address: bound.path ?? address.path };
  const host = bound.host ?? address.host;
  const six = host.includes(":");
  return {
    ...common,
    family: six ? "inet6" : "inet",
    type: address.kind === "tcp" ? "stream" : "dgram",
    address: `${six ? `[${host}]` : host}:${bound.port ?? address.port}`,
  };
}
