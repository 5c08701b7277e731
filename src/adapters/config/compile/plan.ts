import { basename, dirname, join } from "node:path";
import type { ListenerSpec, Plan, ServiceSpec, ShutdownSpec, UpgradeSpec } from "../../../core/plan.js";
import { Refused } from "../format.js";
import { parseHostPort } from "../format-address.js";
import type { AllSettings } from "../settings.js";
import { mainName, ms } from "./scene.js";

const terminationLog = "/dev/termination-log";
const podLameDuckSeconds = 5;

export interface PlanParts {
  readonly services: readonly ServiceSpec[];
  readonly listeners: readonly ListenerSpec[];
  readonly waves: readonly (readonly string[])[];
  readonly settings: AllSettings;
  /** the option -d was given */
  readonly daemon: boolean;
  readonly inPod: boolean;
  readonly hasTerminationLog: boolean;
}

/** The plan from its judged parts. */
export function assemblePlan(parts: PlanParts): Plan {
  const { services, listeners, waves, settings, daemon, inPod, hasTerminationLog } = parts;
  const { admin, bind, log, readiness } = settings;
  const tcp = admin.tcp === false ? undefined : parseHostPort(admin.tcp);
  const lastWords = settings.terminationMessagePath ?? (hasTerminationLog ? terminationLog : false);
  const pidFile = settings.pid_file ?? (daemon ? "/tmp/pingora.pid" : undefined);
  return {
    services,
    listeners,
    waves,
    ...(services.some((service) => service.name === mainName) ? { main: mainName } : {}),
    shutdown: shutdownOf(settings, inPod),
    readiness: { duringDrain: readiness.duringDrain },
    bindRetry: { attempts: bind.retries, intervalMs: ms(bind.retryIntervalSeconds) },
    admin: {
      ...(tcp === undefined || tcp instanceof Refused ? {} : { tcp: { host: tcp.host, port: tcp.port } }),
      socket: admin.socket,
      ...(admin.prestopToken === undefined ? {} : { prestopToken: admin.prestopToken }),
    },
    upgrade: upgradeOf(settings, inPod),
    log: { level: log.level, format: log.format },
    ...(lastWords === false ? {} : { terminationMessagePath: lastWords }),
    ...(pidFile === undefined ? {} : { pidFile }),
  };
}

/** pingora's grace runs from the stop signal to the kill; ours from the first word of a stop to the pod's SIGKILL. */
function shutdownOf(settings: AllSettings, inPod: boolean): ShutdownSpec {
  const { gracePeriodSeconds, lameDuckSeconds, reserveSeconds } = settings.shutdown;
  const lameDuck = lameDuckSeconds === "auto" ? (inPod ? podLameDuckSeconds : 0) : lameDuckSeconds;
  const reserve = reserveSeconds ?? settings.graceful_shutdown_timeout_seconds ?? 1;
  const pingoraGrace = settings.grace_period_seconds;
  const grace = gracePeriodSeconds ?? (pingoraGrace === undefined ? 30 : lameDuck + pingoraGrace + reserve);
  return { gracePeriodMs: ms(grace), lameDuckMs: ms(lameDuck), reserveMs: ms(reserve) };
}

/** How often pingora tries when nobody says. */
const pingoraAttempts = 5;

function upgradeOf(settings: AllSettings, inPod: boolean): UpgradeSpec {
  const { upgrade, admin, upgrade_sock: path, upgrade_sock_connect_accept_max_retries: attempts } = settings;
  const { gracePeriodMs, reserveMs } = shutdownOf(settings, inPod);
  const directory = upgrade.directory ?? (admin.socket === "" ? undefined : besideSocket(admin.socket));
  return {
    ...(directory === undefined ? {} : { directory }),
    optional: upgrade.directory === undefined,
    probationMs: ms(upgrade.probationSeconds),
    bootMs: ms(upgrade.bootSeconds),
    drainMs: upgrade.drainSeconds === undefined ? Math.max(0, gracePeriodMs - reserveMs) : ms(upgrade.drainSeconds),
    release: upgrade.release,
    maxGenerations: upgrade.maxGenerations,
    standby: upgrade.standby === "auto" ? inPod : upgrade.standby,
    ...(path === undefined ? {} : { pingora: { path, attempts: attempts ?? pingoraAttempts } }),
  };
}

/** Two servers whose control sockets lie in one folder are not each other's generations. */
function besideSocket(socket: string): string {
  return basename(socket) === "control.sock" ? join(dirname(socket), "upgrade") : `${socket}.upgrade`;
}
