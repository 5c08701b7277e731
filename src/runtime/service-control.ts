import { EntryError } from "../core/entry-error.js";
import type { Control } from "./ports.js";
import type { ServiceSet } from "./service-set.js";

type ServiceControl = Pick<Control, "startService" | "stopService" | "restartService" | "signalService">;

/** What an operator may do to single services; `refusal`: why not now. `gone` aborts when nobody can wait any longer. */
export function serviceControl(
  services: ServiceSet,
  refusal: (name: string, action: "start" | "stop" | "restart") => string | undefined,
  gone: AbortSignal,
): ServiceControl {
  const operate = async (name: string, action: "start" | "stop" | "restart"): Promise<void> => {
    if (services.find(name) === undefined) throw unknownService(name, services);
    const refuse = (): void => {
      const why = refusal(name, action);
      if (why !== undefined) throw new EntryError("failed", `cannot ${action} "${name}": ${why}`);
    };
    refuse();
    const view = await services.operate(name, action, gone);
    // what came in between may have stopped it
    if (action !== "stop" && view?.state === "Stopped") refuse();
    const reached =
      action === "stop"
        ? view?.state === "Stopped" || view?.state === "Failed"
        : view?.state !== "Failed" && view?.state !== "Backoff";
    if (reached) return;
    const reason = view?.reason || "another request came in between";
    throw new EntryError("failed", `cannot ${action} "${name}": it is ${view?.state}, ${reason}`);
  };
  return {
    startService: (name) => operate(name, "start"),
    stopService: (name) => operate(name, "stop"),
    restartService: (name) => operate(name, "restart"),
    async signalService(name, signal, scope) {
      const service = services.find(name);
      if (service === undefined) throw unknownService(name, services);
      const reached = await Promise.all(service.instances.map((instance) => instance.signal(signal, scope)));
      return reached.reduce((sum, count) => sum + count, 0);
    },
  };
}

function unknownService(name: string, services: ServiceSet): EntryError {
  const known = services.views.map((service) => service.name).join(", ");
  return new EntryError("usage", `unknown service "${name}"; known: ${known === "" ? "none" : known}`);
}
