import type { BoundListener, Connections } from "../../src/runtime/ports.js";

/** Connections as the test says. */
export class FakeConnections implements Connections {
  /** "LISTENER INSTANCE" -> open ones; without an instance: of a process that cannot be seen */
  readonly open = new Map<string, number>();
  /** as `open`: what the next look finds with another process */
  readonly moved = new Map<string, number>();
  /** as `open`: their client had left before they were seen */
  readonly deserted = new Map<string, number>();
  exact = true;
  failure: Error | undefined;
  looks = 0;

  async count(
    listeners: ReadonlyMap<string, BoundListener>,
    processes: readonly { readonly instance: string; readonly pid: number }[],
  ) {
    this.looks += 1;
    if (this.failure !== undefined) throw this.failure;
    const listed = (from: ReadonlyMap<string, number>) =>
      [...from].flatMap(([key, connections]) => {
        const [listener = "", instance] = key.split(" ");
        if (!listeners.has(listener) || connections === 0) return [];
        if (instance === undefined) return [{ listener, connections }];
        const known = processes.some((each) => each.instance === instance);
        return known ? [{ listener, instance, service: instance.split("/")[0] ?? "", connections }] : [];
      });
    return {
      counts: listed(this.open),
      deserted: listed(this.deserted),
      moved: listed(this.moved),
      queued: new Map<string, number>(),
      exact: this.exact,
    };
  }
}
