import { randomUUID } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../adapters/clock/clock.js";
import { createAcceptors } from "../adapters/connections/acceptors.js";
import { createConnections } from "../adapters/connections/connections.js";
import { openHandover } from "../adapters/handover/handover.js";
import { inheritFromPingora, pingoraHandover } from "../adapters/handover-pingora/handover-pingora.js";
import { channelVariable, connectInit, startSpawner } from "../adapters/init/connect.js";
import { exactEnvironment } from "../adapters/init/exact-environment.js";
import { hardLimit, mostFiles, openFiles } from "../adapters/init/hard-limits.js";
import { boundedWriter } from "../adapters/log/bounded-writer.js";
import { createLog } from "../adapters/log/create-log.js";
import { EventTally } from "../adapters/metrics/event-tally.js";
import { native, nativeFile } from "../adapters/native/addon.js";
import { realPathOf } from "../adapters/native/real-path.js";
import { OwnConnections } from "../adapters/probes/own-connections.js";
import { createProber } from "../adapters/probes/prober.js";
import { addressesOf } from "../adapters/sockets/addresses-of.js";
import { drainWay } from "../adapters/sockets/adopt-variables.js";
import { acceptingProcesses } from "../adapters/sockets/drained.js";
import { passListeners } from "../adapters/sockets/pass.js";
import { createSockets } from "../adapters/sockets/sockets.js";
import { OutputMemory } from "../adapters/wiring/output-history.js";
import { createWiring, notifyDirectories } from "../adapters/wiring/wiring.js";
import { EntryError, exitCodes } from "../core/entry-error.js";
import { laterProblem } from "../core/handover-journal.js";
import { defaultHandoverTimes, type HandoverTimes } from "../core/handover-times.js";
import type { ListenerSpec, Plan } from "../core/plan.js";
import { version } from "../core/version.js";
import { ExitRouter } from "../runtime/exit-router.js";
import { inProcessBody } from "../runtime/in-process-body.js";
import type { PingoraParts } from "../runtime/pingora-way.js";
import type { Init, Log } from "../runtime/ports.js";
import { processBody } from "../runtime/process-body.js";
import { mustOwn, readState, saveWait, stateName } from "../runtime/saved-state.js";
import { ServerRun } from "../runtime/server-run.js";
import type { UpgradeParts } from "../runtime/upgrade-parts.js";
import { adminBundle } from "./admin-bundle.js";
import { farewell, lastWords } from "./farewell.js";
import { writePidFile } from "./pid-file.js";
import { type Place, takePlace } from "./place.js";
import { refusalFile, refusalVariable, takeRefusal } from "./refusal-file.js";
import { renewInit } from "./renew-init.js";
import type { ServiceContext } from "./service.js";
import { noSuccessor, orderVariable, successorCommand } from "./successor-command.js";

export type EntryInit = Init;

/** The init that started this process; undefined when none did. Its channel can be taken up once. */
export function adoptInit(): Promise<Init> | undefined {
  return channelVariable in process.env ? connectInit(process.env) : undefined;
}

/** Another generation owns the directory: there is nothing to run until it is gone. */
export interface Standby {
  readonly kind: "standby";
  /** gives the wait to the init, which starts this program again; the process has to end */
  begin(): void;
}

