import type { ProbeAction } from "../core/plan.js";
import type { Exit } from "../core/service-state.js";
import type { NotifyMessage, ProbeContext, ResourceUsage, SignalScope } from "./ports.js";

/** What a running body says. `exited` comes once, last. */
export type BodyEvent =
  | NotifyMessage
  | { readonly kind: "exited"; readonly exit: Exit; readonly usage?: ResourceUsage; readonly reason?: string };

export type StartResult =
  | { readonly ok: true; readonly pid?: number }
  /** `code`: what a shell would exit with, 127 or 126 */
  | { readonly ok: false; readonly reason: string; readonly code: number; readonly permanent: boolean };

/** What a service instance is made of: a process, or a function of this process. One id is one life. */
export interface Body {
  start(id: string, index: number, receive: (event: BodyEvent) => void): Promise<StartResult>;
  /** takes up a life that an earlier supervisor began */
  resume(id: string, pid: number, receive: (event: BodyEvent) => void): void;
  /** number of processes reached */
  signal(id: string, signal: string, scope: SignalScope): Promise<number>;
  /**
   * Runs the stop command, or waits for it when an earlier supervisor has `begun` it. Resolves when it ended, with what went wrong, or when
   * the signal aborted: then it is killed. `done` writes down that it is over, before anything forgets it.
   */
  stopCommand(
    id: string,
    command: readonly string[],
    how: { readonly signal: AbortSignal; readonly begun: boolean; readonly done: () => void },
  ): Promise<string | undefined>;
  /** what makes it accept no more without ending it; undefined: only its stop does */
  drainSignal?(): string | undefined;
  /** a process of this life can still accept on the service's listeners */
  accepts?(id: string, pid: number | undefined): boolean;
  /** the life is over and dealt with: nothing of it is needed any more */
  ended(id: string): void;
  /** what to ask, with its placeholders filled, and as whom */
  probe(id: string, action: ProbeAction): { readonly action: ProbeAction; readonly context: ProbeContext };
}
