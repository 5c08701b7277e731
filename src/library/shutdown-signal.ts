import { EntryError } from "../core/entry-error.js";

/** What a server can be asked; pingora's three. */
export type ShutdownSignal = "GracefulUpgrade" | "GracefulTerminate" | "FastShutdown";

const signals: readonly ShutdownSignal[] = ["GracefulUpgrade", "GracefulTerminate", "FastShutdown"];

/**
 * Resolves with what the server is asked. Awaited once per run, and again after each upgrade that was rolled back. pingora's ShutdownSignalWatch.
 * When it rejects, nobody could stop the server any more: it stops in order, and `run` rejects with the same.
 */
export interface ShutdownSignalWatch {
  recv(): Promise<ShutdownSignal>;
}

/** @throws what `recv` throws or rejects with; EntryError config when it resolves with something else */
export async function received(watch: ShutdownSignalWatch): Promise<ShutdownSignal> {
  const signal = await watch.recv();
  if (signals.includes(signal)) return signal;
  throw new EntryError(
    "config",
    `cannot stop: recv() resolved with ${String(signal)}, one of ${signals.join(", ")} is needed`,
  );
}

const requests = { SIGTERM: "Terminate", SIGQUIT: "GracefulUpgrade", SIGINT: "FastShutdown" } as const;

/** Brings this process's own signals to `request` until the result is called. For servers that no init forwards signals to. */
export function watchProcessSignals(
  request: (kind: "GracefulUpgrade" | "Terminate" | "FastShutdown", cause: string) => void,
): () => void {
  const watches = Object.entries(requests).map(([signal, kind]) => {
    const receive = () => request(kind, signal);
    process.on(signal, receive);
    return () => process.off(signal, receive);
  });
  return () => {
    for (const stop of watches) stop();
  };
}
