/** What a server can be asked; pingora's three. */
export type ShutdownSignal = "GracefulUpgrade" | "GracefulTerminate" | "FastShutdown";

/** Awaited once per run: resolves with what the server is asked. pingora's ShutdownSignalWatch. */
export interface ShutdownSignalWatch {
  recv(): Promise<ShutdownSignal>;
}

const requests = { SIGTERM: "Terminate", SIGQUIT: "Terminate", SIGINT: "FastShutdown" } as const;

/** Brings this process's own signals to `request` until the result is called. For servers that no init forwards signals to. */
export function watchProcessSignals(request: (kind: "Terminate" | "FastShutdown", cause: string) => void): () => void {
  const watches = Object.entries(requests).map(([signal, kind]) => {
    const receive = () => request(kind, signal);
    process.on(signal, receive);
    return () => process.off(signal, receive);
  });
  return () => {
    for (const stop of watches) stop();
  };
}
