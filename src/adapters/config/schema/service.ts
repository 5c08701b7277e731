import { conditions } from "../../../core/plan.js";
import { count, flag, mode, path, seconds, text, word } from "../format.js";
import { amount, signal } from "../format-process.js";
import { either, key, listOf, mapOf, nullable, type ObjectOf, object, scalarOf } from "../shape.js";
import { commandShape, envFilesShape, envShape, listenerName, nameRule, serviceName } from "./names.js";
import { livenessProbe, readinessProbe } from "./probe.js";

const condition = word(conditions, {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed",
});

const policy = scalarOf(
  word(["always", "on-failure", "never"], {
    "unless-stopped": "always",
    no: "never",
    OnFailure: "on-failure",
    Always: "always",
    Never: "never",
  }),
);

const restart = object("restart", {
  policy: key(policy, {
    doc: "When to start the service again after it ended: always; on-failure, that is any exit but 0; never.",
    defaultText: "always; on-failure for a oneshot; never for main",
  }),
  initialDelaySeconds: key(scalarOf(seconds()), {
    also: ["delay", "backoff", "delayseconds"],
    doc: "Wait before the first restart. Doubles with each one that follows.",
    default: 0.5,
    unit: "s",
  }),
  maxDelaySeconds: key(scalarOf(seconds()), { doc: "The wait grows no further than this.", default: 30, unit: "s" }),
  resetAfterSeconds: key(scalarOf(seconds()), {
    doc: "A process that stayed up this long starts again from the initial delay.",
    default: 30,
    unit: "s",
  }),
  limit: key(scalarOf(count(0, 100_000)), {
    doc: "More restarts than this within the window make the service fail for good. 0: no limit.",
    default: 5,
  }),
  windowSeconds: key(scalarOf(seconds(0.001)), {
    doc: "The window in which restarts are counted.",
    default: 60,
    unit: "s",
  }),
});

const stopStep = object("stop signal", {
  signal: key(scalarOf(signal), { doc: "Signal to send." }),
  waitSeconds: key(scalarOf(seconds()), {
    doc: "Time until the next signal. After the last one the service has the rest of its grace.",
    defaultText: "an equal share of graceSeconds, else 5",
    unit: "s",
  }),
});

const stop = object("stop", {
  signal: key(
    either({
      scalar: scalarOf(signal),
      list: listOf(either({ scalar: scalarOf(signal), map: stopStep }), "a list of signals", 1),
    }),
    {
      doc: "Signal that asks the service to end; or a list, sent one after the other while it still runs. SIGKILL follows by itself.",
      defaultText: "SIGTERM",
      examples: ["SIGQUIT", ["SIGTERM", { signal: "SIGINT", waitSeconds: 2 }]],
    },
  ),
  graceSeconds: key(scalarOf(seconds()), {
    also: ["timeout", "stopgraceperiod", "terminationgraceperiodseconds"],
    doc: "Time from the stop's begin to SIGKILL.",
    defaultText: "an equal share of what the pod's grace has left",
    unit: "s",
  }),
  command: key(commandShape, {
    also: ["cmd", "exec", "run", "args", "entrypoint", "program"],
    doc: "Command to run before the first signal, within the same grace: at the latest after three quarters of it the command is killed and the signals follow. One that cannot be started, fails or hangs is logged at warn.",
  }),
});

const bounds = object("limit", {
  soft: key(scalarOf(amount), { doc: "The limit in force.", defaultText: "hard" }),
  hard: key(scalarOf(amount), { doc: "What the process itself may raise it to.", defaultText: "soft" }),
});

export const resources = ["nofile", "nproc", "core", "as", "stack", "memlock", "fsize", "data", "cpu"] as const;
const limitKey = (doc: string, also: readonly string[] = []) =>
  key(either({ scalar: scalarOf(amount), map: bounds }), { doc, also });
const limits = object("limits", {
  nofile: limitKey("Open files.", ["openfiles", "files"]),
  nproc: limitKey("Processes of the user."),
  core: limitKey("Size of core dumps, in bytes."),
  as: limitKey("Address space, in bytes."),
  stack: limitKey("Stack, in bytes."),
  memlock: limitKey("Locked memory, in bytes."),
  fsize: limitKey("Size of a written file, in bytes."),
  data: limitKey("Data segment, in bytes."),
  cpu: limitKey("CPU time, in seconds."),
});

const serviceUpgrade = object("service's upgrade", {
  strategy: key(scalarOf(word(["handover", "restart", "own"])), {
    doc: "handover: both generations run it, on the same sockets; restart: the old one stops it before the new one starts it (it owns something that only one can have); own: it replaces itself: started with `arguments`, the old one gets `signal`.",
    defaultText: "handover with listeners, restart without",
  }),
  accept: key(scalarOf(word(["on-start", "on-commit"])), {
    doc: "With handover. on-start: the successor's process starts, and accepts, while it is being tried; on-commit: it starts when everything else is ready.",
    default: "on-start" as const,
  }),
  preflight: key(scalarOf(flag), {
    doc: "With handover and on-start: in an upgrade, a trial process on private sockets (loopback, a path of its own) must become ready first and is stopped; then the real ones start. It has `PINGORA_ENTRY_PREFLIGHT=1` in its environment. A start without an upgrade has none.",
    default: false,
  }),
  onUpgrade: key(scalarOf(word(["run", "skip"])), {
    doc: "Whether a oneshot that has been completed runs again in the successor.",
    default: "run" as const,
  }),
  arguments: key(listOf(scalarOf(text), "a list of arguments"), {
    doc: "With own: added to the command when it takes over from a running one.",
    defaultText: '["-u"], as pingora has it',
  }),
  signal: key(scalarOf(signal), { doc: "With own: what makes the running one hand over.", default: "SIGQUIT" }),
});

