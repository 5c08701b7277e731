import type { ServiceSpec } from "../core/plan.js";
import { trialSpec } from "../core/trial-spec.js";
import type { Body } from "./body.js";
import { Instance } from "./instance.js";
import type { BoundListener, Clock, Log, Prober, Sockets } from "./ports.js";

export interface PreflightParts {
  readonly service: ServiceSpec;
  readonly idPrefix: string;
  readonly listeners: ReadonlyMap<string, BoundListener>;
  readonly sockets: Pick<Sockets, "bindPrivate" | "remove" | "close">;
  readonly body: (service: ServiceSpec, listeners: ReadonlyMap<string, BoundListener>) => Body;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly random: () => number;
  /** it must be ready by then */
  readonly deadline: number;
  /** its trial's state or reason is new */
  readonly changed: () => void;
}

const noDrains = { begin() {}, killing() {}, ended() {}, drained: () => Promise.resolve(true) };

/**
 * A trial of a service before its first process: one process of it on private sockets must become ready, and is stopped. It is an instance that
 * is on no record: a supervisor that is started again finds a process that is nobody's, and ends it.
 */
export class Preflight {
  readonly trial: Instance;
  /** undefined as soon as it is ready, else why it is not; never rejects */
  readonly verdict: Promise<string | undefined>;
  /** nothing of it is left */
  readonly over: Promise<void>;
  /** what it last waited for */
  #waited = "";

  /** @throws EntryError os: no private socket can be had */
  constructor(parts: PreflightParts) {
    const { service, sockets, clock, prober, random, log, idPrefix } = parts;
    const own = new Map<string, BoundListener>();
    const close = (): void => {
      for (const bound of own.values()) {
        sockets.remove(bound);
        sockets.close(bound);
      }
      own.clear();
    };
    try {
      for (const name of service.listeners) {
        const listener = parts.listeners.get(name);
        if (listener !== undefined) own.set(name, sockets.bindPrivate(listener));
      }
    } catch (error) {
      close();
      throw error;
    }
    const began = clock.now();
    const spec = trialSpec(service, [...own.values()], parts.deadline - began);
    // of the others, placeholders may name the address
    const body = parts.body(spec, new Map([...parts.listeners, ...own]));
    let judged: (failure: string | undefined) => void = () => {};
    let gone = (): void => {};
    this.verdict = new Promise((resolve) => {
      judged = resolve;
    });
    // who failed may be killed with its whole generation before it is over; else the stop command may want to reach it
    void this.verdict.then((failure) => {
      if (failure !== undefined) close();
    });
    this.over = new Promise<void>((resolve) => {
      gone = resolve;
    }).then(close);
    this.trial = new Instance({
      // nobody's connections are counted
      service: { ...spec, name: `${service.name}!preflight`, listeners: [] },
      index: 0,
      idPrefix,
      body,
      clock,
      prober,
      log,
      random,
      shared: () => false,
      restart: () => spec.restart,
      paused: () => false,
      pids: () => [],
      othersServe: () => false,
      save() {},
      drains: noDrains,
      killing: () => log.warn(`preflight of ${service.name}: it did not end within its grace, and is killed`),
      ended() {},
      changed: (trial, before) => {
        const { state } = trial.fold;
        if (state.name !== before)
          log.info(`${trial.key} ${before} -> ${state.name}`, { instance: trial.key, reason: trial.reason });
        if (state.name === "Starting") this.#waited = state.reason;
        else if (state.name === "Ready") {
          log.info(`preflight of ${service.name} passed after ${((clock.now() - began) / 1000).toFixed(1)} s`);
          judged(undefined);
          trial.stop("stay", "passed");
        } else judged(this.#failure);
        if (state.name === "Stopped" || state.name === "Failed") gone();
        parts.changed();
      },
    });
    log.info(`preflight of ${service.name}: a trial on private sockets comes first`, {
      addresses: [...own.values()].map(({ host, port, path }) => path ?? `${host} ${port}`),
    });
    this.trial.start();
  }

  get #failure(): string {
    const { reason } = this.trial;
    return reason.startsWith("not ready within") ? `${reason} (${this.#waited})` : reason;
  }
}
