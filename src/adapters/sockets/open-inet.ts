import type { ListenerSpec } from "../../core/plan.js";
import { native } from "../native/addon.js";
import { errnoOf } from "./address-text.js";
import type { NumericAddress } from "./resolve-host.js";

/**
 * A TCP listener or a bound UDP socket.
 * @throws Error of the addon, with errno as `code`
 */
export function openInet(spec: ListenerSpec, address: NumericAddress, port: number, ipv6Only: boolean): number {
  try {
    return openFamily(spec, address, port, ipv6Only);
  } catch (error) {
    // a kernel without IPv6 has no such family; one where it is switched off has no such address
    const missing = ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errnoOf(error) ?? "");
    if (address.orElse === undefined || !missing) throw error;
    return openFamily(spec, address.orElse, port, false);
  }
}

function openFamily(spec: ListenerSpec, address: NumericAddress, port: number, ipv6Only: boolean): number {
  const addon = native();
  const c = addon.constants;
  const stream = spec.address.kind === "tcp";
  const fd = addon.socket(address.family === 6 ? c.AF_INET6 : c.AF_INET, stream ? c.SOCK_STREAM : c.SOCK_DGRAM);
  try {
    // of a UDP socket it would let two processes bind one address, and the later one would get everything
    if (stream) addon.setOption(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1);
    if (spec.reusePort) addon.setOption(fd, c.SOL_SOCKET, c.SO_REUSEPORT, 1);
    // said either way: the default is a setting of the machine (net.ipv6.bindv6only)
    if (address.family === 6) addon.setOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, ipv6Only ? 1 : 0);
    addon.bindInet(fd, address.host, port, address.scope);
    if (stream) addon.listen(fd, spec.backlog);
    return fd;
  } catch (error) {
    addon.close(fd);
    throw error;
  }
}
