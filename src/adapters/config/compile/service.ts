import type { RestartPolicy, RestartSpec, ServiceSpec, ServiceUpgradeSpec } from "../../../core/plan.js";
import { suggest } from "../../../core/suggest.js";
import { meant, quote } from "../complaints.js";
import { reservedNames } from "../schema/names.js";
import type { WrittenService } from "../schema/service.js";
import { refusePlaceholders } from "./placeholders.js";
import { compileProbe, type ProbeKind } from "./probe.js";
import { compileProcess } from "./process.js";
import { itemPaths, keyPlaceFor, mainName, ms, namesUnder, placeFor, type Scene } from "./scene.js";
import { setForService } from "./set-variables.js";
import { compileStop } from "./stop.js";

/** All of a service but what it depends on. `command` is the command line's, for main. */
export function compileService(
  name: string,
  written: WrittenService,
  command: readonly string[] | undefined,
  scene: Scene,
): Omit<ServiceSpec, "dependsOn"> {
  const path = `services.${name}`;
  const { complaints, places } = scene;
  if (reservedNames.includes(name))
    complaints.problem(keyPlaceFor(places, path), path, `the name "${name}" is reserved`);
  const listeners = listenersOf(written, path, scene);
  const oneshot = written.type === "oneshot";
  const probes = (["readinessProbe", "livenessProbe", "startupProbe"] as const).map((kind: ProbeKind) => {
    const probe = written[kind];
    if (probe === undefined) return {};
    if (oneshot) {
      complaints.problem(
        keyPlaceFor(places, `${path}.${kind}`),
        `${path}.${kind}`,
        "has no meaning for a oneshot: it is done when it exits with 0",
      );
    }
    const compiled = compileProbe(kind, probe, `${path}.${kind}`, listeners, scene);
    return compiled === undefined ? {} : { [kind]: compiled };
  });
  const spec: Omit<ServiceSpec, "dependsOn"> = {
    name,
    type: written.type,
    process: compileProcess(written, path, command, setForService(written, path, listeners, scene), scene),
    listeners,
    instances:
      written.instances ?? (oneshot || listeners.length === 0 || name === mainName ? 1 : (scene.settings.threads ?? 1)),
    ...Object.assign({}, ...probes),
    startTimeoutMs: ms(written.startTimeoutSeconds),
    restart: restartOf(name, written),
    stop: compileStop(written.stop, `${path}.stop`, scene),
    onFailure: written.onFailure ?? (written.required || name === mainName ? "shutdown" : "ignore"),
    required: written.required,
    upgrade: upgradeOf(written, listeners),
  };
  refuseExclusive(spec, path, scene);
  refuseRestarts(spec, path, scene);
  refusePreflight(spec, path, scene);
  refusePlaceholders(spec, path, scene);
  return spec;
}

function listenersOf(written: WrittenService, path: string, { complaints, places, listeners }: Scene): string[] {
  const known: string[] = [];
  const item = itemPaths(places, `${path}.listeners`);
  for (const [i, name] of (written.listeners ?? []).entries()) {
    const at = item(i);
    if (known.includes(name)) complaints.problem(placeFor(places, at), at, `listener ${quote(name)} is given twice`);
    else if (listeners.has(name)) known.push(name);
    else if (!places.has(`listeners.${name}`)) {
      complaints.problem(
        placeFor(places, at),
        at,
        `unknown listener ${quote(name)}`,
        meant(suggest(name, namesUnder(places, "listeners"))),
      );
    }
  }
  return known;
}

function restartOf(name: string, written: WrittenService): RestartSpec {
  const detail = typeof written.restart === "string" ? { policy: written.restart } : written.restart;
  const fallback: RestartPolicy = name === mainName ? "never" : written.type === "oneshot" ? "on-failure" : "always";
  const timing = {
    initialDelaySeconds: 0.5,
    maxDelaySeconds: 30,
    resetAfterSeconds: 30,
    limit: 5,
    windowSeconds: 60,
    ...detail,
  };
  return {
    policy: detail?.policy ?? fallback,
    initialDelayMs: ms(timing.initialDelaySeconds),
    maxDelayMs: ms(timing.maxDelaySeconds),
    resetAfterMs: ms(timing.resetAfterSeconds),
    limit: timing.limit,
    windowMs: ms(timing.windowSeconds),
  };
}

function upgradeOf({ upgrade }: WrittenService, listeners: readonly string[]): ServiceUpgradeSpec {
  return {
    strategy: upgrade?.strategy ?? (listeners.length > 0 ? "handover" : "restart"),
    accept: upgrade?.accept ?? "on-start",
    preflight: upgrade?.preflight ?? false,
    onUpgrade: upgrade?.onUpgrade ?? "run",
    arguments: upgrade?.arguments ?? ["-u"],
    signal: upgrade?.signal ?? "SIGQUIT",
  };
}

