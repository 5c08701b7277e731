/**
 * The parts of prom-client that are used, file by file: its index also loads the push gateway (http, https) and the cluster module,
 * and its default metrics come with a timer that wakes the process a hundred times a second.
 */
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import gc from "prom-client/lib/metrics/gc.js";
import heap from "prom-client/lib/metrics/heapSizeAndUsed.js";
import heapSpaces from "prom-client/lib/metrics/heapSpacesSizeAndUsed.js";
import memory from "prom-client/lib/metrics/osMemoryHeap.js";
import cpu from "prom-client/lib/metrics/processCpuTotal.js";
import maxFiles from "prom-client/lib/metrics/processMaxFileDescriptors.js";
import openFiles from "prom-client/lib/metrics/processOpenFileDescriptors.js";
import startTime from "prom-client/lib/metrics/processStartTime.js";
import nodeVersion from "prom-client/lib/metrics/version.js";
import Registry from "prom-client/lib/registry.js";

export { Counter, Gauge, Histogram, Registry };

/** Process and Node metrics under the names that every dashboard knows. None costs anything between scrapes. */
export function addProcessMetrics(registry: Registry): void {
  for (const add of [cpu, startTime, memory, openFiles, maxFiles, heap, heapSpaces, gc, nodeVersion]) add(registry);
  new Gauge({
    name: "nodejs_eventloop_lag_seconds",
    help: "Lag of event loop in seconds.",
    registers: [registry],
    async collect() {
      const from = performance.now();
      await new Promise((resolve) => setImmediate(resolve));
      this.set((performance.now() - from) / 1000);
    },
  });
}
