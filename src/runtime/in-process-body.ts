import type { Body, BodyEvent, StartResult } from "./body.js";
import type { Log } from "./ports.js";

/** A service that is a function of this process: it ends when its promise settles, is asked to stop by an AbortSignal. */
export type InProcessTask = (context: { readonly shutdown: AbortSignal; readonly ready: () => void }) => Promise<void>;

/** Runs `task` as a service. What cannot be killed is abandoned at its deadline, and counted as killed. */
export function inProcessBody(task: InProcessTask, log: Log): Body {
  const lives = new Map<string, { readonly stop: AbortController; readonly receive: (event: BodyEvent) => void }>();

  const end = (id: string, event: BodyEvent): void => {
    const life = lives.get(id);
    lives.delete(id);
    life?.receive(event);
  };

  return {
    start(id, _index, receive): Promise<StartResult> {
      const stop = new AbortController();
      lives.set(id, { stop, receive });
      const ready = (): void => {
        if (lives.has(id)) receive({ kind: "ready" });
      };
      // the task starts in a later turn, so that its first words find the instance in Starting
      queueMicrotask(() => {
        Promise.resolve()
          .then(() => task({ shutdown: stop.signal, ready }))
          .then(
            () => end(id, { kind: "exited", exit: { code: 0 } }),
            (error: unknown) => {
              log.error("service failed", { err: error });
              const reason = error instanceof Error ? error.message : String(error);
              end(id, { kind: "exited", exit: { code: 1 }, reason });
            },
          );
      });
      return Promise.resolve({ ok: true });
    },
    resume() {},
    signal(id, signal) {
      const life = lives.get(id);
      if (life === undefined) return Promise.resolve(0);
      if (signal === "SIGKILL") end(id, { kind: "exited", exit: { signal } });
      else if (signal !== "0") life.stop.abort();
      return Promise.resolve(1);
    },
    stopCommand: () => Promise.resolve(undefined),
    ended() {},
    probe: (id, action) => ({ action, context: { id, env: [] } }),
  };
}
