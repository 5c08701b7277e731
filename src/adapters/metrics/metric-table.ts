/** One metric family of ours; registration and docs/reference/metrics.md are made from this table. */
export interface MetricRow {
  /** without the prefix */
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
  readonly buckets?: readonly number[];
}

export const prefix = "pingora_entry_";

const durations = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export const metricTable = {
  buildInfo: {
    name: "build_info",
    type: "gauge",
    labels: ["version", "build", "node"],
    help: "Always 1; the labels say which pingora-entry this is",
  },
  generationInfo: {
    name: "generation_info",
    type: "gauge",
    labels: ["generation", "release", "build"],
    help: "Always 1; the generation that runs and what it was released as",
  },
  phase: {
    name: "phase",
    type: "gauge",
    labels: ["phase"],
    help: "1 for the phase the server is in, 0 for the others",
  },
  transitions: {
    name: "phase_transitions_total",
    type: "counter",
    labels: ["from", "to"],
    help: "Phase changes since this supervisor started",
  },
  ready: { name: "ready", type: "gauge", labels: [], help: "1 while /readyz answers 200" },
  serviceState: {
    name: "service_state",
    type: "gauge",
    labels: ["service", "state"],
    help: "1 for the state the service is in (its least advanced instance), 0 for the others",
  },
  serviceRestarts: {
    name: "service_restarts_total",
    type: "counter",
    labels: ["service", "reason"],
    help: "Restarts of processes of the service; reason: exit, probe or request",
  },
  serviceReady: {
    name: "service_ready_seconds",
    type: "histogram",
    labels: ["service"],
    help: "From the start of a process until it was ready; for a oneshot until it had completed",
    buckets: durations,
  },
  serviceStop: {
    name: "service_stop_seconds",
    type: "histogram",
    labels: ["service", "how"],
    help: "From the first step of a stop until the process was gone; how: exited by itself, or killed at its deadline",
    buckets: durations,
  },
  serviceCpu: {
    name: "service_cpu_seconds_total",
    type: "counter",
    labels: ["service"],
    help: "User and system time of the service's processes, ended ones included",
  },
  serviceMemory: {
    name: "service_resident_memory_bytes",
    type: "gauge",
    labels: ["service"],
    help: "Resident memory of the service's processes; pages they share count for each",
  },
  shutdownDeadline: {
    name: "shutdown_deadline_timestamp_seconds",
    type: "gauge",
    labels: [],
    help: "When the stop in progress will have ended whatever happens, in seconds since the epoch; absent while nothing stops",
  },
  shutdownSeconds: {
    name: "shutdown_seconds",
    type: "gauge",
    labels: [],
    help: "How long the stop in progress has taken; absent while nothing stops",
  },
  drainConnections: {
    name: "drain_connections",
    type: "gauge",
    labels: ["listener"],
    help: "Open connections of processes that are stopping; 0 while none is",
  },
  connectionsCut: {
    name: "connections_cut_total",
    type: "counter",
    labels: ["listener"],
    help: "Connections that were still open when their process ended in a stop or a restart",
  },
  upgradeAttempts: {
    name: "upgrade_attempts_total",
    type: "counter",
    labels: ["result", "reason"],
    help: "Upgrades this generation took part in; result: completed, rolled-back or busy (nothing was tried); reason: none, busy, check, start, sockets, listener, service, unready, lost, protocol, journal, stopped or other",
  },
  upgradeSeconds: {
    name: "upgrade_seconds",
    type: "histogram",
    labels: ["step"],
    help: "How long each step of an upgrade took, as this generation saw it; step all: the whole attempt",
    buckets: durations,
  },
  handoverSockets: {
    name: "handover_sockets",
    type: "gauge",
    labels: [],
    help: "Sockets that went over in the last upgrade this generation took part in; 0 before one",
  },
  orphansReaped: {
    name: "orphans_reaped_total",
    type: "counter",
    labels: [],
    help: "Processes without a parent that the init has reaped since the container started",
  },
  supervisorRestarts: {
    name: "supervisor_restarts_total",
    type: "counter",
    labels: [],
    help: "Times the init had to start the supervisor again since the container started",
  },
  outputDropped: {
    name: "output_dropped_bytes_total",
    type: "counter",
    labels: ["stream"],
    help: "Log lines and service output dropped because nobody read our stdout or stderr",
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricKey = keyof typeof metricTable;
