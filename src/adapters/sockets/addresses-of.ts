import type { ListenerAddress } from "../../core/plan.js";
import { realPathOf } from "../native/real-path.js";
import { hostAndPort } from "./address-text.js";
import { canonicalHost, numericAddress } from "./resolve-host.js";

/** The addresses at which a listener may be found, as the kernel writes them. None for a name, which has to be looked up. */
export function addressesOf(address: ListenerAddress): readonly string[] {
  if (address.kind === "unix") return [...new Set([address.path, realPathOf(address.path)])];
  const numeric = numericAddress(address.host);
  return [numeric, numeric?.orElse].flatMap((each) =>
    each === undefined ? [] : [hostAndPort(canonicalHost(each.host), address.port)],
  );
}
