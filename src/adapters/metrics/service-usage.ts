import type { ServiceView } from "../../core/snapshot.js";
import { treeUsage, type Usage } from "./process-usage.js";

/** What services use, processes that have ended included. */
export class ServiceUsage {
  readonly #endedCpuMs: ReadonlyMap<string, number>;
  readonly #told = new Map<string, number>();

  constructor(endedCpuMs: ReadonlyMap<string, number>) {
    this.#endedCpuMs = endedCpuMs;
  }

  of({ name, instances }: ServiceView): Usage {
    let cpuSeconds = (this.#endedCpuMs.get(name) ?? 0) / 1000;
    let residentBytes = 0;
    for (const { pid } of instances) {
      const usage = pid === undefined ? undefined : treeUsage(pid);
      cpuSeconds += usage?.cpuSeconds ?? 0;
      residentBytes += usage?.residentBytes ?? 0;
    }
    // between a process's end and its report its time is nowhere: a counter must not go back for that
    const told = Math.max(cpuSeconds, this.#told.get(name) ?? 0);
    this.#told.set(name, told);
    return { cpuSeconds: told, residentBytes };
  }
}
