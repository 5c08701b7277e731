import { impossibleAdoptions } from "../adapters/config/adoption-possible.js";
import { missingCommands } from "../adapters/config/commands-found.js";
import { impossibleIdentities } from "../adapters/config/identities-possible.js";
import type { Loaded } from "../adapters/config/load-plan.js";
import { nativeFile } from "../adapters/native/addon.js";
import { EntryError, type Problem } from "../core/entry-error.js";
import type { ShutdownPlan } from "../core/grace-budget.js";
import type { Plan } from "../core/plan.js";
import { problemSentence, sourceText } from "../core/problem-text.js";
import { planStop } from "../core/stop-waves.js";
import type { Command, Io } from "./command.js";
import { drainJson, drainPlan, drainText } from "./drain-plan.js";
import { loadForLooking, parsePlanArgs } from "./plan-options.js";
import { columns, listenerWords, needsWords, readyWords, secondsWords, timeline } from "./plan-words.js";

const usage = `usage: pingora-entry check [-c FILE|DIR]... [--json] [-- CMD ARGS...]

Reads the configuration as a start would and prints what would happen: the waves
in which services start, the listeners, the shutdown plan with its sum, and how
this generation ends when an upgrade has replaced it (upgrade.drainSeconds).
Every problem is printed with its place. Nothing is started, bound or written.

  -c, --conf FILE|DIR   configuration (repeatable; later ones override; a
                        directory is read in name order)
      --json            for programs: { "valid": true|false, ... }

Exit code: 0 when the configuration can be used (there may be warnings), 78 when
it cannot.
`;

export const checkCommand: Command = {
  name: "check",
  summary: "check the configuration; print start waves and shutdown plan",
  usage,
  async run(args, io) {
    const { values, command } = parsePlanArgs("check", args, { json: { type: "boolean" } });
    const json = values.json === true;
    try {
      const loaded = await loadForLooking(values.conf, command, io);
      const warnings = [
        ...loaded.warnings,
        ...missingCommands(loaded, io.env),
        ...impossibleIdentities(loaded, process.getuid?.() ?? 0),
        ...impossibleAdoptions(loaded, {
          env: io.env,
          own: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
          library: nativeFile("adopt.so"),
        }),
      ];
      const stop = stopInPod(loaded);
      io.out(
        json
          ? `${JSON.stringify(checkJson(loaded, warnings, stop), null, 2)}\n`
          : checkText(loaded, warnings, stop, io),
      );
      return 0;
    } catch (error) {
      if (!json || !(error instanceof EntryError) || error.reason !== "config") throw error;
      io.out(`${JSON.stringify({ valid: false, message: error.message, problems: error.problems }, null, 2)}\n`);
      return error.exitCode;
    }
  },
};

const podLameDuckMs = 5000;

interface StopInPod {
  readonly plan: ShutdownPlan;
  readonly lameDuckMs: number;
  readonly reserveMs: number;
  readonly gracePeriodMs: number;
}

/** The stop as a pod would see it, from 0: a lame duck of auto has its pod's length. */
function stopInPod({ plan, configuration }: Loaded): StopInPod {
  const { gracePeriodMs } = plan.shutdown;
  const automatic = configuration.shutdown.lameDuckSeconds === "auto";
  const lameDuckMs = automatic ? podLameDuckMs : plan.shutdown.lameDuckMs;
  const inPod = { ...plan, shutdown: { ...plan.shutdown, lameDuckMs } };
  const stop = planStop(inPod, { requestedAt: 0, lameDuck: true });
  return { plan: stop, lameDuckMs: stop.lameDuckUntil, reserveMs: stop.reserveMs, gracePeriodMs };
}

