import { loadPlan } from "../adapters/config/load-plan.js";
import type { ServiceSpec } from "../core/plan.js";
import { judgeConf, judgeName, judgeSpec, refuse } from "./judge.js";
import type { ServerConf } from "./server-conf.js";
import type { ProcessService } from "./service.js";

/**
 * A service that is a process, as a configured service compiles to it.
 * @throws EntryError config when a part of it is missing
 */
export function processService(spec: ServiceSpec): ProcessService {
  judgeSpec(spec);
  return { name: spec.name, spec };
}

/**
 * A service that is a process, in the words of the configuration file:
 * `await configuredService("cache", { command: ["redis-server"], readinessProbe: { tcpSocket: { port: 6379 } } })`.
 * Dependencies are drawn with the handle. `conf`: of the server it is for, when it uses its listeners or has a grace of its own.
 * @throws EntryError config, with every problem
 */
export async function configuredService(
  name: string,
  config: Readonly<Record<string, unknown>>,
  conf?: ServerConf,
): Promise<ProcessService> {
  judgeName(name);
  if (typeof config !== "object" || config === null)
    refuse(`cannot use service "${name}"`, ["its configuration is missing"]);
  if (conf !== undefined) judgeConf(conf);
  const text = JSON.stringify({ services: { [name]: config } });
  const { plan } = await loadPlan({
    env: process.env,
    texts: [{ name: `service ${name}`, text }],
    ...(conf === undefined ? {} : { server: conf }),
  });
  const [spec] = plan.services;
  if (spec === undefined) throw new TypeError(`service "${name}" compiled to nothing`);
  return processService(spec);
}
