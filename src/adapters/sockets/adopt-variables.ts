import { existsSync } from "node:fs";
import type { Problem } from "../../core/entry-error.js";
import { signalName, signalNumber } from "../../core/signals.js";
import type { BoundListener } from "../../runtime/ports.js";
import { addressDigits } from "../native/address-digits.js";
import { libraryProblem } from "../native/library-file.js";
import { listenerAddress } from "./placeholders.js";

/** Ignored by default: the processes of a service that do not know it, and a program just being executed, are not ended by it. */
const usualDrainSignal = "SIGURG";

/** A service whose program has another use for that signal names one of its own there. */
const drainVariable = "PINGORA_ENTRY_ADOPT_DRAIN";

/**
 * How a process that adopted its listeners is made to accept nothing more, while it goes on with what it has accepted. To be sent until
 * acceptingProcesses names nobody: one may be forked between. What had not bound yet is refused the address and ends; it must not be started again.
 */
export interface DrainWay {
  /** to be sent to every process of the service's tree; harmless when sent twice and, unless the service chose another, to those that do not know it */
  readonly signal: string;
  /** names of the listeners that this is about */
  readonly listeners: readonly string[];
  /** false: the service has others, which it goes on accepting from */
  readonly complete: boolean;
}

/** Undefined when none of them is adopted, or when the service's environment names no signal that there is. */
export function drainWay(
  env: Readonly<Record<string, string>>,
  listeners: readonly BoundListener[],
): DrainWay | undefined {
  const signal = drainSignal(env);
  const adopted = listeners.filter(({ spec }) => spec.passAs === "adopt").map(({ spec }) => spec.name);
  if (adopted.length === 0 || signal === undefined) return undefined;
  return { signal, listeners: adopted, complete: adopted.length === listeners.length };
}

function drainSignal(env: Readonly<Record<string, string>>): string | undefined {
  const chosen = env[drainVariable];
  return chosen === undefined ? usualDrainSignal : signalName(chosen);
}

/** What tells the preload library which sockets the program may adopt: src/native/adopt/offers.h. `env` is the service's own. */
export function adoptVariables(
  listeners: readonly BoundListener[],
  targets: ReadonlyMap<string, number>,
  env: Readonly<Record<string, string>>,
  library: string | undefined,
  problems: Problem[],
): Record<string, string> {
  if (listeners.length === 0) return {};
  const names = listeners.map(({ spec }) => `"${spec.name}"`).join(", ");
  const why = whyNoLibrary(library);
  if (library === undefined || why !== undefined) {
    problems.push({ message: `${names} cannot be adopted: ${why}` });
    return {};
  }
  const offers = listeners.map((listener) => offer(listener, targets.get(listener.spec.name) ?? 0));
  return {
    LD_PRELOAD: env.LD_PRELOAD ? `${library}:${env.LD_PRELOAD}` : library,
    PINGORA_ENTRY_ADOPT: offers.join(";"),
    // 0: none
    [drainVariable]: String(signalNumber(drainSignal(env) ?? "")),
  };
}

function whyNoLibrary(library: string | undefined): string | undefined {
  if (library === undefined || !existsSync(library)) return `the library ${library ?? "adopt.so"} is not there`;
  // ld.so(8): nothing escapes them
  if (/[\s:]/.test(library)) return `LD_PRELOAD cannot say the path ${library}: it has a colon or a blank`;
  // ld.so(8) goes on without it, or dies: the program would be refused the address
  return libraryProblem(library);
}

function offer(listener: BoundListener, target: number): string {
  const { address } = listener.spec;
  const type = address.kind === "tcp" ? "stream" : address.kind === "udp" ? "dgram" : address.type;
  const family = address.kind === "unix" ? "unix" : listener.host?.includes(":") ? "inet6" : "inet";
  const { standsFor } = listener;
  const path = escaped((standsFor ?? listener).path ?? "");
  const where =
    standsFor === undefined
      ? family === "unix"
        ? path
        : listenerAddress(listener)
      : `=${family === "unix" ? path : `${addressDigits(standsFor.host ?? "")}:${standsFor.port}`}`;
  return `${target}:${family}:${type}:${where}`;
}

function escaped(path: string): string {
  return path.replace(/[%;:]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
