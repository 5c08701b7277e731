/** pingora's execution phases, in the order of a life. The name is log field, metric label and condition reason. */
export const phases = [
  "Setup",
  "Bootstrap",
  "BootstrapComplete",
  "Running",
  "GracefulUpgradeTransferringFds",
  "GracefulUpgradeCloseTimeout",
  "GracefulTerminate",
  "ShutdownStarted",
  "ShutdownGracePeriod",
  "ShutdownRuntimes",
  "Terminated",
] as const;

export type Phase = (typeof phases)[number];

/** What can happen to the server as a whole. Tasks return `*Done` and `*Failed`; signals, hooks and requests post the rest. */
export const phaseEvents = [
  "Begin",
  "BootstrapDone",
  "BootstrapFailed",
  "ServicesReady",
  "ServiceFatal",
  "ServicesEnded",
  "GracefulUpgrade",
  "HandoverDone",
  "HandoverFailed",
  "ProbationPassed",
  "SuccessorLost",
  "SuccessionFailed",
  "Terminate",
  "FastShutdown",
  "DrainCancelled",
  "LameDuckOver",
  "ShutdownPlanned",
  "WavesStopped",
  "RuntimesStopped",
] as const;

export type PhaseEvent = (typeof phaseEvents)[number];

/** The answer that is no transition: the event has no meaning in this phase, is logged once, and changes nothing. */
export const ignored = "ignored";

export interface PhaseFacts {
  /** what the phase means to an operator; the text of docs/reference/phases.md */
  readonly meaning: string;
  /** `no`: never ready here; `services`: ready when the required services are; `drain`: what readiness.duringDrain says */
  readonly ready: "no" | "services" | "drain";
  readonly live: boolean;
}

export const phaseFacts: Readonly<Record<Phase, PhaseFacts>> = {
  Setup: { meaning: "created with a valid plan; signals are caught", ready: "no", live: true },
  Bootstrap: {
    meaning:
      "binding or receiving the listening sockets, opening the control socket; endpoints answer when an address has to be tried again",
    ready: "no",
    live: true,
  },
  BootstrapComplete: {
    meaning: "starting services in waves until the required ones are ready",
    ready: "no",
    live: true,
  },
  Running: {
    meaning: "all required services have been ready; waiting for something to happen",
    ready: "services",
    live: true,
  },
  GracefulUpgradeTransferringFds: { meaning: "offering the sockets to a successor", ready: "services", live: true },
  GracefulUpgradeCloseTimeout: {
    meaning: "probation: both generations serve, the successor is watched",
    ready: "services",
    live: true,
  },
  GracefulTerminate: {
    meaning: "lame duck: serving on while the endpoints forget this pod",
    ready: "drain",
    live: true,
  },
  ShutdownStarted: {
    meaning: "fixing the shutdown plan from the instant the stop was asked for",
    ready: "no",
    live: true,
  },
  ShutdownGracePeriod: {
    meaning: "stopping services in reverse order against absolute deadlines",
    ready: "no",
    live: true,
  },
  ShutdownRuntimes: { meaning: "killing and reaping what is left, flushing logs", ready: "no", live: true },
  Terminated: { meaning: "over; the exit code is final", ready: "no", live: false },
};

type Row = Readonly<Record<PhaseEvent, Phase | typeof ignored>>;

const nothing: Row = {
  Begin: ignored,
  BootstrapDone: ignored,
  BootstrapFailed: ignored,
  ServicesReady: ignored,
  ServiceFatal: ignored,
  ServicesEnded: ignored,
  GracefulUpgrade: ignored,
  HandoverDone: ignored,
  HandoverFailed: ignored,
  ProbationPassed: ignored,
  SuccessorLost: ignored,
  SuccessionFailed: ignored,
  Terminate: ignored,
  FastShutdown: ignored,
  DrainCancelled: ignored,
  LameDuckOver: ignored,
  ShutdownPlanned: ignored,
  WavesStopped: ignored,
  RuntimesStopped: ignored,
};

/** The whole table: every phase has a cell for every event. */
export const phaseTable: Readonly<Record<Phase, Row>> = {
  Setup: { ...nothing, Begin: "Bootstrap", Terminate: "ShutdownStarted", FastShutdown: "ShutdownStarted" },
  Bootstrap: {
    ...nothing,
    BootstrapDone: "BootstrapComplete",
    BootstrapFailed: "ShutdownStarted",
    SuccessionFailed: "ShutdownStarted",
    Terminate: "ShutdownStarted",
    FastShutdown: "ShutdownStarted",
  },
  BootstrapComplete: {
    ...nothing,
    ServicesReady: "Running",
    SuccessionFailed: "ShutdownStarted",
    ServiceFatal: "ShutdownStarted",
    ServicesEnded: "ShutdownStarted",
    Terminate: "ShutdownStarted",
    FastShutdown: "ShutdownStarted",
  },
  Running: {
    ...nothing,
    SuccessionFailed: "ShutdownStarted",
    ServiceFatal: "ShutdownStarted",
    ServicesEnded: "ShutdownStarted",
    GracefulUpgrade: "GracefulUpgradeTransferringFds",
    Terminate: "GracefulTerminate",
    FastShutdown: "ShutdownStarted",
  },
  GracefulUpgradeTransferringFds: {
    ...nothing,
    HandoverDone: "GracefulUpgradeCloseTimeout",
    HandoverFailed: "Running",
    ServiceFatal: "ShutdownStarted",
    ServicesEnded: "ShutdownStarted",
    Terminate: "GracefulTerminate",
    FastShutdown: "ShutdownStarted",
  },
  GracefulUpgradeCloseTimeout: {
    ...nothing,
    ProbationPassed: "ShutdownStarted",
    SuccessorLost: "Running",
    ServiceFatal: "ShutdownStarted",
    ServicesEnded: "ShutdownStarted",
    Terminate: "GracefulTerminate",
    FastShutdown: "ShutdownStarted",
  },
  GracefulTerminate: {
    ...nothing,
    LameDuckOver: "ShutdownStarted",
    DrainCancelled: "Running",
    SuccessionFailed: "ShutdownStarted",
    ServiceFatal: "ShutdownStarted",
    ServicesEnded: "ShutdownStarted",
    FastShutdown: "ShutdownStarted",
  },
  ShutdownStarted: { ...nothing, ShutdownPlanned: "ShutdownGracePeriod" },
  ShutdownGracePeriod: { ...nothing, WavesStopped: "ShutdownRuntimes" },
  ShutdownRuntimes: { ...nothing, RuntimesStopped: "Terminated" },
  Terminated: nothing,
};

/** The phase that follows, or `ignored`. Total and pure. */
export function next(phase: Phase, event: PhaseEvent): Phase | typeof ignored {
  return phaseTable[phase][event];
}
