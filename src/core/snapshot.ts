import type { Phase } from "./phase.js";
import type { UpgradeOutcome } from "./upgrade-outcome.js";

/**
 * All there is to know about the running server, as one read-only value. The status store is its only writer;
 * every output (log fields, /readyz, /metrics, /status, the page, the exit code) is a pure view of it.
 *
 * `...At` fields are wall-clock milliseconds since the epoch (for people and metrics).
 */
export type ServiceStateName = "Waiting" | "Starting" | "Ready" | "Stopping" | "Stopped" | "Backoff" | "Failed";
export const serviceStateNames: readonly ServiceStateName[] = [
  "Waiting",
  "Starting",
  "Ready",
  "Stopping",
  "Stopped",
  "Backoff",
  "Failed",
];

export interface ExitView {
  /** the exit code, 128+n for a signal */
  readonly code: number;
  readonly signal?: string;
  /** by us, at its deadline: not by itself, its stop command or the kernel */
  readonly killed?: boolean;
  readonly at: number;
}

export interface InstanceView {
  readonly id: string;
  readonly state: ServiceStateName;
  readonly since: number;
  readonly pid?: number;
  /** why it is in this state, in words: "waiting for cache to be ready", "readiness probe: connection refused" */
  readonly reason: string;
  /** what the exec probe wrote that the reason speaks of, its last line; for those inside the container only */
  readonly output?: string;
  readonly restarts: number;
  readonly lastExit?: ExitView;
  /** Stopping: when it will be killed; Backoff: when it starts again */
  readonly until?: number;
}

export interface ServiceView {
  readonly name: string;
  readonly type: "long-running" | "oneshot";
  readonly required: boolean;
  readonly dependsOn: Readonly<Record<string, string>>;
  readonly listeners: readonly string[];
  /** the state of the least advanced instance; what dependents and readiness see */
  readonly state: ServiceStateName;
  readonly since: number;
  readonly reason: string;
  /** of the instance that the reason is of */
  readonly output?: string;
  /** ready, or completed when it is a oneshot */
  readonly ready: boolean;
  readonly instances: readonly InstanceView[];
  /** cumulative; by what made them necessary */
  readonly restartsByReason: Readonly<Record<string, number>>;
  readonly wave: number;
  /** during an upgrade: the other generation has it, or just had it; does not count for readiness */
  readonly excused?: boolean;
  /** stopped by request: is not started by itself */
  readonly held?: boolean;
}

export interface ListenerView {
  readonly name: string;
  /** "tcp 0.0.0.0:8080", "unix /run/app.sock" */
  readonly address: string;
  readonly services: readonly string[];
  /** not open yet: who has its address */
  readonly waits?: string;
}

export interface StopWaveView {
  readonly services: readonly string[];
  /** when its services are killed */
  readonly deadlineAt: number;
  readonly graceMs: number;
  readonly done: boolean;
}

export interface ShutdownView {
  /** what asked for it: "SIGTERM", "SIGINT", "preStop", "service web failed", ... */
  readonly cause: string;
  readonly requestedAt: number;
  readonly deadlineAt: number;
  readonly lameDuckUntil?: number;
  readonly waves: readonly StopWaveView[];
  /** services that had to be killed */
  readonly killed: readonly string[];
}

/** An upgrade under way, as this generation sees it. */
export interface UpgradeView {
  readonly attempt: string;
  /** `old`: this generation is being replaced; `new`: it replaces the peer */
  readonly role: "old" | "new";
  readonly step: string;
  readonly since: number;
  /** when the step is given up, or the probation over */
  readonly until?: number;
  /** how many the new generation took over, from CLAIM on */
  readonly sockets?: number;
  readonly peer: GenerationView;
}

/** Another generation, from what it said last. */
export interface GenerationView {
  readonly generation: number;
  readonly release: string;
  readonly build: string;
  readonly pid: number;
  /** its phase; undefined when it has not said */
  readonly phase?: string;
  /** connections it still serves */
  readonly connections?: number;
  /** when it will be gone */
  readonly deadlineAt?: number;
}

/** What becomes of a listener's connections while processes that accept on it stop. */
export interface DrainView {
  readonly listener: string;
  /** when the first of the processes began to stop */
  readonly since: number;
  /** open now, of the processes that are stopping */
  readonly connections: number;
  /** ended while their process was still there */
  readonly drained: number;
  /** still open when their process ended, as far as the last look told */
  readonly cut: number;
  /** processes that did not end in time */
  readonly killed: number;
  /** so far, or until the last of the processes had ended */
  readonly seconds: number;
  readonly done: boolean;
  /** false: something could not be seen */
  readonly exact: boolean;
  /** since this supervisor started, every stop and restart included */
  readonly cutTotal: number;
}

export interface Snapshot {
  /** grows by one with every change */
  readonly revision: number;
  readonly phase: Phase;
  readonly phaseSince: number;
  readonly startedAt: number;
  readonly generation: number;
  readonly release: string;
  readonly version: string;
  readonly pid: number;
  readonly services: readonly ServiceView[];
  readonly listeners: readonly ListenerView[];
  /** undefined as long as nothing has asked for a stop */
  readonly shutdown?: ShutdownView | undefined;
  /** by listener; the last stop of processes on it, or the stops of this shutdown. Undefined before the first. */
  readonly drains?: readonly DrainView[];
  readonly exitCode?: number;
  readonly orphansReaped: number;
  readonly supervisorRestarts: number;
  readonly upgrade?: UpgradeView | undefined;
  /** how the last upgrade ended that this generation took part in */
  readonly lastUpgrade?: UpgradeOutcome | undefined;
  /** generations before this one that still drain, the oldest first */
  readonly draining?: readonly GenerationView[];
  /** what readiness.duringDrain says, resolved for now: ready while in the lame duck */
  readonly readyDuringDrain: boolean;
}

/** A phase change, as /events, the log and the library's watch see it. */
export interface Transition {
  readonly from: Phase;
  readonly to: Phase;
  readonly event: string;
  readonly at: number;
}
