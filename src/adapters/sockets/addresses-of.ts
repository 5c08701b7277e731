import type { ListenerAddress } from "../../core/plan.js";
import { hostAndPort } from "./address-text.js";
import { canonicalHost, numericAddress } from "./resolve-host.js";

/** The addresses at which a listener may be found, as the kernel writes them. None for a name, which has to be looked up. */
export function addressesOf(address: ListenerAddress): readonly string[] {
  if (address.kind === "unix") return [address.path];
  const numeric = numericAddress(address.host);
  return [numeric, numeric?.orElse].flatMap((each) =>
    each === undefined ? [] : [hostAndPort(canonicalHost(each.host), address.port)],
  );
}
