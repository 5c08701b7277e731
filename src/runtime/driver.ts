import { ignored, next, type Phase } from "../core/phase.js";
import type { Inbox, Posted } from "./inbox.js";
import type { Clock, Log } from "./ports.js";
import { Scope } from "./scope.js";
import type { StatusStore } from "./status-store.js";

/**
 * What a phase does: one straight-line async function that returns the event it ends with. Its scope closes when the phase is left.
 * A phase without a task waits for the inbox.
 */
export type Task = (scope: Scope) => Promise<Posted>;

export interface DriverParts {
  readonly inbox: Inbox;
  readonly store: StatusStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly tasks: Readonly<Partial<Record<Phase, Task>>>;
  /** a task threw: what to do instead of ending; `error` is always a bug or the system's refusal */
  readonly failed: (phase: Phase, error: unknown) => Posted;
}

/** Walks the phase track from `phase` to Terminated. Only this function changes the phase. */
export async function drive(phase: Phase, parts: DriverParts): Promise<void> {
  const { inbox, store, clock, log } = parts;
  for (let now = phase; now !== "Terminated"; ) {
    const scope = new Scope();
    const leaving = await leave(now, scope, parts);
    await scope.close();
    const to = next(now, leaving.event);
    if (to === ignored) continue;
    log.info(`${now} -> ${to}`, { from: now, to, event: leaving.event, cause: leaving.cause });
    store.transition({ from: now, to, event: leaving.event, at: clock.wall() });
    log.flush();
    now = to;
  }
  // what came too late is said once, so that no request disappears without a word
  for (let late = inbox.take(); late !== undefined; late = inbox.take())
    log.debug(`ignored ${late.event}`, { cause: late.cause });
}

/** Resolves with the first event, the task's or the inbox's, that the table accepts in this phase. */
async function leave(phase: Phase, scope: Scope, parts: DriverParts): Promise<Posted> {
  const { inbox, log, tasks, failed } = parts;
  let result: Posted | undefined;
  let done: Promise<void> | undefined;
  const begin = () =>
    tasks[phase]?.(scope).then(
      (posted) => {
        result = posted;
      },
      (error: unknown) => {
        result = failed(phase, error);
      },
    );
  const said = new Set<string>();
  for (;;) {
    // the inbox first: a request that waits must not lose against a task that ended in the same turn
    for (let posted = inbox.take(); posted !== undefined; posted = inbox.take()) {
      if (next(phase, posted.event) !== ignored) return posted;
      if (!said.has(posted.event)) log.debug(`${posted.event} ignored in ${phase}`, { cause: posted.cause });
      said.add(posted.event);
    }
    if (result !== undefined) return result;
    // nothing is begun in a phase that is left at once
    done ??= begin();
    await (done === undefined ? inbox.arrived() : Promise.race([inbox.arrived(), done]));
  }
}
