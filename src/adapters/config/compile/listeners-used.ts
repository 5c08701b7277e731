import { normalize } from "node:path";
import type { ListenerSpec, Plan } from "../../../core/plan.js";
import { keyPlaceFor, placeFor, type Scene } from "./scene.js";

/** Addresses that collide, listeners nobody takes, listeners that several services take. */
export function judgeListeners(plan: Plan, scene: Pick<Scene, "complaints" | "places">): void {
  refuseSameAddress(plan, scene);
  const { complaints, places } = scene;
  for (const listener of plan.listeners) {
    const path = `listeners.${listener.name}`;
    const users = plan.services
      .filter((service) => service.listeners.includes(listener.name))
      .map((service) => service.name);
    if (users.length === 0) {
      complaints.warning(
        keyPlaceFor(places, path),
        path,
        "no service takes it: connections to it would wait for nobody",
      );
    } else if (users.length > 1) {
      complaints.warning(
        keyPlaceFor(places, path),
        path,
        `${users.join(" and ")} share it: each gets some of the connections`,
      );
    }
  }
}

function refuseSameAddress(plan: Plan, { complaints, places }: Pick<Scene, "complaints" | "places">): void {
  const { tcp, socket } = plan.admin;
  const seen: { readonly listener: ListenerSpec; readonly host: string; readonly slot: string }[] = [];
  for (const listener of plan.listeners) {
    const path = `listeners.${listener.name}`;
    const { address } = listener;
    if (address.kind === "unix") {
      const same = normalize(address.path);
      const other = same === normalize(socket) ? "admin.socket" : seen.find(({ slot }) => slot === same)?.listener.name;
      if (other !== undefined) {
        complaints.problem(
          placeFor(places, `${path}.unix`),
          path,
          `${address.path} is already ${other === "admin.socket" ? other : `listener ${other}`}`,
        );
      }
      seen.push({ listener, host: "", slot: same });
      continue;
    }
    if (address.port === 0) continue;
    const slot = `${address.kind} port ${address.port}`;
    const rival = seen.find(
      (other) => other.slot === slot && overlaps(other.host, address.host, other.listener, listener),
    );
    const adminClash =
      address.kind === "tcp" && tcp !== undefined && tcp.port === address.port && hostsOverlap(tcp.host, address.host);
    if (rival !== undefined || adminClash) {
      const other =
        rival === undefined ? `admin.tcp (${tcp?.host})` : `listener ${rival.listener.name} (${rival.host})`;
      complaints.problem(placeFor(places, `${path}.${address.kind}`), path, `${slot} is already taken by ${other}`);
    }
    seen.push({ listener, host: address.host, slot });
  }
}

/** Two sockets that both share by SO_REUSEPORT may have one address. */
function overlaps(a: string, b: string, one: ListenerSpec, other: ListenerSpec): boolean {
  if (one.reusePort && other.reusePort) return false;
  const dual = (listener: ListenerSpec): boolean => listener.address.kind !== "unix" && !listener.address.ipv6Only;
  if (isAnyIPv6(a) && !b.includes(":")) return dual(one);
  if (isAnyIPv6(b) && !a.includes(":")) return dual(other);
  return hostsOverlap(a, b);
}

function hostsOverlap(a: string, b: string): boolean {
  if (a === b) return true;
  const v6 = (host: string): boolean => host.includes(":");
  if (v6(a) !== v6(b)) return isAnyIPv6(a) || isAnyIPv6(b);
  return [a, b].some((host) => host === "0.0.0.0" || isAnyIPv6(host));
}

function isAnyIPv6(host: string): boolean {
  return host.includes(":") && /^[0:]+$/.test(host);
}
