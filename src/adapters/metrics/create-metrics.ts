import { phases } from "../../core/phase.js";
import { type Snapshot, serviceStateNames } from "../../core/snapshot.js";
import { upgradeCauses } from "../../core/upgrade-cause.js";
import { readiness } from "../../core/views.js";
import type { EventTally } from "./event-tally.js";
import { type MetricKey, type MetricRow, metricTable, prefix } from "./metric-table.js";
import { addProcessMetrics, Counter, Gauge, Histogram, Registry } from "./prom-client.js";
import { type RenderedMetrics, Renderer } from "./renderer.js";
import { ServiceUsage } from "./service-usage.js";

export interface MetricsParts {
  readonly snapshot: () => Snapshot;
  readonly tally: EventTally;
  readonly build: string;
  readonly wall: () => number;
  /** bytes dropped so far, by stream */
  readonly dropped: () => Readonly<Record<string, number>>;
}

export interface Metrics {
  /** Prometheus text, or OpenMetrics when `accept` prefers it. Costs at most a tenth of the loop's time, however often it is called. */
  render(accept: string | undefined): Promise<RenderedMetrics>;
}

/** All metrics of the table, computed from the snapshot and the tally when they are asked for. */
export function createMetrics(parts: MetricsParts): Metrics {
  const registry = new Registry();
  const metrics = register(registry);
  addProcessMetrics(registry);
  const { serviceReady, serviceStop, upgradeSeconds } = metrics;
  parts.tally.attach({
    ready: (service, seconds) => serviceReady.observe({ service }, seconds),
    stopped: (service, how, seconds) => serviceStop.observe({ service, how }, seconds),
    upgraded: (step, seconds) => upgradeSeconds.observe({ step }, seconds),
  });
  const usage = new ServiceUsage(parts.tally.endedCpuMs);
  const renderer = new Renderer(
    registry,
    () => parts.snapshot().revision,
    () => collect(metrics, parts, usage),
  );
  return { render: (accept) => renderer.render(accept) };
}

type Metric<T extends MetricRow["type"]> = T extends "gauge"
  ? Gauge<string>
  : T extends "counter"
    ? Counter<string>
    : Histogram<string>;
type Registered = { readonly [K in MetricKey]: Metric<(typeof metricTable)[K]["type"]> };

function register(registry: Registry): Registered {
  const make = ({ name, type, labels, help, buckets }: MetricRow) => {
    const common = { name: prefix + name, help, labelNames: [...labels], registers: [registry] };
    if (type === "gauge") return new Gauge(common);
    if (type === "counter") return new Counter(common);
    return new Histogram({ ...common, buckets: [...(buckets ?? [])] });
  };
  return Object.fromEntries(Object.entries(metricTable).map(([key, row]) => [key, make(row)])) as unknown as Registered;
}

function collect(
  metrics: Registered,
  { snapshot, tally, build, wall, dropped }: MetricsParts,
  usage: ServiceUsage,
): void {
  const now = snapshot();
  const count = (counter: Counter<string>, values: Iterable<readonly [Record<string, string>, number]>): void => {
    counter.reset();
    for (const [labels, value] of values) counter.inc(labels, value);
  };
  metrics.buildInfo.set({ version: now.version, build, node: process.version }, 1);
  metrics.generationInfo.set({ generation: String(now.generation), release: now.release, build }, 1);
  for (const phase of phases) metrics.phase.set({ phase }, phase === now.phase ? 1 : 0);
  count(
    metrics.transitions,
    [...tally.transitions].map(([key, value]) => {
      const [from = "", to = ""] = key.split(" ");
      return [{ from, to }, value] as const;
    }),
  );
  metrics.ready.set(readiness(now).ok ? 1 : 0);
  metrics.serviceState.reset();
  for (const { name: service, state: current } of now.services)
    for (const state of serviceStateNames) metrics.serviceState.set({ service, state }, state === current ? 1 : 0);
  count(
    metrics.serviceRestarts,
    now.services.flatMap(({ name: service, restartsByReason }) =>
      restartReasons.map((reason) => [{ service, reason }, restartsByReason[reason] ?? 0] as const),
    ),
  );
  const used = now.services.map((service) => [{ service: service.name }, usage.of(service)] as const);
  count(
    metrics.serviceCpu,
    used.map(([labels, { cpuSeconds }]) => [labels, cpuSeconds] as const),
  );
  metrics.serviceMemory.reset();
  for (const [labels, { residentBytes }] of used) metrics.serviceMemory.set(labels, residentBytes);
  metrics.shutdownDeadline.remove();
  metrics.shutdownSeconds.remove();
  if (now.shutdown !== undefined) {
    metrics.shutdownDeadline.set(now.shutdown.deadlineAt / 1000);
    metrics.shutdownSeconds.set(Math.max(0, wall() - now.shutdown.requestedAt) / 1000);
  }
  const drains = new Map(now.drains?.map((drain) => [drain.listener, drain]));
  metrics.drainConnections.reset();
  for (const { name: listener } of now.listeners)
    metrics.drainConnections.set({ listener }, drains.get(listener)?.connections ?? 0);
  count(
    metrics.connectionsCut,
    now.listeners.map(({ name: listener }) => [{ listener }, drains.get(listener)?.cutTotal ?? 0] as const),
  );
  count(
    metrics.upgradeAttempts,
    upgradeCauses.map((reason) => {
      const result = reason === "none" ? "completed" : reason === "busy" ? "busy" : "rolled-back";
      return [{ result, reason }, tally.upgrades.get(`${result} ${reason}`) ?? 0] as const;
    }),
  );
  metrics.handoverSockets.set(tally.handoverSockets);
  count(metrics.orphansReaped, [[{}, now.orphansReaped]]);
  count(metrics.supervisorRestarts, [[{}, now.supervisorRestarts]]);
  count(
    metrics.outputDropped,
    Object.entries(dropped()).map(([stream, bytes]) => [{ stream }, bytes] as const),
  );
}

/** Every reason has its series from the start: a rate over a series that appears with its first event misses that event. */
const restartReasons = ["exit", "probe", "request"] as const;