const identity = (what: string) => scalarOf({ ...text, name: what, needs: `a ${what} (name or number)` });

export const service = object(
  "service",
  {
    command: key(commandShape, {
      also: ["cmd", "exec", "run", "entrypoint", "program"],
      doc: "Program and arguments. A list is taken word by word; a text is split at blanks, with quotes, and given to no shell.",
      examples: [["node", "server.js"], "node server.js"],
    }),
    type: key(scalarOf(word(["long-running", "oneshot"])), {
      doc: "A oneshot runs to its end and has then completed; all else is expected to stay.",
      default: "long-running" as const,
    }),
    dependsOn: key(
      either({
        list: listOf(serviceName, "a list of services"),
        map: mapOf(nullable(scalarOf(condition)), "a map of services to conditions", nameRule),
      }),
      {
        also: ["after", "requires", "needs", "depends"],
        doc: "Services that come first, with what is awaited of them: started, ready, healthy (ready, and its liveness probe passes), completed (exit code 0). As a list: ready, for a oneshot completed. Stopping goes the other way round.",
        examples: [{ migrate: "completed", cache: "ready" }, ["migrate", "cache"]],
      },
    ),
    listeners: key(listOf(listenerName, "a list of listeners"), {
      also: ["ports", "sockets", "listen"],
      doc: "Names of the sockets the service gets, as file descriptors 3, 4, ... in this order (sd_listen_fds(3)).",
      examples: [["http"]],
    }),
    instances: key(scalarOf(count(1, 1024)), {
      also: ["replicas", "processes", "numprocs", "scale", "threads"],
      doc: "Number of equal processes, which share the listeners.",
      defaultText: "1; pingora's threads for a service with listeners",
    }),
    readinessProbe: key(readinessProbe, {
      also: ["healthcheck", "readiness"],
      doc: "When the service is ready. Without one it is ready once it runs.",
    }),
    livenessProbe: key(livenessProbe, {
      also: ["liveness", "watchdog"],
      doc: "A service that fails it is stopped and started again by its restart policy.",
    }),
    startupProbe: key(livenessProbe, { doc: "Until it passes, the other probes are not asked." }),
    startTimeoutSeconds: key(scalarOf(seconds()), {
      doc: "A service not ready within this time is stopped, as if it had failed. 0: wait for ever; /readyz says so.",
      default: 0,
      unit: "s",
    }),
    restart: key(either({ scalar: policy, map: restart }), { doc: "Restarts. The policy may stand here directly." }),
    stop: key(either({ map: stop }), { doc: "How the service is ended." }),
    onFailure: key(scalarOf(word(["shutdown", "restart", "ignore"])), {
      doc: "What happens when it failed for good: shutdown ends the container, restart goes on trying beyond the limit, ignore leaves it failed.",
      defaultText: "shutdown when required, else ignore",
    }),
    required: key(scalarOf(flag), { doc: "Counts for /readyz.", default: true }),
    user: key(identity("user"), {
      also: ["uid", "runasuser"],
      doc: "User to run as, by name or number; name:group is possible.",
      defaultText: "pingora's user, else as pingora-entry",
    }),
    group: key(identity("group"), {
      also: ["gid", "runasgroup"],
      doc: "Primary group.",
      defaultText: "that of the user in /etc/passwd",
    }),
    env: key(envShape, {
      also: ["environment"],
      doc: "Environment variables, added to those pingora-entry was given. null removes one.",
      examples: [{ NODE_ENV: "production", DEBUG: null }],
      secret: true,
    }),
    envFiles: key(envFilesShape, { doc: "Files of NAME=value lines, read before env." }),
    workingDirectory: key(scalarOf(path), {
      also: ["workdir", "cwd", "dir", "directory"],
      doc: "Directory to start in.",
      defaultText: "pingora's working_directory, else the container's",
    }),
    umask: key(scalarOf(mode), { doc: "File mode creation mask, octal." }),
    nice: key(scalarOf(count(-20, 19)), { doc: "CPU priority." }),
    oomScoreAdj: key(scalarOf(count(-1000, 1000)), { doc: "How soon the kernel kills it when memory is out." }),
    limits: key(limits, {
      also: ["ulimits", "rlimits"],
      doc: "Resource limits (setrlimit(2)): a number, unlimited, or soft and hard.",
      examples: [{ nofile: 4096 }],
    }),
    output: key(scalarOf(word(["inherit", "prefix", "json"])), {
      also: ["logging", "stdout", "stderr"],
      doc: "inherit: the service writes to the container's output itself; prefix: its lines pass through and begin with its name; json: they become JSON lines.",
      default: "inherit" as const,
    }),
    tty: key(scalarOf(flag), { doc: "Give the service the container's terminal. Only for main.", default: false }),
    upgrade: key(serviceUpgrade, { doc: "What an upgrade does with the service." }),
  },
  {
    args: "arguments stand in command, behind the program",
    image: "a service is a program of this container, not an image",
    build: "a service is a program of this container, not an image",
  },
);

export type WrittenService = ObjectOf<(typeof service)["keys"]>;
export type WrittenUpgrade = ObjectOf<(typeof serviceUpgrade)["keys"]>;
