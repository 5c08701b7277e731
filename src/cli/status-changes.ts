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

/** "phase Running -> GracefulTerminate (Terminate)" */
export function transitionText({ from, to, event }: Transition): string {
  return `phase ${from} -> ${to} (${event})`;
}

function reasonOf(service: ServiceView): string {
  const words = [service.reason, service.output ?? ""].filter((each) => each !== "");
  return words.length === 0 ? "" : ` (${words.join(": ")})`;
}