function checkText(loaded: Loaded, warnings: readonly Problem[], stop: StopInPod, io: Io): string {
  const { plan } = loaded;
  const drain = drainPlan(plan);
  const bold = (text: string): string => (io.colour ? `\u001b[1m${text}\u001b[22m` : text);
  const yellow = (text: string): string => (io.colour ? `\u001b[33m${text}\u001b[39m` : text);
  const green = (text: string): string => (io.colour ? `\u001b[32m${text}\u001b[39m` : text);
  const parts = [
    loaded.files.length === 0 ? "no configuration file; defaults, variables and options only" : loaded.files.join("\n"),
    `${bold("start")}\n${startRows(plan)}`,
    ...(plan.listeners.length === 0 ? [] : [`${bold("listeners")}\n${listenerRows(plan)}`]),
    `${bold("stop")}\n${stopRows(stop)}`,
    ...(drain === undefined ? [] : [`${bold("end of this generation in an upgrade")}\n${drainText(drain)}`]),
    ...listed(yellow(bold("warnings")), warnings),
    ...listed(bold("notices"), loaded.notices),
    green(`valid: ${counted(plan.services.length, "service")} in ${counted(plan.waves.length, "wave")}`),
  ];
  return `${parts.join("\n\n")}\n`;
}

function startRows(plan: Plan): string {
  if (plan.services.length === 0) return "  nothing: no service is configured";
  const byName = new Map(plan.services.map((service) => [service.name, service]));
  const rows = plan.waves.flatMap((names, wave) =>
    names.map((name, i) => {
      const service = byName.get(name);
      if (service === undefined) return [];
      const what = [needsWords(service), readyWords(service)].filter((words) => words !== "").join("; ");
      const times = service.instances > 1 ? ` x ${service.instances}` : "";
      return [i === 0 ? `wave ${wave + 1}` : "", `${name}${times}`, what];
    }),
  );
  return columns(rows);
}

function listenerRows(plan: Plan): string {
  const rows = plan.listeners.map((listener) => {
    const users = plan.services.filter((service) => service.listeners.includes(listener.name));
    return [listener.name, listenerWords(listener), users.map((service) => service.name).join(", "), listener.passAs];
  });
  return columns(rows);
}

function stopRows({ plan, lameDuckMs, reserveMs, gracePeriodMs }: StopInPod): string {
  const steps = [
    ...(lameDuckMs > 0 ? [{ ms: lameDuckMs, what: "lame duck: serving on while the endpoints forget this pod" }] : []),
    ...plan.waves.map((wave) => ({ ms: wave.graceMs, what: wave.services.join(", ") })),
    { ms: reserveMs, what: "reserve: kill what is left, report" },
  ];
  const { rows, sum } = timeline(steps);
  return `${rows}\n  ${sum} s of the ${secondsWords(gracePeriodMs)} s that the pod grants (terminationGracePeriodSeconds)`;
}

function listed(title: string, problems: readonly Problem[]): string[] {
  if (problems.length === 0) return [];
  const lines = problems.map((problem) => {
    const place = sourceText(problem.source);
    return `  ${place === "" ? "" : `${place}: `}${problemSentence(problem)}`;
  });
  return [`${title}\n${lines.join("\n")}`];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function checkJson(loaded: Loaded, warnings: readonly Problem[], stop: StopInPod): unknown {
  const { plan } = loaded;
  const drain = drainPlan(plan);
  return {
    valid: true,
    files: loaded.files,
    fingerprint: loaded.fingerprint(),
    services: plan.services.map(({ name, type, instances, dependsOn, listeners, required }) => ({
      name,
      type,
      instances,
      dependsOn,
      listeners,
      required,
    })),
    waves: plan.waves,
    listeners: plan.listeners.map((listener) => ({
      name: listener.name,
      address: listenerWords(listener),
      passAs: listener.passAs,
    })),
    shutdown: {
      gracePeriodSeconds: stop.gracePeriodMs / 1000,
      lameDuckSeconds: stop.lameDuckMs / 1000,
      waves: stop.plan.waves.map((wave) => ({
        services: wave.services,
        graceSeconds: wave.graceMs / 1000,
        killAtSeconds: wave.deadline / 1000,
      })),
      reserveSeconds: stop.reserveMs / 1000,
      sumSeconds: (stop.plan.deadline + stop.reserveMs) / 1000,
    },
    ...(drain === undefined ? {} : { upgrade: drainJson(drain) }),
    warnings,
    notices: loaded.notices,
  };
}
