import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../adapters/clock/clock.js";
import { channelVariable, connectInit, startSpawner } from "../adapters/init/connect.js";
import { exactEnvironment } from "../adapters/init/exact-environment.js";
import { hardLimit } from "../adapters/init/hard-limits.js";
import { boundedWriter } from "../adapters/log/bounded-writer.js";
import { createLog } from "../adapters/log/create-log.js";
import { EventTally } from "../adapters/metrics/event-tally.js";
import { native } from "../adapters/native/addon.js";
import { createProber } from "../adapters/probes/prober.js";
import { passListeners } from "../adapters/sockets/pass.js";
import { createSockets } from "../adapters/sockets/sockets.js";
import { OutputMemory } from "../adapters/wiring/output-history.js";
import { createWiring, notifyDirectories } from "../adapters/wiring/wiring.js";
import { EntryError, exitCodes } from "../core/entry-error.js";
import type { ListenerSpec, Plan } from "../core/plan.js";
import { version } from "../core/version.js";
import { ExitRouter } from "../runtime/exit-router.js";
import { inProcessBody } from "../runtime/in-process-body.js";
import type { Init } from "../runtime/ports.js";
import { processBody } from "../runtime/process-body.js";
import { ServerRun } from "../runtime/server-run.js";
import { farewell, lastWords } from "./farewell.js";
import { writePidFile } from "./pid-file.js";
import type { ServiceContext } from "./service.js";

export type EntryInit = Init;

/** The init that started this process; undefined when none did. Its channel can be taken up once. */
export function adoptInit(): Promise<Init> | undefined {
  return channelVariable in process.env ? connectInit(process.env) : undefined;
}

export interface World {
  readonly run: ServerRun;
  /** signals to the container reach the init; else this process has to watch its own */
  readonly signalsComeFromInit: boolean;
  /** the init may end; after this nothing of the server is left */
  close(code: number): void;
}

/** Names of the sockets the endpoints are served on; no configured listener can be called so. */
export const adminListenerNames = { tcp: "admin/tcp", control: "admin/control" } as const;

function adminListeners(plan: Plan): ListenerSpec[] {
  const { tcp, socket } = plan.admin;
  const common = { backlog: 511, reusePort: false, passAs: "systemd", envName: "" } as const;
  const specs: ListenerSpec[] = [];
  if (tcp !== undefined) {
    const address = { kind: "tcp", host: tcp.host, port: tcp.port, ipv6Only: false } as const;
    specs.push({ ...common, name: adminListenerNames.tcp, key: `${tcp.host}:${tcp.port}`, address });
  }
  if (socket !== "") {
    const address = { kind: "unix", path: socket, mode: 0o600, type: "stream" } as const;
    specs.push({ ...common, name: adminListenerNames.control, key: socket, address });
  }
  return specs;
}

type Task = (context: ServiceContext) => Promise<void>;

/**
 * Puts a server together with the real world: the init (or a spawner, when no init started this process), sockets, probes, log, endpoints.
 * @throws EntryError os: no init can be reached or started
 */
export async function openWorld(plan: Plan, tasks: ReadonlyMap<string, Task>, given?: Init): Promise<World> {
  const adopted = given ?? (await adoptInit());
  const init = adopted ?? (await startSpawner(join(import.meta.dirname, "pingora-entry")));
  try {
    return putTogether(plan, tasks, init, adopted !== undefined);
  } catch (error) {
    init.exit(error instanceof EntryError ? error.exitCode : exitCodes.software.code);
    throw error;
  }
}

function putTogether(plan: Plan, tasks: ReadonlyMap<string, Task>, init: Init, signalsComeFromInit: boolean): World {
  const clock = systemClock;
  const outputs = { stdout: boundedWriter(1), stderr: boundedWriter(2) };
  let phase: () => string = () => "Setup";
  const log = createLog({ ...plan.log, writer: outputs.stderr, fields: () => ({ phase: phase() }) });
  const env = exactEnvironment(process.env);
  const exits = new ExitRouter();
  const history = new OutputMemory();
  const runtimeDirectory = plan.admin.socket === "" ? "/run/pingora-entry" : dirname(plan.admin.socket);
  if (plan.admin.socket !== "") makeRuntimeDirectory(runtimeDirectory);
  const wiring = createWiring({
    ...outputs,
    history,
    wall: clock.wall,
    log,
    notifyDirectories: notifyDirectories(runtimeDirectory),
  });
  const tally = new EventTally();

  const run: ServerRun = new ServerRun({
    plan,
    version,
    release: "",
    generation: 1,
    inPod: (process.env.KUBERNETES_SERVICE_HOST ?? "") !== "",
    init,
    sockets: createSockets({ retry: plan.bindRetry, log }),
    clock,
    prober: createProber({ version, init, exits }),
    log,
    random: Math.random,
    exits,
    body: (service, listeners) => {
      if (service.process !== undefined) {
        const pass = (
          argv: readonly string[],
          env: Readonly<Record<string, string>>,
          bound: Parameters<typeof passListeners>[2],
          taken: readonly number[],
        ) => passListeners(argv, env, bound, { known: listeners.values(), taken });
        return processBody(service, service.process, { init, wiring, env, listeners, hardLimit, pass }, exits);
      }
      const task = tasks.get(service.name);
      if (task === undefined) throw new TypeError(`service "${service.name}" has neither a process nor a task`);
      const fds = () => new Map([...listeners].map(([name, { fd }]) => [name, fd]));
      return inProcessBody(({ shutdown, ready }) => task({ listenFds: fds(), shutdown, ready }), log);
    },
    adminListeners: adminListeners(plan),
    openAdmin: async (listeners, control) => {
      const { openAdmin } = await import("./admin.js");
      const [tcpFd, controlFd] = [adminListenerNames.tcp, adminListenerNames.control].map(
        (name) => listeners.get(name)?.fd,
      );
      const dropped = () => ({ stdout: outputs.stdout.dropped, stderr: outputs.stderr.dropped });
      return openAdmin({ plan, tcpFd, controlFd, control, history, tally, log, clock, dropped });
    },
    stopped: (facts) => tally.stopped(facts),
    closeFd: (fd) => native().close(fd),
    lastWords: (snapshot) => lastWords(snapshot, plan),
    farewell: (snapshot) => farewell(snapshot, plan, log, Object.values(outputs)),
  });
  run.store.subscribe(tally);
  phase = () => run.store.snapshot.phase;
  const close = (code: number): void => {
    removePidFile();
    init.exit(code);
  };
  const removePidFile = plan.pidFile === undefined ? () => {} : writePidFile(plan.pidFile, init.pid);
  return { run, signalsComeFromInit, close };
}

/**
 * For the control socket and the sockets services notify us on; services with a user of their own have to pass through it.
 * Step by step: a recursive mkdir below /proc never returns on Node 20.
 */
function makeRuntimeDirectory(path: string): void {
  try {
    if (existsSync(path)) {
      accessSync(path, constants.W_OK);
      return;
    }
    makeParents(dirname(path));
    mkdirSync(path, { mode: 0o711 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    throw new EntryError(
      "os",
      `cannot use ${path} for the control socket: ${code}; mount a writable volume there (an emptyDir), or name another path in admin.socket`,
    );
  }
}

function makeParents(path: string): void {
  if (existsSync(path)) return;
  makeParents(dirname(path));
  mkdirSync(path);
}