/** Restarts that could never happen, or not as they are written. */
function refuseRestarts(spec: Omit<ServiceSpec, "dependsOn">, path: string, { complaints, places }: Scene): void {
  const { policy, initialDelayMs, maxDelayMs } = spec.restart;
  const at = places.has(`${path}.restart.policy`) ? `${path}.restart.policy` : `${path}.restart`;
  const say = (where: string, message: string, hint: string): void =>
    complaints.problem(placeFor(places, where), where, message, hint);
  if (spec.onFailure === "restart" && policy === "never") {
    const why = places.has(at) ? "its restart policy is never" : `${spec.name} is never restarted by default`;
    say(`${path}.onFailure`, `restart is not possible: ${why}`, "write restart: on-failure or restart: always");
  }
  if (spec.type === "oneshot" && policy === "always")
    say(at, "always is not possible: a oneshot that has completed is not run again", "write on-failure");
  if (initialDelayMs > maxDelayMs) {
    const key = places.has(`${path}.restart.initialDelaySeconds`) ? "initialDelaySeconds" : "maxDelaySeconds";
    say(
      `${path}.restart.${key}`,
      `initialDelaySeconds (${initialDelayMs / 1000} s) is more than maxDelaySeconds (${maxDelayMs / 1000} s)`,
      "no delay is longer than maxDelaySeconds",
    );
  }
}

/** A trial that would never be made; one that says little. */
function refusePreflight(spec: Omit<ServiceSpec, "dependsOn">, path: string, { complaints, places }: Scene): void {
  const { preflight, strategy, accept } = spec.upgrade;
  const at = `${path}.upgrade.preflight`;
  if (!preflight) return;
  const refuse = (why: string, hint?: string): void =>
    complaints.problem(placeFor(places, at), at, `true is not possible: ${why}`, hint);
  if (spec.type === "oneshot") refuse("a oneshot is done when it exits with 0, it never becomes ready");
  else if (spec.listeners.length === 0) refuse("a trial is made on private sockets, and the service has no listeners");
  else if (strategy !== "handover")
    refuse(`with strategy ${strategy} two of it cannot run at once`, "write strategy: handover");
  else if (accept === "on-commit")
    refuse("with accept on-commit it starts when the upgrade is decided", "write accept: on-start");
  else if (spec.readinessProbe === undefined && spec.startupProbe === undefined)
    complaints.warning(
      placeFor(places, at),
      at,
      "finds out only whether the program can be executed: without a readinessProbe the trial is ready once it runs",
    );
}

/** MOST_OFFERS of src/native/adopt/offers.h */
const mostAdopted = 1024;

/** What one process can have only once, or not together, or not as many of. */
function refuseExclusive(
  spec: Omit<ServiceSpec, "dependsOn">,
  path: string,
  { complaints, places, listeners }: Scene,
): void {
  const say = (key: string, message: string, hint?: string): void =>
    complaints.problem(placeFor(places, `${path}.${key}`), `${path}.${key}`, message, hint);
  if (spec.instances > 1 && spec.type === "oneshot")
    say("instances", `${spec.instances} is not possible: a oneshot runs once`, "write 1");
  if (spec.instances > 1 && spec.name === mainName)
    say("instances", "main has one process: its exit code is the container's", "write 1");
  if (spec.process?.tty === true && spec.name !== mainName) say("tty", "only main can have the container's terminal");
  const onStdin = spec.listeners.filter((name) => listeners.get(name)?.passAs === "stdin");
  if (onStdin.length > 1) say("listeners", `${onStdin.join(" and ")} are both passed as stdin, a process has one`);
  if (onStdin.length > 0 && spec.process?.tty === true)
    say("tty", `stdin cannot be the terminal and listener "${onStdin[0]}"`);
  const adopted = spec.listeners.filter((name) => listeners.get(name)?.passAs === "adopt").length;
  if (adopted > mostAdopted)
    say(
      "listeners",
      `${adopted} listeners are to be adopted, a process can adopt ${mostAdopted}`,
      "pass others in another way, or divide them among services",
    );
  const action = spec.readinessProbe?.action;
  if (action?.kind === "notify" && action.fd !== undefined) {
    // systemd's numbers are 3, 4, ...; the others make way
    const end = 3 + spec.listeners.filter((name) => listeners.get(name)?.passAs === "systemd").length;
    if (action.fd < end) {
      const message = `file descriptor ${action.fd} is taken by a listener`;
      say("readinessProbe.notify.fd", message, `write ${end} or more`);
    }
  }
}
