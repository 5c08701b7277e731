import type { Condition } from "../core/plan.js";

/** pingora's ServiceHandle: names an added service and draws its dependencies. */
export class ServiceHandle {
  readonly name: string;
  readonly #depend: (dependency: ServiceHandle, condition: Condition) => void;
  readonly #ready: () => Promise<void>;

  constructor(
    name: string,
    depend: (from: ServiceHandle, on: ServiceHandle, condition: Condition) => void,
    ready: (name: string) => Promise<void>,
  ) {
    this.name = name;
    this.#depend = (dependency, condition) => depend(this, dependency, condition);
    this.#ready = () => ready(name);
  }

  /**
   * This service starts after `dependency` fulfils `condition` (default: ready).
   * @throws EntryError config when that closes a cycle (the message shows its path), or the handle is of another server
   */
  addDependency(dependency: ServiceHandle, condition: Condition = "ready"): void {
    this.#depend(dependency, condition);
  }

  addDependencies(dependencies: readonly ServiceHandle[]): void {
    for (const dependency of dependencies) this.addDependency(dependency);
  }

  /** Resolves when the service is ready (a oneshot: completed); rejects when it failed or the server ended before. */
  ready(): Promise<void> {
    return this.#ready();
  }
}
