import { type StartOrder, startWaves } from "../core/dependency-graph.js";
import { EntryError, exitCodes } from "../core/entry-error.js";
import type { Condition, Plan, ServiceSpec } from "../core/plan.js";
import type { Snapshot } from "../core/snapshot.js";
import type { InProcessTask } from "../runtime/in-process-body.js";
import type { Init } from "../runtime/ports.js";
import type { ServerRun } from "../runtime/server-run.js";
import { type ExecutionPhase, PhaseWatch } from "./execution-phase.js";
import { conditionProblem, judgeConf, judgeName, judgeServices, judgeSpec, refuse } from "./judge.js";
import { defaultConf, type ServerConf } from "./server-conf.js";
import { inProcessSpec, type ProcessService, type Service, type ServiceContext } from "./service.js";
import { ServiceHandle } from "./service-handle.js";
import { received, type ShutdownSignalWatch, watchProcessSignals } from "./shutdown-signal.js";
import { openWorld, type World } from "./world.js";

export interface RunArgs {
  /** instead of this process's signals; awaited once */
  readonly shutdownSignal?: ShutdownSignalWatch;
  /** an init that has been connected already; without it, the one that started this process, or a spawner of our own */
  readonly init?: Init;
  /** an attempt's id: take over from the generation that runs. Without it PINGORA_ENTRY_UPGRADE, when that is set */
  readonly upgrade?: string;
}

/** one that always resolves at once must not keep the process busy */
const askAgainMs = 100;

interface Entry {
  readonly handle: ServiceHandle;
  readonly service?: Service;
  spec: ServiceSpec;
}

/** pingora's Server: holds services, starts them in order, stops them in reverse, and says which phase it is in. One run per object. */
export class Server {
  readonly configuration: ServerConf;
  readonly #entries = new Map<string, Entry>();
  readonly #watches = new Set<PhaseWatch>();
  readonly #readyWaiters: { readonly name: string; readonly settle: (error?: Error) => void }[] = [];
  #run: ServerRun | undefined;
  #begun = false;
  #ended = false;

  constructor(conf: ServerConf = defaultConf()) {
    judgeConf(conf);
    this.configuration = conf;
  }

