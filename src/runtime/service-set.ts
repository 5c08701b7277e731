import { EntryError } from "../core/entry-error.js";
import type { Plan, ServiceSpec } from "../core/plan.js";
import { type Exit, isDown, isEnded, isIdle, isUp } from "../core/service-state.js";
import type { ServicesLeft } from "../core/services-left.js";
import type { ServiceView } from "../core/snapshot.js";
import { needsPreflight, upgradePart } from "../core/upgrade-part.js";
import type { Body } from "./body.js";
import type { DrainWatch } from "./drain-watch.js";
import { inheritServices, servicesLeft, unfinishedOneshot } from "./inheritance.js";
import { Instance, type InstanceRecord } from "./instance.js";
import {
  fulfils,
  hasProcess,
  isHopeless,
  isKept,
  isReady,
  type Member,
  memberView,
  processesOf,
  restartOf,
} from "./member.js";
import type { Clock, Log, Prober, Recovered, ResourceUsage } from "./ports.js";
import { Preflight, type PreflightParts } from "./preflight.js";
import { stopCommandId } from "./process-body.js";
import type { SavedState } from "./saved-state.js";
import { Yielding } from "./yielding.js";

export interface ServiceEnding {
  readonly service: string;
  readonly exit: Exit;
  readonly reason: string;
}

export interface StopFacts {
  readonly service: string;
  /** undefined when nobody asked it to stop */
  readonly stopMs?: number;
  readonly killed: boolean;
  readonly usage?: ResourceUsage;
}

export interface ServiceSetParts {
  readonly plan: Plan;
  /** `handsOver`: a process of the old generation hands over to it by itself */
  readonly body: (service: ServiceSpec, handsOver: () => boolean) => Body;
  /** for what is tried on private sockets */
  readonly trials: Pick<PreflightParts, "listeners" | "sockets" | "body">;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly random: () => number;
  /** put before the ids of processes, so that they are unique among the generations of one init */
  readonly idPrefix: string;
  /** another generation accepts on the same sockets */
  readonly shared: () => boolean;
  /** another generation accepts in the place of this one, which ends */
  readonly othersServe: () => boolean;
  /** something in `views` is new */
  readonly changed: () => void;
  readonly save: () => void;
  /** a service is Failed and its onFailure is shutdown */
  readonly fatal: (ending: ServiceEnding) => void;
  /** nothing is left that runs or could run; or the main service has ended */
  readonly over: (reason: string) => void;
  /** the deadline of one of its processes is over, SIGKILL follows */
  readonly killing: (service: string) => void;
  readonly stopped: (facts: StopFacts) => void;
  readonly drains: Pick<DrainWatch, "begin" | "killing" | "ended" | "drained">;
}

/** The part of the boot time in which trials must be ready; after them the real ones have to start, and an upgrade may give up at nine tenths. */
const trialShare = 0.8;

/** All services of a plan: starts each when its dependencies allow, stops them wave by wave, knows when all is over. */
export class ServiceSet {
  readonly #parts: ServiceSetParts;
  readonly #members = new Map<string, Member>();
  #starting = false;
  #candidate = false;
  /** trials that are not ready by then have failed */
  #trialsUntil = 0;
  #waiters: (() => void)[] = [];
  /** what is done for a successor */
  readonly yielding: Yielding;

  constructor(parts: ServiceSetParts) {
    this.#parts = parts;
    this.yielding = new Yielding({
      ...parts,
      members: this.#members,
      starting: () => this.#starting,
      change: (signal) => this.#change(signal),
      startWhatCan: () => this.#startWhatCan(),
      judge: (member, instance) => this.#react(member, instance),
      excuseNobody: () => this.excuseNobody(),
    });
    for (const spec of parts.plan.services) {
      const body = parts.body(spec, () => member.handsOver === true);
      const log = parts.log.child({ service: spec.name });
      const make = (index: number) => {
        const { clock, prober, random, save, drains } = parts;
        return new Instance({
          service: spec,
          index,
          body,
          clock,
          prober,
          random,
          save,
          drains,
          log,
          idPrefix: parts.idPrefix,
          shared: parts.shared,
          restart: () => restartOf(member, clock.now()),
          paused: () => member.yielded !== undefined,
          pids: () => member.instances.flatMap(({ pid }) => pid ?? []),
          othersServe: parts.othersServe,
          changed: (instance, before) => this.#instanceChanged(member, instance, before, log),
          killing: () => parts.killing(spec.name),
          ended: (_instance, facts) => parts.stopped({ service: spec.name, ...facts }),
        });
      };
      const member: Member = {
        spec,
        make,
        instances: Array.from({ length: spec.instances }, (_, index) => make(index)),
        spent: [],
        contestedUntil: 0,
        wave: parts.plan.waves.findIndex((names) => names.includes(spec.name)),
        restartsByReason: new Map(),
        held: false,
        excused: false,
      };
      this.#members.set(spec.name, member);
    }
  }

