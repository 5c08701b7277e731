import type { ServiceSpec } from "../../src/core/plan.js";
import { ExitRouter } from "../../src/runtime/exit-router.js";
import type { ServiceWires } from "../../src/runtime/ports.js";
import { processBody } from "../../src/runtime/process-body.js";
import { ServiceSet } from "../../src/runtime/service-set.js";
import { FakeInit } from "./fake-init.js";
import { planOf, silentLog } from "./fake-server.js";
import type { ManualClock } from "./manual-clock.js";

const wires: ServiceWires = { kept: [], fds: [], env: [], started() {}, close() {} };

/** A generation's services alone, on an init without processes. */
export class FakeServices {
  readonly init: FakeInit;
  readonly set: ServiceSet;
  /** what would have ended the server */
  readonly ends: string[] = [];

  constructor(clock: ManualClock, specs: readonly ServiceSpec[], init = new FakeInit(clock)) {
    this.init = init;
    const exits = new ExitRouter();
    init.listen((event) => event.kind === "exited" && exits.deliver(event));
    const body = (service: ServiceSpec) =>
      processBody(
        service,
        service.process ?? { command: [], env: {}, limits: [], output: "inherit", tty: false },
        {
          init,
          wiring: { connect: () => wires, resume: () => wires },
          env: {},
          listeners: new Map(),
          handsOver: () => false,
          pass: (argv, env) => ({ argv, env, pidEnv: [], fds: [] }),
          drainSignal: () => undefined,
          accepting: () => false,
        },
        exits,
      );
    this.set = new ServiceSet({
      plan: planOf(specs),
      body,
      trials: {
        listeners: new Map(),
        sockets: { bindPrivate: (listener) => ({ ...listener, standsFor: listener }), remove() {}, close() {} },
        body,
      },
      clock,
      prober: { ask: () => Promise.resolve({ ok: true }) },
      log: silentLog,
      random: () => 0.5,
      idPrefix: "",
      shared: () => false,
      othersServe: () => false,
      changed() {},
      save() {},
      fatal: ({ service, reason }) => this.ends.push(`${service}: ${reason}`),
      over: (reason) => this.ends.push(reason),
      killing() {},
      stopped() {},
      drains: { begin() {}, killing() {}, ended() {}, drained: () => Promise.resolve(true) },
    });
  }

  /** The states of all, by service. */
  get states(): Record<string, string> {
    return Object.fromEntries(this.set.views.map(({ name, state }) => [name, state]));
  }

  reason(service: string): string | undefined {
    return this.set.views.find(({ name }) => name === service)?.reason;
  }
}
