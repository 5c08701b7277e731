import type { ProcessSpec, ServiceSpec } from "../core/plan.js";
import { reasonText } from "../core/problem-text.js";
import { exitText } from "../core/service-state.js";
import { aborted } from "./aborted.js";
import type { Body, BodyEvent, StartResult } from "./body.js";
import type { ExitRouter } from "./exit-router.js";
import { heldName } from "./listener-set.js";
import type { BoundListener, ExitStatus, Init, ServiceWires, SpawnSpec, WireSpec, Wiring } from "./ports.js";
import { type FilesOfInit, spawnFailure } from "./spawn-failure.js";

/** What a service's listeners add to its command: fds, variables, filled placeholders. */
export interface PassedListeners {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly pidEnv: readonly string[];
  /** `listener`: whose descriptor it is, which the init holds, too */
  readonly fds: readonly { readonly target: number; readonly fd: number; readonly listener: string }[];
  /** how the process is made to accept nothing more without ending: a signal to its whole tree */
  readonly drain?: { readonly signal: string; readonly listeners: readonly string[]; readonly complete: boolean };
}

export interface ProcessWorld {
  /** what makes a program with these listeners accept no more, when there is something */
  readonly drainSignal: (
    env: Readonly<Record<string, string>>,
    listeners: readonly BoundListener[],
  ) => string | undefined;
  /** a process of this life can still accept on one of these */
  readonly accepting: (id: string, pid: number | undefined, listeners: readonly BoundListener[]) => boolean;
  readonly init: Init;
  readonly wiring: Wiring;
  /** the environment services inherit */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly listeners: ReadonlyMap<string, BoundListener>;
  /** a process of the old generation hands over to this service's by itself (strategy `own` in both) */
  readonly handsOver: () => boolean;
  /** what a process of this container may raise a limit to; undefined: as high as it likes, or not known */
  readonly hardLimit?: (resource: string) => number | undefined;
  /** how many files the init has open and may open; undefined: not to be seen */
  readonly filesOfInit?: () => FilesOfInit;
  readonly pass: (
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
    listeners: readonly BoundListener[],
    /** fd numbers of the service that are used for something else */
    taken: readonly number[],
  ) => PassedListeners;
}