  get views(): ServiceView[] {
    return [...this.#members.values()].map((member) => memberView(member, this.#unmet(member)));
  }

  get records(): Record<string, InstanceRecord> {
    const records: Record<string, InstanceRecord> = {};
    for (const { instances } of this.#members.values()) for (const each of instances) records[each.key] = each.record;
    return records;
  }

  /** Names of services that have a process, or are about to. */
  get busy(): string[] {
    return [...this.#members.values()].filter(hasProcess).map(({ spec }) => spec.name);
  }

  /** Names of services stopped by request; part of what a restarted supervisor needs. */
  get held(): string[] {
    return [...this.#members.values()].filter((member) => member.held).map((member) => member.spec.name);
  }

  /** `strays` are the children that belong to no instance (any more), `resumed` the ids of those that do. */
  resume(
    { instances: records, held, yielded }: Pick<SavedState, "instances" | "held" | "yielded">,
    children: Recovered["children"],
  ): { readonly strays: Recovered["children"]; readonly resumed: ReadonlySet<string> } {
    const resumed = new Set<string>();
    const byId = new Map(children.map((child) => [child.id, child]));
    for (const member of this.#members.values()) {
      member.held = held.includes(member.spec.name);
      member.yielded = Object.hasOwn(yielded, member.spec.name) ? yielded[member.spec.name] : undefined;
      member.excused = member.yielded !== undefined;
      for (const instance of member.instances) {
        const record = records[instance.key];
        if (record === undefined) continue;
        const { state } = record.fold;
        const id = instance.idOf(record);
        const child = isUp(state) || state.name === "Stopping" ? byId.get(id) : undefined;
        if (child !== undefined) {
          byId.delete(id);
          resumed.add(id);
        }
        const exit = child?.exit?.status;
        // goes on, unless there is nothing left to stop
        if (state.name === "Stopping" && child !== undefined && exit === undefined) byId.delete(stopCommandId(id));
        instance.resume(record, child && { pid: child.pid, ...(exit === undefined ? {} : { exit }) });
      }
    }
    return { strays: [...byId.values()], resumed };
  }

  /** What a successor has to know of them. */
  get left(): ServicesLeft {
    return servicesLeft(this.#members);
  }

  /** A oneshot that a successor might skip, and is not done with. */
  get unfinished(): string | undefined {
    return unfinishedOneshot(this.#members);
  }

  /**
   * As a successor that has not been committed: services of the part `late` wait for `commit`, and whoever depends on them does not;
   * some are tried on private sockets first.
   */
  beCandidate(): void {
    const { clock, plan } = this.#parts;
    this.#candidate = true;
    this.#trialsUntil = clock.now() + trialShare * plan.upgrade.bootMs;
    for (const member of this.#members.values()) {
      member.excused = upgradePart(member.spec) === "late";
      if (needsPreflight(member.spec)) member.preflight = "due";
    }
    this.#parts.changed();
  }

  /** @returns why this generation must not go on */
  inherit(left: ServicesLeft | undefined): string | undefined {
    const problem = inheritServices(this.#members, left, this.#parts.log);
    this.#parts.changed();
    return problem;
  }

  /** What the old generation must stop before this one is committed, though by its own configuration it would not. */
  get stopFirst(): string[] {
    return [...this.#members.values()].filter(({ afterOld }) => afterOld).map(({ spec }) => spec.name);
  }

  /** The old generation has let go: what is late starts. It is excused until it is ready, or `excuseNobody`. */
  commit(): void {
    this.#candidate = false;
    // what has no part in the decision, and has not been tried until now, need not be any more
    for (const member of this.#members.values()) if (member.preflight === "due") member.preflight = undefined;
    this.#startWhatCan();
    this.#parts.changed();
  }

  /** From now on every required service counts again. */
  excuseNobody(): void {
    for (const member of this.#members.values()) member.excused = false;
    this.#parts.changed();
  }

  /** From now on every service starts as soon as its dependencies allow. */
  start(): void {
    this.#starting = true;
    // what ended while a supervisor took over from another has not been judged
    for (const member of this.#members.values())
      for (const instance of member.instances) if (isEnded(instance.fold.state)) this.#react(member, instance);
    this.#startWhatCan();
  }

  /** Resolves when every required service is ready (a oneshot: completed); of a candidate: those that start before it is committed. */
  async allReady(signal: AbortSignal): Promise<void> {
    while (this.missing.length > 0 && !signal.aborted) await this.#change(signal);
  }

  /** Names of the services that allReady waits for. */
  get missing(): string[] {
    const counts = (member: Member) => member.spec.required && !this.#isLate(member) && !isKept(member);
    return [...this.#members.values()]
      .filter((member) => counts(member) && !isReady(member))
      .map(({ spec: { name } }) => name);
  }

  /** Stops these services together; resolves when none of them has a process any more. Nothing starts by itself after this. */
  async stopWave(names: readonly string[], deadline: number, reason: string, hurry: AbortSignal): Promise<void> {
    this.#starting = false;
    this.yielding.end();
    const members = names.flatMap((name) => this.#members.get(name) ?? []);
    const instances = members.flatMap(processesOf);
    // one look for all of them, before the first signal
    this.#parts.drains.begin(instances.flatMap((instance) => instance.watched));
    for (const instance of instances) instance.stop("stay", reason, deadline);
    const hasten = () => {
      for (const instance of instances) instance.stop("stay", reason, this.#parts.clock.now());
    };
    if (hurry.aborted) hasten();
    else hurry.addEventListener("abort", hasten, { once: true });
    while (instances.some((instance) => !isIdle(instance.fold.state))) await this.#change();
    hurry.removeEventListener("abort", hasten);
  }

  /** A process can still accept on a listener. */
  get accepting(): boolean {
    return [...this.#members.values()].some((member) =>
      [...member.instances, ...member.spent].some((instance) => instance.accepts),
    );
  }

  /** What is being stopped is killed at `deadline` at the latest. */
  limit(deadline: number, reason: string): void {
    for (const member of this.#members.values())
      for (const instance of processesOf(member))
        if (instance.fold.state.name === "Stopping") instance.stop("stay", reason, deadline);
  }

  /** Stops starting anything; what runs goes on. */
  freeze(): void {
    this.#starting = false;
  }

  find(name: string): { readonly spec: ServiceSpec; readonly instances: readonly Instance[] } | undefined {
    return this.#members.get(name);
  }

  /** How the service ended, as soon as its only or first instance has. */
  exitOf(name: string): Exit | undefined {
    const state = this.#members.get(name)?.instances[0]?.fold.state;
    return state?.name === "Stopped" || state?.name === "Failed" ? state.exit : undefined;
  }

  /** After everything has ended by itself: how the first required service that failed did; code 1 when one never had a process. */
  get missed(): Exit | undefined {
    const required = [...this.#members.values()].filter(({ spec }) => spec.required);
    const states = required.flatMap(({ instances }) => instances.map(({ fold }) => fold.state));
    const failed = states.find((state) => state.name === "Failed");
    if (failed !== undefined) return failed.exit ?? { code: 1 };
    return states.some((state) => state.name === "Stopped" && state.exit === undefined) ? { code: 1 } : undefined;
  }

  /** By request of an operator. Resolves with the state's reason when it is settled: up and ready, or down. */
  async operate(
    name: string,
    action: "start" | "stop" | "restart",
    signal: AbortSignal,
  ): Promise<ServiceView | undefined> {
    const member = this.#members.get(name);
    if (member === undefined) return undefined;
    member.held = action === "stop";
    if (member.held) for (const instance of member.spent) instance.stop("stay", "stopped by request");
    for (const instance of member.instances) {
      const idle = isIdle(instance.fold.state);
      if (action === "stop") instance.stop("stay", "stopped by request");
      else if (idle) instance.start();
      else if (action === "restart") instance.stop("restart-now", "restarted by request");
    }
    const moving = () =>
      member.instances.some(({ fold: { state } }) => state.name === "Starting" || state.name === "Stopping");
    while (moving() && !signal.aborted) await this.#change(signal);
    return memberView(member, this.#unmet(member));
  }

  #instanceChanged(member: Member, instance: Instance, before: string, log: Log): void {
    const { state } = instance.fold;
    if (instance.spent) {
      if (isIdle(state)) {
        member.spent = member.spent.filter((each) => each !== instance);
        log.info(`the process that ${instance.key} had before has ended`, { instance: instance.key });
      }
      this.#parts.changed();
      this.#wake();
      return;
    }
    if (state.name !== before) {
      const level = state.name === "Failed" ? "error" : state.name === "Backoff" ? "warn" : "info";
      log[level](`${instance.key} ${before} -> ${state.name}`, {
        instance: instance.key,
        state: state.name,
        reason: instance.reason,
        ...(instance.output === undefined ? {} : { output: instance.output }),
      });
      if (state.name === "Starting" && instance.restarted) this.#countRestart(member, before, instance);
    }
    if (!this.#candidate && !member.yielded && (isReady(member) || isDown(state))) member.excused = false;
    this.#parts.changed();
    if (state.name !== before) this.#react(member, instance);
    else this.#startWhatCan();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #countRestart(member: Member, before: string, instance: Instance): void {
    const kind = before !== "Backoff" ? "request" : instance.reason.includes(" probe: ") ? "probe" : "exit";
    member.restartsByReason.set(kind, (member.restartsByReason.get(kind) ?? 0) + 1);
  }

  #react(member: Member, instance: Instance): void {
    const { state } = instance.fold;
    if (!this.#starting || member.yielded) return;
    if (state.name === "Failed" && member.spec.onFailure === "shutdown") {
      this.#parts.fatal({ service: member.spec.name, exit: state.exit ?? { code: 1 }, reason: state.reason });
      return;
    }
    if (isEnded(state)) {
      const isMain = this.#parts.plan.main === member.spec.name;
      if (isMain && state.name === "Stopped" && state.by === "itself") this.#parts.over(`${member.spec.name} ended`);
      else if (this.#over()) this.#parts.over("every service has ended");
    }
    this.#startWhatCan();
  }

  /** Nothing runs, and nothing that waits could still start. */
  #over(): boolean {
    if (this.#members.size === 0) return false;
    for (const member of this.#members.values()) {
      if (member.held || this.#isLate(member)) return false;
      for (const { fold } of member.instances) {
        if (fold.state.name === "Waiting") {
          if (this.#unmet(member).every((dependency) => !isHopeless(dependency))) return false;
        } else if (fold.state.name !== "Stopped" && fold.state.name !== "Failed") return false;
      }
    }
    return true;
  }

  #startWhatCan(): void {
    if (!this.#starting) return;
    for (const member of this.#members.values()) {
      const waits = member.instances.some(({ fold }) => fold.state.name === "Waiting");
      if (!waits || member.held || this.#isLate(member) || this.#unmet(member).length > 0) continue;
      if (member.preflight !== undefined) {
        if (member.preflight === "due") void this.#try(member);
        continue;
      }
      for (const instance of member.instances) if (instance.fold.state.name === "Waiting") instance.start();
    }
  }

  /** What fails here does not come to accept a connection. */
  async #try(member: Member): Promise<void> {
    const { trials, idPrefix, clock, prober, random, changed, log } = this.#parts;
    const { spec: service } = member;
    try {
      member.preflight = new Preflight({
        ...trials,
        service,
        idPrefix,
        clock,
        prober,
        random,
        log: log.child({ service: service.name }),
        deadline: this.#trialsUntil,
        changed: () => {
          changed();
          this.#wake();
        },
      });
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      this.#refuse(member, error.message);
      return;
    }
    const failure = await member.preflight.verdict;
    if (failure !== undefined) this.#refuse(member, failure);
    await member.preflight.over;
    member.preflight = undefined;
    this.#startWhatCan();
    changed();
  }

  #refuse({ spec, instances }: Member, why: string): void {
    if (!this.#starting) return;
    const reason = `preflight: ${why}`;
    // whatever a failure of the running service would mean
    if (spec.required) this.#parts.fatal({ service: spec.name, exit: { code: 1 }, reason });
    for (const instance of instances) instance.refuse(reason);
  }

  #unmet(member: Member): Member[] {
    return Object.entries(member.spec.dependsOn).flatMap(([name, condition]) => {
      const dependency = this.#members.get(name);
      // the old generation's stands for it
      if (dependency === undefined || (isKept(dependency) ? member.goesOn : this.#isLate(dependency))) return [];
      return fulfils(dependency, condition) ? [] : [dependency];
    });
  }

  #isLate(member: Member): boolean {
    return this.#candidate && (member.afterOld === true || upgradePart(member.spec) === "late");
  }

  /** Resolves at the next change of any instance, or when the signal aborts. */
  #change(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiters.push(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}