  /** @throws EntryError config when it is no service, one of that name is there already, or the server has begun to run */
  addService(service: Service | ProcessService): ServiceHandle {
    judgeName(service?.name);
    if ("spec" in service) {
      judgeSpec(service.spec);
      if (service.spec.name !== service.name)
        refuse(`cannot add service "${service.name}"`, [`its spec is of "${service.spec.name}"`]);
    } else if (typeof service.start !== "function")
      refuse(`cannot add service "${service.name}"`, ["it has neither a start function nor a spec"]);
    if (this.#begun) throw new EntryError("config", `cannot add service "${service.name}": the server runs already`);
    if (this.#entries.has(service.name))
      throw new EntryError("config", `cannot add service "${service.name}": there is one of that name`);
    const handle = new ServiceHandle(
      service.name,
      (from, on, condition) => this.#depend(from, on, condition),
      (name) => this.#whenReady(name),
    );
    const entry =
      "spec" in service ? { handle, spec: service.spec } : { handle, service, spec: inProcessSpec(service) };
    this.#entries.set(service.name, entry);
    return handle;
  }

  /** Handles in the order of the services. */
  addServices(services: readonly (Service | ProcessService)[]): ServiceHandle[] {
    return services.map((service) => this.addService(service));
  }

  /** Every phase from this call on; any number of watches. */
  watchExecutionPhase(): AsyncIterableIterator<ExecutionPhase> {
    const watch = new PhaseWatch((left) => this.#watches.delete(left));
    if (this.#ended) watch.end();
    else this.#watches.add(watch);
    return watch;
  }

  /** The server as it is now; undefined before it runs. */
  get snapshot(): Snapshot | undefined {
    return this.#run?.store.snapshot;
  }

  /**
   * Runs until the server is asked to stop, or ends because a service did; resolves with the exit code and never ends the process.
   * However it ends, nothing of it is left: no init, no watch that waits, no `ready()`.
   * @throws EntryError config for a dependency or listener that does not exist; os when the init cannot be reached or started. What `recv`
   * throws or rejects with, after an orderly stop
   */
  async run(args: RunArgs = {}): Promise<number> {
    if (this.#begun) throw new EntryError("config", "cannot run the server: it has been run");
    this.#begun = true;
    try {
      const world = await openWorld(this.#plan(), this.#tasks(), args.init, args.upgrade);
      if (world.kind === "world") return await this.#live(world, args.shutdownSignal);
      world.begin();
      return 0;
    } finally {
      this.#ended = true;
      this.#settleReady(this.snapshot);
      this.#settleReady();
      for (const watch of [...this.#watches]) watch.end();
    }
  }

  async #live(world: World, shutdownSignal: ShutdownSignalWatch | undefined): Promise<number> {
    const { run } = world;
    this.#run = run;
    run.store.subscribe({
      transition: (transition) => {
        for (const watch of this.#watches) watch.push(transition);
      },
      snapshot: (snapshot) => this.#settleReady(snapshot),
    });
    const unwatch =
      shutdownSignal === undefined && !world.signalsComeFromInit
        ? watchProcessSignals((kind, cause) => run.request(kind, cause))
        : () => {};
    let failure: { readonly error: unknown } | undefined;
    if (shutdownSignal !== undefined)
      void obey(shutdownSignal, run).catch((error: unknown) => {
        failure = { error };
        run.request("Terminate", "the shutdown signal failed");
      });
    try {
      const code = await run.run();
      if (failure !== undefined) throw failure.error;
      return code;
    } finally {
      unwatch();
      world.close(run.store.snapshot.exitCode ?? exitCodes.software.code);
    }
  }

  /** `run`, and then ends the process with the exit code. */
  async runForever(args: RunArgs = {}): Promise<never> {
    process.exit(await this.run(args));
  }

  #plan(): Plan {
    const services = [...this.#entries.values()].map(({ spec }) => spec);
    judgeServices(services, this.configuration);
    const order = startWaves(new Map(services.map(({ name, dependsOn }) => [name, Object.keys(dependsOn)])));
    refuseCycle(order);
    return { ...this.configuration, services, waves: order.waves };
  }

  #tasks(): Map<string, (context: Parameters<InProcessTask>[0] & Pick<ServiceContext, "listenFds">) => Promise<void>> {
    const tasks = new Map<string, (context: ServiceContext) => Promise<void>>();
    const began = performance.now();
    for (const { service, spec } of this.#entries.values()) {
      if (service === undefined) continue;
      tasks.set(service.name, (context) => {
        if (Object.keys(spec.dependsOn).length > 0) service.onStartupDelay?.(performance.now() - began);
        return service.start(context);
      });
    }
    return tasks;
  }

  #depend(from: ServiceHandle, on: ServiceHandle, condition: Condition): void {
    const entry = this.#entries.get(from.name);
    const target = this.#entries.get(on?.name);
    if (entry === undefined || target === undefined || target.handle !== on)
      throw new EntryError(
        "config",
        `cannot make "${from.name}" depend on "${on?.name}": it is no service of this server`,
      );
    const refusal = this.#begun ? "the server runs already" : conditionProblem(target.spec, condition);
    if (refusal !== "") throw new EntryError("config", `cannot make "${from.name}" depend on "${on.name}": ${refusal}`);
    const before = entry.spec;
    entry.spec = { ...before, dependsOn: { ...before.dependsOn, [on.name]: condition } };
    const order = startWaves(
      new Map([...this.#entries].map(([name, { spec }]) => [name, Object.keys(spec.dependsOn)])),
    );
    if (order.cycles.length > 0) entry.spec = before;
    refuseCycle(order);
  }

  #whenReady(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ name, settle: (error) => (error === undefined ? resolve() : reject(error)) });
      const { snapshot } = this;
      if (snapshot !== undefined) this.#settleReady(snapshot);
      if (this.#ended) this.#settleReady();
    });
  }

  /** Without a snapshot the server is over: who still waits will not be served. */
  #settleReady(snapshot?: Snapshot): void {
    for (const waiter of [...this.#readyWaiters]) {
      const service = snapshot?.services.find(({ name }) => name === waiter.name);
      if (snapshot !== undefined && !service?.ready && service?.state !== "Failed") continue;
      this.#readyWaiters.splice(this.#readyWaiters.indexOf(waiter), 1);
      if (service?.ready) waiter.settle();
      else
        waiter.settle(
          new EntryError(
            "failed",
            `service "${waiter.name}" did not become ready: ${service?.reason ?? "the server ended"}`,
          ),
        );
    }
  }
}

/** Does what the watch resolves with; one that asked for an upgrade which was rolled back is asked again, a little later. */
async function obey(watch: ShutdownSignalWatch, run: ServerRun): Promise<void> {
  for (;;) {
    const signal = await received(watch);
    const rolledBack = nextRollback(run);
    run.request(signal === "GracefulTerminate" ? "Terminate" : signal, signal);
    if (signal !== "GracefulUpgrade" || !run.handsOverToPingora) return;
    await rolledBack;
    await new Promise((wake) => setTimeout(wake, askAgainMs).unref());
  }
}

function nextRollback({ store }: ServerRun): Promise<void> {
  const before = store.snapshot.lastUpgrade;
  return new Promise((resolve) => {
    const leave = store.subscribe({
      snapshot: ({ lastUpgrade }) => {
        if (lastUpgrade === before || lastUpgrade?.result !== "rolled-back") return;
        leave();
        resolve();
      },
    });
  });
}

function refuseCycle({ cycles: [cycle] }: StartOrder): void {
  if (cycle === undefined) return;
  throw new EntryError("config", `cannot order the services: they depend on each other: ${cycle.join(" -> ")}`);
}