export interface World {
  readonly kind: "world";
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
export async function openWorld(
  plan: Plan,
  tasks: ReadonlyMap<string, Task>,
  given: Init | undefined,
  order: string | undefined,
): Promise<World | Standby> {
  const adopted = given ?? (await adoptInit());
  const initPath = join(import.meta.dirname, "pingora-entry");
  const init = adopted ?? (await startSpawner(initPath));
  try {
    return await putTogether(plan, tasks, init, { initPath, order, signalsComeFromInit: adopted !== undefined });
  } catch (error) {
    init.exit(error instanceof EntryError ? error.exitCode : exitCodes.software.code);
    throw error;
  }
}

async function putTogether(
  plan: Plan,
  tasks: ReadonlyMap<string, Task>,
  init: Init,
  {
    initPath,
    order,
    signalsComeFromInit,
  }: { readonly initPath: string; readonly order: string | undefined; readonly signalsComeFromInit: boolean },
): Promise<World | Standby> {
  const clock = systemClock;
  const outputs = { stdout: boundedWriter(1), stderr: boundedWriter(2) };
  let phase: () => string = () => "Setup";
  const log = createLog({ ...plan.log, writer: outputs.stderr, fields: () => ({ phase: phase() }) });
  const env = exactEnvironment(process.env);
  const exits = new ExitRouter();
  const history = new OutputMemory();
  const adoptLibrary = nativeFile("adopt.so");
  const runtimeDirectory = plan.admin.socket === "" ? "/run/pingora-entry" : dirname(plan.admin.socket);
  if (plan.admin.socket !== "") makeRuntimeDirectory(runtimeDirectory);
  const directories = notifyDirectories(runtimeDirectory);
  const wiring = createWiring({ ...outputs, history, wall: clock.wall, log, notifyDirectories: directories });
  const tally = new EventTally();
  const own = new OwnConnections();
  const { upgrade: place, reason: noUpgrades } = await findPlace(
    plan,
    init,
    { path: initPath, ours: signalsComeFromInit },
    order,
    log,
    tally,
  );
  if (place?.kind === "standby") {
    log.info("another generation runs already: standing by until it is gone");
    log.flush();
    return { kind: "standby", begin: () => wait(init, place.lockFd) };
  }

  const pingora = await pingoraParts(plan, init, place?.upgrade, order !== undefined, log);

  const run: ServerRun = new ServerRun({
    plan,
    version,
    release: plan.upgrade.release,
    generation: (place?.upgrade.me ?? readState(init.recovered.state.get(stateName))?.upgrade?.me)?.generation ?? 1,
    ...(place === undefined ? {} : { upgrade: place.upgrade }),
    noUpgrades,
    ...(pingora === undefined ? {} : { pingora }),
    addressesOf,
    realPathOf,
    inPod: (process.env.KUBERNETES_SERVICE_HOST ?? "") !== "",
    init,
    sockets: createSockets({ retry: plan.bindRetry, log, privateDirectories: directories }),
    connections: createConnections({ own, init: init.pid }),
    clock,
    prober: createProber({ version, init, exits, own, acceptors: createAcceptors() }),
    log,
    random: Math.random,
    exits,
    body: (service, listeners, handsOver = () => false) => {
      if (service.process !== undefined) {
        const pass = (
          argv: readonly string[],
          env: Readonly<Record<string, string>>,
          bound: Parameters<typeof passListeners>[2],
          taken: readonly number[],
        ) => passListeners(argv, env, bound, { known: listeners.values(), taken, adoptLibrary });
        return processBody(
          service,
          service.process,
          {
            init,
            wiring,
            env,
            listeners,
            handsOver,
            hardLimit,
            filesOfInit: () => ({ open: openFiles(init.pid), most: mostFiles(init.pid) }),
            pass,
            drainSignal: (each, bound) => drainWay(each, bound)?.signal,
            accepting: (id, pid, bound) => acceptingProcesses(id, bound, { main: pid, init: init.pid }).length > 0,
          },
          exits,
        );
      }
      const task = tasks.get(service.name);
      if (task === undefined) throw new TypeError(`service "${service.name}" has neither a process nor a task`);
      const fds = () => new Map([...listeners].map(([name, { fd }]) => [name, fd]));
      return inProcessBody(({ shutdown, ready }) => task({ listenFds: fds(), shutdown, ready }), log);
    },
    adminListeners: adminListeners(plan),
    prepareAdmin: async () => {
      await adminBundle();
    },
    openAdmin: async (listeners, control) => {
      const { openAdmin } = await adminBundle();
      const [tcpFd, controlFd] = [adminListenerNames.tcp, adminListenerNames.control].map(
        (name) => listeners.get(name)?.fd,
      );
      const dropped = () => ({ stdout: outputs.stdout.dropped, stderr: outputs.stderr.dropped });
      return openAdmin({ plan, tcpFd, controlFd, control, history, tally, log, clock, dropped });
    },
    stopped: (facts) => tally.stopped(facts),
    closeFd: (fd) => native().close(fd),
    lastWords: (snapshot) => {
      if (!outlived()) lastWords(snapshot, plan);
    },
    farewell: async (snapshot) => {
      if (!outlived()) lastWords(snapshot, plan);
      await farewell(snapshot, log, Object.values(outputs));
    },
  });
  run.store.subscribe(tally);
  phase = () => run.store.snapshot.phase;
  // this container is there for the next upgrade, unless it is to end itself; a restarted supervisor is told by the init whose line is the primary
  const standsBy = () => run.replacedElsewhere && !run.signalled && init.primary && plan.upgrade.standby;
  /** started by an init that has a generation already */
  const guest = !init.primary;
  /** The container goes on: its process id and its last words are not this generation's. */
  const outlived = () => (guest && !run.owns) || (run.replaced && !run.replacedElsewhere) || standsBy();
  const close = (code: number): void => {
    if (!outlived()) removePidFile();
    run.leavePlace();
    if (standsBy() && place !== undefined && signalsComeFromInit) {
      // whoever is started when the wait is over is a generation of its own, not a supervisor of this one
      init.save(stateName, "");
      init.backstop(undefined, code);
      wait(init, place.upgrade.handover.openLock());
    } else init.exit(code);
  };
  const removePidFile = plan.pidFile === undefined ? () => {} : writePidFile(plan.pidFile, init.pid);
  return { kind: "world", run, signalsComeFromInit, close };
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

/** Until the owner's lock is free. */
function wait(init: Init, lockFd: number): void {
  saveWait(init);
  init.standby(lockFd);
}

/** This generation's place among others; without one, the reason. */
async function findPlace(
  { upgrade }: Plan,
  init: Init,
  program: { readonly path: string /** it started this process */; readonly ours: boolean },
  order: string | undefined,
  log: Log,
  tally: EventTally,
): Promise<{ readonly upgrade: Place | undefined; readonly reason: string }> {
  const { directory } = upgrade;
  const saved = readState(init.recovered.state.get(stateName));
  if (directory === undefined) return { upgrade: undefined, reason: "upgrade.directory is not set" };
  try {
    const handover = openHandover({ directory, clock: systemClock, times: handoverTimes(upgrade) });
    const found = handover.journal();
    const place = await takePlace(upgrade, init, order ?? process.env[orderVariable], {
      handover,
      command: (each, attempt) => {
        if (!program.ours) throw noSuccessor();
        const running = { ...process, env: exactEnvironment(process.env) };
        return successorCommand(each, { attempt, refusal: refusalFile(directory, attempt) }, running);
      },
      refusal: (attempt) => takeRefusal(refusalFile(directory, attempt)),
      attemptId: randomUUID,
      refused: () => tally.upgradeRefused(),
      renewInit: () => renewInit(init, program.path),
    });
    if (place.kind === "place" && place.upgrade.owner !== undefined) {
      const later = saved === undefined ? laterProblem(found) : undefined;
      if (later !== undefined) log.warn(`${later}; this generation owns, and writes its own`);
      if (found === undefined && saved !== undefined)
        log.warn("the upgrade journal was gone, or damaged: written anew");
    }
    return { upgrade: place, reason: "" };
  } catch (error) {
    // who was started to take over has nothing to do without; what runs already goes on
    const ordered = process.env[refusalVariable] !== undefined && !init.recovered.state.has(stateName);
    const mayGoOn = saved === undefined ? upgrade.optional : mustOwn(saved) || upgrade.optional;
    if (!(error instanceof EntryError) || error.reason !== "os" || !mayGoOn || ordered) throw error;
    log.warn(`upgrades are off: ${error.message}`);
    return { upgrade: undefined, reason: error.message };
  }
}

/** pingora's way, when upgrade_sock is set; with the sockets, for one who was told to take over (`ordered`) and found none of ours. */
async function pingoraParts(
  { upgrade }: Plan,
  init: Init,
  place: UpgradeParts | undefined,
  ordered: boolean,
  log: Log,
): Promise<PingoraParts | undefined> {
  if (upgrade.pingora === undefined) return undefined;
  const { path, attempts: retries } = upgrade.pingora;
  const options = { path, retries, directory: upgrade.directory, clock: systemClock };
  const handover = pingoraHandover(options);
  // a successor of ours has its own order, in the environment; a restarted supervisor has what it needs from the init
  const fromPingora = ordered && process.env[orderVariable] === undefined && place?.session === undefined;
  if (!fromPingora || init.recovered.state.has(stateName)) return { handover };
  log.info(`waiting at ${path} for who hands over in pingora's way`);
  const inherited = await inheritFromPingora(options, log);
  if (inherited === undefined) log.warn("nobody handed over in pingora's way: starting with sockets of its own");
  return { handover, ...(inherited === undefined ? {} : { inherited }) };
}

function handoverTimes({ bootMs, drainMs }: Plan["upgrade"]): HandoverTimes {
  // what was left to the successor starts between COMMIT and OWNED, and gets the time of a boot
  return { ...defaultHandoverTimes, bootMs, handoffMs: bootMs, commitMs: bootMs, drainMs: Math.max(drainMs, 60_000) };
}
