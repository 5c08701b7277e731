import type { Service, ServiceContext } from "./service.js";

/** Work beside the others: pingora's background service. Ready at once; ends when `task` settles or `shutdown` aborts it. */
export function backgroundService(
  name: string,
  task: (context: Omit<ServiceContext, "ready">) => Promise<void>,
): Service {
  return {
    name: `BG ${name}`,
    threads: 1,
    start({ listenFds, shutdown, ready }) {
      ready();
      return task({ listenFds, shutdown });
    },
  };
}
