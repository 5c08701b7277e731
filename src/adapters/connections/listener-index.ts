import type { BoundListener } from "../../runtime/ports.js";
import { addressDigits } from "../native/address-digits.js";

/** Finds the listener that a connection came in at. */
export interface ListenerIndex {
  /** local ports of the TCP listeners */
  readonly ports: ReadonlySet<number>;
  readonly families: ReadonlySet<4 | 6>;
  /** bound name -> listener */
  readonly paths: Pick<ReadonlyMap<string, string>, "get" | "size">;
  /** `address`: 8 or 32 hexadecimal digits, asked for only where it matters */
  atPort(port: number, family: 4 | 6, address: () => string): string | undefined;
  /** others at the address of this one (reusePort), of which the kernel does not tell which a connection came in at */
  twins(listener: string): readonly string[];
}

interface Place {
  readonly listener: string;
  readonly address: string;
  readonly any: boolean;
}

/** Listeners of datagrams have no connections. */
export function indexListeners(listeners: ReadonlyMap<string, BoundListener>): ListenerIndex {
  const places = { 4: new Map<number, Place[]>(), 6: new Map<number, Place[]>() };
  const ports = new Set<number>();
  const families = new Set<4 | 6>();
  const paths = new Map<string, string>();
  for (const [listener, { spec, host, port, path }] of listeners) {
    if (spec.address.kind === "tcp" && host !== undefined && port !== undefined) {
      const address = addressDigits(host);
      const family = address.length === 8 ? 4 : 6;
      ports.add(port);
      families.add(family);
      places[family].set(port, [...(places[family].get(port) ?? []), { listener, address, any: /^0+$/.test(address) }]);
    } else if (spec.address.kind === "unix" && spec.address.type !== "dgram" && path !== undefined) {
      paths.set(path, listener);
    }
  }
  return {
    ports,
    families,
    paths,
    twins(listener) {
      const all = [...places[4].values(), ...places[6].values()];
      const here = all.find((each) => each.some((place) => place.listener === listener)) ?? [];
      const address = here.find((place) => place.listener === listener)?.address;
      return here.filter((place) => place.address === address).map((place) => place.listener);
    },
    // what an IPv6 listener accepts from IPv4 is an IPv6 socket: families never mix
    atPort(port, family, address) {
      const here = places[family].get(port);
      if (here === undefined) return undefined;
      if (here.length === 1 && here[0]?.any) return here[0].listener;
      const wanted = address();
      return (here.find((place) => place.address === wanted) ?? here.find(({ any }) => any))?.listener;
    },
  };
}