/** A service that is a process, started by the init. */
export function processBody(service: ServiceSpec, spec: ProcessSpec, world: ProcessWorld, exits: ExitRouter): Body {
  const { init, wiring } = world;
  const wires = new Map<string, ServiceWires>();
  /** instances that have taken over, or tried: the next of the same has nobody to take over from */
  const begun = new Set<number>();
  const baseEnv = mergeEnv(world.env, spec.env);

  const wireSpec = (id: string): WireSpec => {
    const probe = service.readinessProbe?.action;
    const notifyFd = probe?.kind === "notify" ? probe.fd : undefined;
    return {
      service: service.name,
      id,
      output: spec.output,
      lines: [service.readinessProbe, service.startupProbe].some((each) => each?.action.kind === "log"),
      notifySocket: probe?.kind === "notify" && notifyFd === undefined,
      ...(notifyFd === undefined ? {} : { notifyFd }),
      ...(spec.identity === undefined ? {} : { identity: spec.identity }),
    };
  };

  const expectExit = (id: string, receive: (event: BodyEvent) => void): void =>
    exits.expect(id, (event) => receive({ kind: "exited", exit: event.status, usage: event.usage }));

  /** A command that accompanies the service: it knows the listeners' addresses, but gets none of them. */
  const companion = (command: readonly string[]): { argv: readonly string[]; env: string[] } => {
    const bound = service.listeners.flatMap((name) => world.listeners.get(name) ?? []);
    const { notifyFd } = wireSpec("");
    const passed = world.pass(command, baseEnv, bound, notifyFd === undefined ? [] : [notifyFd]);
    const env = Object.entries(baseEnv).map(([name, value]) => `${name}=${passed.env[name] ?? value}`);
    return { argv: passed.argv, env };
  };

  const stopSpawn = ({ argv, env }: { argv: readonly string[]; env: readonly string[] }): SpawnSpec => ({
    ...spawnContext(spec),
    argv,
    env: [...env, `PINGORA_ENTRY_SERVICE=${service.name}`],
    pidEnv: [],
    limits: [],
    newSession: true,
    tty: false,
    fds: [],
  });

  const ownListeners = (): BoundListener[] => service.listeners.flatMap((name) => world.listeners.get(name) ?? []);

  return {
    drainSignal: () => world.drainSignal(baseEnv, ownListeners()),
    accepts: (id, pid) => service.listeners.length > 0 && world.accepting(id, pid, ownListeners()),
    async start(id, index, receive): Promise<StartResult> {
      let wired: ServiceWires;
      try {
        wired = wiring.connect(wireSpec(id), receive);
      } catch (error) {
        return {
          ok: false,
          reason: `cannot connect its output: ${(error as Error).message}`,
          code: 126,
          permanent: false,
        };
      }
      wires.set(id, wired);
      const bound = ownListeners();
      let passed: PassedListeners;
      try {
        const takesOver = world.handsOver() && !begun.has(index);
        begun.add(index);
        passed = world.pass(
          takesOver ? [...spec.command, ...service.upgrade.arguments] : spec.command,
          baseEnv,
          bound,
          wired.fds.map(({ target }) => target),
        );
      } catch (error) {
        return { ok: false, reason: reasonText(error as Error), code: 126, permanent: true };
      }
      const env = [
        ...Object.entries({ ...baseEnv, ...passed.env }).map(([name, value]) => `${name}=${value}`),
        `PINGORA_ENTRY_SERVICE=${service.name}`,
        `PINGORA_ENTRY_INSTANCE=${index}`,
        ...wired.env,
      ];
      // private sockets, which the init does not hold
      const own = new Set(bound.filter(({ standsFor }) => standsFor !== undefined).map(({ spec: { name } }) => name));
      // a lost channel, or an init without room, is told by its own event
      for (const { name, fd } of wired.kept) init.hold(name, fd).catch(() => {});
      expectExit(id, receive);
      const spawn: SpawnSpec = {
        ...spawnContext(spec),
        argv: passed.argv,
        env,
        pidEnv: passed.pidEnv,
        ...(spec.umask === undefined ? {} : { umask: spec.umask }),
        ...(spec.nice === undefined ? {} : { nice: spec.nice }),
        ...(spec.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.oomScoreAdj }),
        limits: spec.limits,
        newSession: true,
        tty: spec.tty,
        fds: [
          ...passed.fds.map(({ target, fd, listener }) =>
            own.has(listener) ? { target, fd } : { target, fd, held: heldName(listener) },
          ),
          ...wired.fds,
        ],
      };
      const result = await init.spawn(id, spawn);
      wired.started(result.ok ? result.pid : undefined);
      if (result.ok) return result;
      exits.cancel(id);
      return { ok: false, ...spawnFailure(result, spawn, world.hardLimit, world.filesOfInit) };
    },
    resume(id, _pid, receive) {
      expectExit(id, receive);
      wires.set(id, wiring.resume(wireSpec(id), init.recovered.held, receive));
    },
    signal: (id, signal, scope) => init.signal(id, signal, scope),
    async stopCommand(id, command, { signal, begun, done }) {
      const ownId = stopCommandId(id);
      const known = begun ? init.recovered.children.find((child) => child.id === ownId) : undefined;
      let failure: string | undefined;
      if (known?.exit !== undefined) failure = commandFailure(known.exit.status);
      else {
        const ended = new Promise<string | undefined>((resolve) =>
          exits.expect(ownId, ({ status }) => resolve(commandFailure(status))),
        );
        const spawn = stopSpawn(companion(command));
        const result = known === undefined ? await init.spawn(ownId, spawn) : undefined;
        if (result?.ok === false) failure = spawnFailure(result, spawn, world.hardLimit, world.filesOfInit).reason;
        else {
          failure = await Promise.race([ended, aborted(signal).then(() => undefined)]);
          if (signal.aborted) await init.signal(ownId, "SIGKILL", "tree");
        }
      }
      exits.cancel(ownId);
      done();
      init.forget(ownId);
      return failure;
    },
    ended(id) {
      const wired = wires.get(id);
      wires.delete(id);
      for (const { name } of wired?.kept ?? []) init.release(name);
      wired?.close();
      init.forget(id);
    },
    probe(id, action) {
      const { argv, env } = companion(action.kind === "exec" ? action.command : []);
      return {
        action: action.kind === "exec" ? { ...action, command: argv } : action,
        context: { id, env, ...spawnContext(spec) },
      };
    },
  };
}

/** The stop command of the life `id`; there is one at most. */
export function stopCommandId(id: string): string {
  return `${id}!stop`;
}

function commandFailure(status: ExitStatus): string | undefined {
  return status.code === 0 ? undefined : `it ${exitText(status)}`;
}

function spawnContext(spec: ProcessSpec): Pick<SpawnSpec, "cwd" | "identity"> {
  return {
    ...(spec.workingDirectory === undefined ? {} : { cwd: spec.workingDirectory }),
    ...(spec.identity === undefined ? {} : { identity: spec.identity }),
  };
}

/** What the container's runtime or we ourselves were told is no business of a service. */
const ownVariables =
  /^(PINGORA_ENTRY_.*|NOTIFY_SOCKET|WATCHDOG_USEC|WATCHDOG_PID|LISTEN_FDS|LISTEN_FDNAMES|LISTEN_PID|LISTEN_PIDFDID|NGINX)$/;

function mergeEnv(
  inherited: Readonly<Record<string, string | undefined>>,
  own: ProcessSpec["env"],
): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...inherited, ...own })) {
    if (value === null || value === undefined) continue;
    if (!ownVariables.test(name) || own[name] !== undefined) merged[name] = value;
  }
  return merged;
}
