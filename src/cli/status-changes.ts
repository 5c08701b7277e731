import type { ServiceView, Snapshot, Transition } from "../core/snapshot.js";

/** What is new in a snapshot, one line per service: "web: Starting -> Ready". Everything is new when there was none before. */
export function serviceChanges(before: Snapshot | undefined, after: Snapshot): string[] {
  const known = new Map(before?.services.map((service) => [service.name, service]));
  return after.services.flatMap((service) => {
    const was = known.get(service.name);
    if (was !== undefined && was.state === service.state && was.reason === service.reason) return [];
    const from = was === undefined || was.state === service.state ? "" : `${was.state} -> `;
    return [`${service.name}: ${from}${service.state}${reasonOf(service)}`];
  });
}

/** Steps of an upgrade, and how it ended: "upgrade READY (to generation 2)", "upgrade rolled back: NEW: not ready within 60 s". */
export function upgradeChanges(before: Snapshot | undefined, { upgrade, lastUpgrade }: Snapshot): string[] {
  const changes: string[] = [];
  const was = before?.upgrade;
  if (upgrade !== undefined && (was?.step !== upgrade.step || was.attempt !== upgrade.attempt))
    changes.push(
      `upgrade ${upgrade.step} (${upgrade.role === "old" ? "to" : "from"} generation ${upgrade.peer.generation})`,
    );
  if (before !== undefined && lastUpgrade !== undefined && lastUpgrade.at !== before.lastUpgrade?.at) {
    const { result, reason, generation } = lastUpgrade;
    changes.push(
      result === "completed"
        ? `upgrade completed: generation ${generation} serves`
        : `upgrade ${result.replace("-", " ")}: ${reason}`,
    );
  }
  return changes;
}

/** "phase Running -> GracefulTerminate (Terminate)" */
export function transitionText({ from, to, event }: Transition): string {
  return `phase ${from} -> ${to} (${event})`;
}

function reasonOf(service: ServiceView): string {
  const words = [service.reason, service.output ?? ""].filter((each) => each !== "");
  return words.length === 0 ? "" : ` (${words.join(": ")})`;
}
