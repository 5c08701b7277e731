/**
 * The plan: what the configuration compiled to. A value, made and refuted before anything runs, read-only afterwards.
 * Times are milliseconds. Every default has been filled in; every name has been resolved.
 */

/** When a dependency counts as fulfilled. `healthy` is ready with a passing liveness probe. */
export type Condition = "started" | "ready" | "healthy" | "completed";
export const conditions: readonly Condition[] = ["started", "ready", "healthy", "completed"];

/** How a probe asks. `port` or `listener` is resolved to `host` and `port`; a unix listener to `path`. */
export type ProbeAction =
  | { readonly kind: "tcpSocket"; readonly host: string; readonly port: number }
  | { readonly kind: "unixSocket"; readonly path: string }
  | {
      readonly kind: "httpGet";
      readonly scheme: "http" | "https";
      readonly host: string;
      readonly port: number;
      /** set when the listener is a unix socket; host and port are then for the Host header only */
      readonly socketPath?: string;
      readonly path: string;
      readonly headers: readonly { readonly name: string; readonly value: string }[];
    }
  | { readonly kind: "exec"; readonly command: readonly string[] }
  | { readonly kind: "file"; readonly path: string }
  /** ready when a line of the service's output matches; `pattern` is the source of a RegExp */
  | { readonly kind: "log"; readonly pattern: string }
  /** ready when the service says READY=1 on NOTIFY_SOCKET, or writes a newline to `fd` when that is given */
  | { readonly kind: "notify"; readonly fd?: number };

/** Kubernetes' probe fields and defaults; see `readinessProbe` in the reference. */
export interface ProbeSpec {
  readonly action: ProbeAction;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export type RestartPolicy = "always" | "on-failure" | "never";

export interface RestartSpec {
  readonly policy: RestartPolicy;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  /** a process that stayed up this long starts again from the initial delay */
  readonly resetAfterMs: number;
  /** more than `limit` restarts within `windowMs` make the service Failed; 0 is no limit */
  readonly limit: number;
  readonly windowMs: number;
}

/** One step of stopping: `signal` now, then wait at most `waitMs` before the next step. */
export interface StopStep {
  readonly signal: string;
  readonly waitMs: number;
}

export interface StopSpec {
  /** at least one; the last step waits until the service's deadline */
  readonly steps: readonly StopStep[];
  /** undefined: a share of what the plan has left */
  readonly graceMs?: number;
  /** run before the first signal, within the same grace */
  readonly command?: readonly string[];
}

/** Who a process runs as; numbers only, looked up when the plan was made. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home?: string;
  readonly name?: string;
}

export interface ResourceLimit {
  readonly resource: string;
  /** `-1` is unlimited */
  readonly soft: number;
  readonly hard: number;
}

/** What to run for a service that is a process. */
export interface ProcessSpec {
  readonly command: readonly string[];
  /** added to the environment the supervisor was given; `null` removes */
  readonly env: Readonly<Record<string, string | null>>;
  readonly workingDirectory?: string;
  readonly identity?: Identity;
  readonly umask?: number;
  readonly nice?: number;
  readonly oomScoreAdj?: number;
  readonly limits: readonly ResourceLimit[];
  readonly output: "inherit" | "prefix" | "json";
  /** give the service the container's terminal (only `main`) */
  readonly tty: boolean;
}

/** What an upgrade does with a service. */
export interface ServiceUpgradeSpec {
  readonly strategy: "handover" | "restart" | "own";
  readonly accept: "on-start" | "on-commit";
  /** handover, on-start: a trial on private sockets comes before its first process in a successor */
  readonly preflight: boolean;
  readonly onUpgrade: "run" | "skip";
  /** strategy own: added to the command of a process that takes over from a running one */
  readonly arguments: readonly string[];
  /** strategy own: makes the running one hand over */
  readonly signal: string;
}

export interface ServiceSpec {
  readonly name: string;
  readonly type: "long-running" | "oneshot";
  /** absent for a service that runs inside this process (library) */
  readonly process?: ProcessSpec;
  readonly dependsOn: Readonly<Record<string, Condition>>;
  /** names of listeners, in the order in which the service gets their fds (3, 4, ...) */
  readonly listeners: readonly string[];
  readonly instances: number;
  readonly readinessProbe?: ProbeSpec;
  readonly livenessProbe?: ProbeSpec;
  readonly startupProbe?: ProbeSpec;
  /** 0: wait for ever, and say so on /readyz */
  readonly startTimeoutMs: number;
  readonly restart: RestartSpec;
  readonly stop: StopSpec;
  /** what happens when the service is Failed: it failed and is not restarted any more */
  readonly onFailure: "shutdown" | "restart" | "ignore";
  /** counts for /readyz */
  readonly required: boolean;
  readonly upgrade: ServiceUpgradeSpec;
}

export type ListenerAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly ipv6Only: boolean }
  | { readonly kind: "udp"; readonly host: string; readonly port: number; readonly ipv6Only: boolean }
  | {
      readonly kind: "unix";
      readonly path: string;
      readonly mode: number;
      readonly type: "stream" | "seqpacket" | "dgram";
    };

export type PassAs = "systemd" | "nginx" | "stdin" | "env" | "adopt";

export interface ListenerSpec {
  readonly name: string;
  readonly address: ListenerAddress;
  /** the address as it was written: pingora's key for this listener */
  readonly key: string;
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly passAs: PassAs;
  /** for passAs env: the variable that holds the fd number; `{NAME}_ADDR` style extras are documented in the reference */
  readonly envName: string;
}

export interface ShutdownSpec {
  /** what the pod grants between the first of preStop and SIGTERM and the SIGKILL */
  readonly gracePeriodMs: number;
  readonly lameDuckMs: number;
  /** kept back at the end: kill and report before the runtime does */
  readonly reserveMs: number;
}

export interface BindRetrySpec {
  readonly attempts: number;
  readonly intervalMs: number;
}

export interface AdminSpec {
  /** undefined: no TCP port */
  readonly tcp?: { readonly host: string; readonly port: number };
  /** path of the control socket */
  readonly socket: string;
  readonly prestopToken?: string;
}

/** How generations replace each other. */
export interface UpgradeSpec {
  /** owner socket, lock and journal; undefined: this server takes part in no upgrade */
  readonly directory?: string;
  /** nobody named the directory: a server that cannot use it does without upgrades */
  readonly optional: boolean;
  readonly probationMs: number;
  readonly bootMs: number;
  /** what the old generation may take to end after it was replaced */
  readonly drainMs: number;
  readonly release: string;
  readonly maxGenerations: number;
  /** wait, the init alone, where another generation owns the directory; else end */
  readonly standby: boolean;
  /** pingora's own way: over this socket, tried so often */
  readonly pingora?: { readonly path: string; readonly attempts: number };
}

export interface LogSpec {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  readonly format: "auto" | "json" | "pretty";
}

export interface Plan {
  /** in the order of the configuration */
  readonly services: readonly ServiceSpec[];
  readonly listeners: readonly ListenerSpec[];
  /** start order; services of one wave do not wait for each other. Every service is in exactly one wave. */
  readonly waves: readonly (readonly string[])[];
  /** the service whose exit code is the container's */
  readonly main?: string;
  readonly shutdown: ShutdownSpec;
  readonly readiness: { readonly duringDrain: "auto" | "fail" | "pass" };
  readonly bindRetry: BindRetrySpec;
  readonly admin: AdminSpec;
  readonly upgrade: UpgradeSpec;
  readonly log: LogSpec;
  /** where the last words go; undefined: nowhere */
  readonly terminationMessagePath?: string;
  readonly pidFile?: string;
}
