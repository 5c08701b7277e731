import { exitCodes } from "./entry-error.js";
import type { Exit } from "./service-state.js";
import { signalNumber } from "./signals.js";

/** What decides the container's exit code, in the order in which it does. */
export interface Ending {
  /** pingora-entry's own failure: the code of an EntryError, or 70 for a bug */
  readonly own?: number;
  /** the service whose failure ended the container */
  readonly fatal?: Exit;
  /** how the main service ended; undefined when there is none */
  readonly main?: Exit;
  /** every service has ended, and this is how the first required one that failed did; a code 1 when one never started */
  readonly missed?: Exit;
  /** the stop was asked for (signal, hook, request), not caused by a service */
  readonly requested: boolean;
  /** services that were killed at their deadline; main counts by its own exit */
  readonly killed: readonly string[];
}

/** 128+n for a signal. */
export function codeOf(exit: Exit): number {
  return exit.signal === undefined ? (exit.code ?? 0) : 128 + signalNumber(exit.signal);
}

/**
 * The first that applies: our own failure; the main service's code; the failed service's code (1 when that was 0); when all
 * ended by themselves, that of a required service that failed or never started; something killed: 143; 0.
 * A main service that dies of the very stop signal it was sent, or exits with 128+n for it as a JVM does, has obeyed: that counts as 0.
 */
export function containerExitCode(ending: Ending, stopSignals: readonly string[]): number {
  if (ending.own !== undefined) return ending.own;
  if (ending.main !== undefined) {
    const code = codeOf(ending.main);
    const obeyed = ending.requested && stopSignals.some((signal) => code === 128 + signalNumber(signal));
    if (code !== 0 && !obeyed) return code;
  }
  if (ending.fatal !== undefined) return codeOf(ending.fatal) || exitCodes.failed.code;
  if (ending.missed !== undefined && !ending.requested) return codeOf(ending.missed) || exitCodes.failed.code;
  return ending.killed.length > 0 ? exitCodes.forced.code : exitCodes.ok.code;
}
