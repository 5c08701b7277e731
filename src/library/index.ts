export { EntryError } from "../core/entry-error.js";
export type { Condition, ServiceSpec } from "../core/plan.js";
export type { Snapshot } from "../core/snapshot.js";
export { backgroundService } from "./background-service.js";
export type { DrainableServer } from "./drain/connection-book.js";
export {
  type Drain,
  type DrainableOptions,
  type DrainOptions,
  type DrainOutcome,
  drainable,
} from "./drain/drainable.js";
export type { ExecutionPhase } from "./execution-phase.js";
export { configuredService, processService } from "./process-service.js";
export { type RunArgs, Server } from "./server.js";
export { defaultConf, type ServerConf } from "./server-conf.js";
export type { ProcessService, Service, ServiceContext } from "./service.js";
export { ServiceHandle } from "./service-handle.js";
export type { ShutdownSignal, ShutdownSignalWatch } from "./shutdown-signal.js";
