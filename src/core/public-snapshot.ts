import type { InstanceView, ServiceView, Snapshot } from "./snapshot.js";

/** What may be told to whoever reaches the TCP address: everything but what commands of probes wrote, which can be anything. */
export function publicSnapshot(snapshot: Snapshot): Snapshot {
  return { ...snapshot, services: snapshot.services.map(publicService) };
}

function publicService({ output: _, ...service }: ServiceView): ServiceView {
  return { ...service, instances: service.instances.map(({ output: _, ...instance }: InstanceView) => instance) };
}
