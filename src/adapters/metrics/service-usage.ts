import type { ServiceView } from "../../core/snapshot.js";
import { treeUsage, type Usage } from "./process-usage.js";

interface Read extends Usage {
  /** which processes were looked at; others were started since: look again */
  readonly pids: string;
  readonly at: number;
}

/** /proc is read this often at most: a crash loop changes the snapshot many times a second, usage is no news then */
const freshMs = 1_000;

/** What services use, processes that have ended included. */
export class ServiceUsage {
  readonly #endedCpuMs: ReadonlyMap<string, number>;
  readonly #read = new Map<string, Read>();
  readonly #told = new Map<string, number>();

  constructor(endedCpuMs: ReadonlyMap<string, number>) {
    this.#endedCpuMs = endedCpuMs;
  }

  of(service: ServiceView): Usage {
    const { name } = service;
    const { cpuSeconds, residentBytes } = this.#running(service);
    // between a process's end and its report its time is nowhere: a counter must not go back for that
    const told = Math.max((this.#endedCpuMs.get(name) ?? 0) / 1000 + cpuSeconds, this.#told.get(name) ?? 0);
    this.#told.set(name, told);
    return { cpuSeconds: told, residentBytes };
  }

  #running({ name, instances }: ServiceView): Usage {
    const running = instances.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    const pids = running.join();
    const before = this.#read.get(name);
    const at = performance.now();
    if (before !== undefined && before.pids === pids && at - before.at < freshMs) return before;
    const usages = running.flatMap((pid) => treeUsage(pid) ?? []);
    const read = {
      pids,
      at,
      cpuSeconds: usages.reduce((sum, usage) => sum + usage.cpuSeconds, 0),
      residentBytes: usages.reduce((sum, usage) => sum + usage.residentBytes, 0),
    };
    this.#read.set(name, read);
    return read;
  }
}
