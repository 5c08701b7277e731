import { loadPlan } from "../adapters/config/load-plan.js";
import type { ServiceSpec } from "../core/plan.js";
import type { ProcessService } from "./service.js";

/** A service that is a process, as a configured service compiles to it. */
export function processService(spec: ServiceSpec): ProcessService {
  return { name: spec.name, spec };
}

/**
 * A service that is a process, in the words of the configuration file:
 * `await configuredService("cache", { command: ["redis-server"], readinessProbe: { tcpSocket: { port: 6379 } } })`.
 * Dependencies are drawn with the handle.
 * @throws EntryError config, with every problem
 */
export async function configuredService(
  name: string,
  config: Readonly<Record<string, unknown>>,
): Promise<ProcessService> {
  const text = JSON.stringify({ services: { [name]: config } });
  const { plan } = await loadPlan({ env: process.env, texts: [{ name: `service "${name}"`, text }] });
  const [spec] = plan.services;
  if (spec === undefined) throw new TypeError(`service "${name}" compiled to nothing`);
  return processService(spec);
}
