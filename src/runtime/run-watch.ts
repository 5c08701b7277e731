import type { ProbeSpec, ServiceSpec } from "../core/plan.js";
import { probeId } from "../core/probe-id.js";
import type { Body, BodyEvent } from "./body.js";
import type { Clock, Prober } from "./ports.js";
import { type ProbeVerdict, runProbe } from "./probe-loop.js";
import type { Scope } from "./scope.js";

/** What watching a process finds. */
export interface Findings {
  ready(): void;
  /** `final`: often enough in a row to count for a process that was ready */
  unready(reason: string, final: boolean, output?: string): void;
  /** the process has to go: liveness or startup probe failed, or it took too long to get ready */
  unhealthy(reason: string, output?: string): void;
  /** the liveness probe's word; true from the start when there is none */
  healthy(value: boolean): void;
}

export interface WatchParts {
  readonly service: ServiceSpec;
  readonly id: string;
  readonly body: Body;
  readonly clock: Clock;
  readonly prober: Prober;
  /** while another generation accepts on the same sockets: the processes whose answers count */
  readonly acceptedBy: () => readonly number[] | undefined;
  /** ends the watching */
  readonly scope: Scope;
  readonly findings: Findings;
}

/** Probes and timeouts of a process that runs. `wasReady`: by an earlier supervisor's word; its startup is not asked again. */
export function watchRun(parts: WatchParts, run: { readonly since: number; wasReady: boolean }): void {
  const { service, clock, scope, findings } = parts;
  const { startupProbe, startTimeoutMs } = service;
  if (startTimeoutMs > 0) {
    void clock.until(run.since + startTimeoutMs, scope.signal).then(() => {
      if (!scope.signal.aborted && !run.wasReady) findings.unhealthy(`not ready within ${startTimeoutMs / 1000} s`);
    });
  }
  if (startupProbe === undefined || run.wasReady) {
    watchStarted(parts);
    return;
  }
  const startup = scope.child();
  probe(parts, startup, startupProbe, "startup", (verdict) => {
    if (verdict.ok) {
      void startup.close();
      watchStarted(parts);
    } else if (verdict.final) findings.unhealthy(`startup probe: ${verdict.reason}`, verdict.output);
    else findings.unready(`startup probe: ${verdict.reason}`, false, verdict.output);
  });
}

function watchStarted(parts: WatchParts): void {
  const { service, scope, findings } = parts;
  const { livenessProbe, readinessProbe } = service;
  if (livenessProbe === undefined) findings.healthy(true);
  else {
    probe(parts, scope, livenessProbe, "liveness", (verdict) => {
      findings.healthy(verdict.ok);
      if (!verdict.ok && verdict.final) findings.unhealthy(`liveness probe: ${verdict.reason}`, verdict.output);
    });
  }
  if (readinessProbe === undefined) {
    // a process with nothing to ask is ready when it runs; a task of this process says so itself
    if (service.process !== undefined && service.type === "long-running") findings.ready();
  } else if (readinessProbe.action.kind !== "log" && readinessProbe.action.kind !== "notify") {
    probe(parts, scope, readinessProbe, "readiness", (verdict) => {
      if (verdict.ok) findings.ready();
      else findings.unready(`readiness probe: ${verdict.reason}`, verdict.final, verdict.output);
    });
  }
}

function probe(
  { service, id, body, prober, clock, acceptedBy }: WatchParts,
  scope: Scope,
  spec: ProbeSpec,
  name: Parameters<typeof probeId>[1],
  tell: (verdict: ProbeVerdict) => void,
): void {
  const { action, context } = body.probe(id, spec.action);
  const ask = (timeoutMs: number, signal: AbortSignal) => {
    const askId = probeId(id, name, clock.now());
    const pids = acceptedBy();
    const who = pids === undefined ? {} : { acceptedBy: pids };
    return prober.ask(action, { ...context, id: askId, ...who }, timeoutMs, signal);
  };
  const eager = name !== "liveness" || service.livenessProbe?.initialDelayMs === 0;
  void runProbe({ spec, ask, tell, eager }, clock, scope.signal);
}

/** Reads what a service says of itself, by its own word or its output, as findings. */
export function wordReader(gate: ProbeSpec | undefined, findings: Findings): (event: BodyEvent) => void {
  const pattern = gate?.action.kind === "log" ? new RegExp(gate.action.pattern) : undefined;
  const believed = gate === undefined || gate.action.kind === "notify";
  return (event) => {
    if (event.kind === "ready" && believed) findings.ready();
    else if (event.kind === "status") findings.unready(event.text, false);
    else if (event.kind === "line" && pattern?.test(event.text)) findings.ready();
  };
}
