import { EntryError, exitCodes } from "../core/entry-error.js";
import type { Phase, PhaseEvent } from "../core/phase.js";
import type { Log } from "./ports.js";

/** What a task's rejection means for the server. */
export interface Failure {
  readonly event: PhaseEvent;
  readonly cause: string;
  /** the exit code */
  readonly own: number;
  readonly log: (log: Log) => void;
}

const events: Readonly<Partial<Record<Phase, PhaseEvent>>> = {
  Setup: "FastShutdown",
  Bootstrap: "BootstrapFailed",
  ShutdownStarted: "ShutdownPlanned",
  ShutdownGracePeriod: "WavesStopped",
  ShutdownRuntimes: "RuntimesStopped",
};

/** An expected refusal ends the server with its code; anything else is a bug, and the server still stops its services. */
export function failureOf(phase: Phase, error: unknown): Failure {
  const event = events[phase] ?? "ServiceFatal";
  if (!(error instanceof EntryError)) {
    const cause = `a bug in ${phase}`;
    return { event, cause, own: exitCodes.software.code, log: (log) => log.error(cause, { err: error }) };
  }
  const { message, problems, exitCode } = error;
  const cause = [message, problems[0]?.message].filter(Boolean).join(": ");
  return { event, cause, own: exitCode, log: (log) => log.error(message, { problems }) };
}
