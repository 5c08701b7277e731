import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Init, InitEvent, SpawnSpec } from "../../../src/runtime/ports.js";

type Exited = Extract<InitEvent, { kind: "exited" }>;

/** Real processes without the init: Node spawns them, each in a session of its own. `tree` reaches the process group. */
export class SpawningInit implements Pick<Init, "spawn" | "signal" | "forget"> {
  readonly #children = new Map<string, ChildProcess>();
  readonly #receivers = new Map<string, (event: Exited) => void>();
  readonly forgotten: string[] = [];

  expect(id: string, receive: (event: Exited) => void): void {
    this.#receivers.set(id, receive);
  }

  cancel(id: string): void {
    this.#receivers.delete(id);
  }

  get waiting(): number {
    return this.#receivers.size;
  }

  spawn(id: string, spec: SpawnSpec): ReturnType<Init["spawn"]> {
    const at = (target: number): number | "ignore" => spec.fds.find((each) => each.target === target)?.fd ?? "ignore";
    const highest = Math.max(2, ...spec.fds.map(({ target }) => target));
    const child = spawn(spec.argv[0] ?? "", spec.argv.slice(1), {
      env: Object.fromEntries(
        spec.env.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]),
      ),
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
      detached: true,
      stdio: Array.from({ length: highest + 1 }, (_, target) => at(target)),
    });
    this.#children.set(id, child);
    child.on("exit", (code, signal) => {
      const receive = this.#receivers.get(id);
      this.#receivers.delete(id);
      const status = signal === null ? { code: code ?? 0 } : { signal };
      receive?.({
        kind: "exited",
        id,
        pid: child.pid ?? 0,
        status,
        usage: { userMs: 0, systemMs: 0, maxRssKb: 0 },
        at: 0,
      });
    });
    return new Promise((resolve) => {
      child.on("spawn", () => resolve({ ok: true, pid: child.pid ?? 0 }));
      child.on("error", (error: NodeJS.ErrnoException) =>
        resolve({ ok: false, stage: "exec", errno: error.code ?? "" }),
      );
    });
  }

  signal(id: string, signal: string): Promise<number> {
    const pid = this.#children.get(id)?.pid;
    if (pid === undefined) return Promise.resolve(0);
    try {
      process.kill(-pid, constants.signals[signal as NodeJS.Signals]);
      return Promise.resolve(1);
    } catch {
      return Promise.resolve(0);
    }
  }

  forget(id: string): void {
    this.forgotten.push(id);
  }
}
