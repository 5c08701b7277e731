import type { InstanceView, ServiceView, Snapshot, Transition, UpgradeView } from "../../core/snapshot.js";
import type { ResourceUsage, Sink } from "../../runtime/ports.js";

/** Takes durations as they become known, in seconds. */
export interface DurationObserver {
  ready(service: string, seconds: number): void;
  stopped(service: string, how: "exited" | "killed", seconds: number): void;
  /** a step of an upgrade, or `all` of it */
  upgraded(step: string, seconds: number): void;
}

/** How a process ended, as the runtime reports it. */
export interface StoppedProcess {
  readonly service: string;
  /** undefined when nobody asked it to stop */
  readonly stopMs?: number;
  readonly killed: boolean;
  readonly usage?: ResourceUsage;
}

interface Seen {
  readonly state: InstanceView["state"];
  readonly pid: number | undefined;
  /** wall clock ms at which the process that is not ready yet was started */
  readonly startedAt: number | undefined;
}

/** What waits for an observer at most: the endpoints are loaded late, a start has few events. */
const waitingMost = 10_000;

/**
 * Counts from the first moment on what no snapshot tells afterwards. It costs nothing to load: whoever renders metrics attaches later and
 * gets what has been seen until then.
 */
export class EventTally implements Sink {
  /** "FROM TO" -> times */
  readonly transitions = new Map<string, number>();
  /** user and system time of processes that have ended, ms */
  readonly endedCpuMs = new Map<string, number>();
  /** "RESULT CAUSE" -> times */
  readonly upgrades = new Map<string, number>();
  /** that went over in the last upgrade */
  handoverSockets = 0;
  #upgrade: UpgradeView | undefined;
  /** the last one whose outcome was counted, or was known from before this supervisor */
  #attempt: string | undefined;
  #begun = false;
  readonly #seen = new Map<string, Seen>();
  #observer: DurationObserver | undefined;
  #waiting: ((observer: DurationObserver) => void)[] = [];

  attach(observer: DurationObserver): void {
    this.#observer = observer;
    for (const tell of this.#waiting.splice(0)) tell(observer);
  }

  transition({ from, to }: Transition): void {
    const key = `${from} ${to}`;
    this.transitions.set(key, (this.transitions.get(key) ?? 0) + 1);
  }

  snapshot(snapshot: Snapshot): void {
    this.#lookAtUpgrade(snapshot);
    for (const service of snapshot.services) for (const instance of service.instances) this.#look(service, instance);
  }

  stopped({ service, stopMs, killed, usage }: StoppedProcess): void {
    if (usage !== undefined) {
      const before = this.endedCpuMs.get(service) ?? 0;
      this.endedCpuMs.set(service, before + usage.userMs + usage.systemMs);
    }
    if (stopMs === undefined) return;
    this.#tell((observer) => observer.stopped(service, killed ? "killed" : "exited", stopMs / 1000));
  }

  /** One that ended as busy. */
  upgradeRefused(): void {
    this.upgrades.set("busy busy", (this.upgrades.get("busy busy") ?? 0) + 1);
  }

  #lookAtUpgrade({ upgrade, lastUpgrade }: Snapshot): void {
    const before = this.#upgrade;
    const news = lastUpgrade !== undefined && lastUpgrade.attempt !== this.#attempt;
    if (before !== undefined && (before.attempt !== upgrade?.attempt || before.step !== upgrade.step)) {
      const end = upgrade?.attempt === before.attempt ? upgrade.since : lastUpgrade?.at;
      const seconds = Math.max(0, (end ?? before.since) - before.since) / 1000;
      this.#tell((observer) => observer.upgraded(before.step, seconds));
    }
    this.#upgrade = upgrade;
    this.handoverSockets = upgrade?.sockets ?? this.handoverSockets;
    if (news && this.#begun) {
      const key = `${lastUpgrade.result} ${lastUpgrade.cause}`;
      this.upgrades.set(key, (this.upgrades.get(key) ?? 0) + 1);
      this.#tell((observer) => observer.upgraded("all", lastUpgrade.seconds));
    }
    this.#attempt = lastUpgrade?.attempt;
    this.#begun = true;
  }

  #look({ name, type }: ServiceView, { id, state, since, pid, lastExit }: InstanceView): void {
    const before = this.#seen.get(id);
    if (before?.state === state && before.pid === pid) return;
    let startedAt = before?.startedAt;
    // a ready process that fails its probe is Starting again, but is no new one
    const unready = before?.state === "Ready" && before.pid !== undefined && before.pid === pid;
    if (state === "Starting" && before?.state !== "Starting") startedAt = unready ? undefined : since;
    const completed = type === "oneshot" && state === "Stopped" && lastExit?.code === 0;
    if (startedAt !== undefined && (state === "Ready" || completed)) {
      const seconds = Math.max(0, since - startedAt) / 1000;
      this.#tell((observer) => observer.ready(name, seconds));
    }
    this.#seen.set(id, { state, pid, startedAt: state === "Starting" ? startedAt : undefined });
  }

  #tell(tell: (observer: DurationObserver) => void): void {
    if (this.#observer !== undefined) tell(this.#observer);
    else if (this.#waiting.length < waitingMost) this.#waiting.push(tell);
  }
}
