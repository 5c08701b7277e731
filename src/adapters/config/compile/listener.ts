import type { ListenerAddress, ListenerSpec } from "../../../core/plan.js";
import { quote } from "../complaints.js";
import { isIPv6 } from "../ip-address.js";
import type { WrittenListener } from "../schema/listener.js";
import { keyPlaceFor, placeFor, type Scene } from "./scene.js";
import { whyNoDescriptor } from "./set-variables.js";

type ListenerScene = Pick<Scene, "complaints" | "places">;

const reserved = ["admin", "control"];

/** Undefined when it has no usable address; why is complained about. */
export function compileListener(
  name: string,
  written: WrittenListener,
  scene: ListenerScene,
): ListenerSpec | undefined {
  const path = `listeners.${name}`;
  const { complaints, places } = scene;
  if (reserved.includes(name)) {
    complaints.problem(
      keyPlaceFor(places, path),
      path,
      `the name "${name}" is reserved for pingora-entry's own socket`,
    );
  }
  const kinds = (["tcp", "udp", "unix"] as const).filter((kind) => places.has(`${path}.${kind}`));
  if (kinds.length !== 1) {
    const [, second] = kinds;
    const message = second === undefined ? "has no address" : `has more than one address: ${kinds.join(", ")}`;
    complaints.problem(
      keyPlaceFor(places, second === undefined ? path : `${path}.${second}`),
      path,
      message,
      "give exactly one of tcp, udp, unix",
    );
    return undefined;
  }
  const address = addressOf(written, path, scene);
  if (address === undefined) return undefined;
  refuseMeaningless(address, path, scene);
  return {
    name,
    address,
    key: written.unix ?? written.tcp?.key ?? written.udp?.key ?? "",
    backlog: written.backlog,
    reusePort: written.reusePort,
    passAs: written.passAs,
    envName: envNameOf(name, written, path, scene),
  };
}

function addressOf(
  written: WrittenListener,
  path: string,
  { complaints, places }: ListenerScene,
): ListenerAddress | undefined {
  if (written.unix !== undefined) return { kind: "unix", path: written.unix, mode: written.mode, type: written.type };
  const kind = written.tcp === undefined ? "udp" : "tcp";
  const address = written.tcp ?? written.udp;
  if (address === undefined) return undefined;
  if (written.ipv6Only && !isIPv6(address.host)) {
    complaints.problem(
      placeFor(places, `${path}.ipv6Only`),
      `${path}.ipv6Only`,
      `${address.host} is no IPv6 address`,
      'write "[::]:port"',
    );
  }
  return { kind, host: address.host, port: address.port, ipv6Only: written.ipv6Only };
}

/** Keys that say something about another kind of socket are mistakes, not decoration. */
function refuseMeaningless(address: ListenerAddress, path: string, { complaints, places }: ListenerScene): void {
  const meaningless = {
    tcp: ["mode", "type"],
    udp: ["mode", "type", "backlog"],
    unix: ["reusePort", "ipv6Only", ...(address.kind === "unix" && address.type === "dgram" ? ["backlog"] : [])],
  }[address.kind];
  const what = address.kind === "unix" && address.type !== "stream" ? `unix ${address.type}` : address.kind;
  for (const key of meaningless) {
    const entry = places.get(`${path}.${key}`);
    if (entry !== undefined) complaints.problem(entry.key, `${path}.${key}`, `has no meaning for a ${what} listener`);
  }
}

function envNameOf(
  name: string,
  written: WrittenListener,
  path: string,
  { complaints, places }: ListenerScene,
): string {
  const fallback = `LISTEN_FD_${name.toUpperCase().replaceAll("-", "_")}`;
  const given = written.envName;
  if (given === undefined) return fallback;
  const place = placeFor(places, `${path}.envName`);
  if (written.passAs !== "env") complaints.problem(place, `${path}.envName`, "has a meaning with passAs: env only");
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(given)) {
    complaints.problem(place, `${path}.envName`, `${quote(given)} cannot be the name of a variable`);
  }
  const why = whyNoDescriptor(given);
  if (why !== undefined)
    complaints.problem(place, `${path}.envName`, `a listener cannot be passed in ${given}: ${why}`);
  return given;
}
