import { containerExitCode } from "../core/exit-code.js";
import type { Plan } from "../core/plan.js";
import type { ServiceSet } from "./service-set.js";
import type { StopRecord } from "./stop-request.js";

/** The container's exit code, from what asked for the end and how the services took it. */
export function endingCode(
  plan: Plan,
  services: ServiceSet,
  record: StopRecord | undefined,
  killed: readonly string[],
): number {
  const main = plan.main === undefined ? undefined : services.exitOf(plan.main);
  const stopSignals =
    plan.services.find(({ name }) => name === plan.main)?.stop.steps.map(({ signal }) => signal) ?? [];
  const missed = main === undefined ? services.missed : undefined;
  const ending = {
    requested: record?.requested ?? true,
    // by the first second of a forced stop some have obeyed and some were killed; the code must not depend on that race
    killed: record?.hurried ? [...killed, ...record.busy] : killed,
    ...(record?.own === undefined ? {} : { own: record.own }),
    ...(record?.fatal === undefined ? {} : { fatal: record.fatal }),
    ...(missed === undefined ? {} : { missed }),
    ...(main === undefined ? {} : { main }),
  };
  return containerExitCode(ending, stopSignals);
}
