import { nameRule, reservedNames } from "../adapters/config/schema/names.js";
import { EntryError, type Problem } from "../core/entry-error.js";
import { type Condition, conditions, type ServiceSpec } from "../core/plan.js";
import { suggest } from "../core/suggest.js";
import type { ServerConf } from "./server-conf.js";

/**
 * What the configuration file refuses, refused where a program says it. Programs in JavaScript have no compiler: missing parts are named, too.
 */
export function refuse(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const found: Problem[] = problems.map((message) => ({ message }));
  throw new EntryError("config", `${what}: ${problems.join("; ")}`, { problems: found });
}

/** @throws EntryError config */
export function judgeName(name: unknown): asserts name is string {
  if (typeof name !== "string") refuse("cannot add a service", [`its name is ${shown(name)}, a text is needed`]);
  const text = name as string;
  // what backgroundService makes of it
  const own = text.replace(/^BG /, "");
  if (!nameRule.pattern.test(own)) refuse(`cannot add service ${shown(text)}`, [`its name needs ${nameRule.needs}`]);
  if (reservedNames.includes(own)) refuse(`cannot add service ${shown(text)}`, ["the name is reserved"]);
}

const specParts: Readonly<Record<Exclude<keyof ServiceSpec, OptionalPart>, string>> = {
  name: "string",
  type: "string",
  dependsOn: "object",
  listeners: "array",
  instances: "number",
  startTimeoutMs: "number",
  restart: "object",
  stop: "object",
  onFailure: "string",
  required: "boolean",
  upgrade: "object",
};
type OptionalPart = "process" | "readinessProbe" | "livenessProbe" | "startupProbe";

/** A spec of a process is whole. @throws EntryError config */
export function judgeSpec(spec: unknown): asserts spec is ServiceSpec {
  if (typeof spec !== "object" || spec === null) refuse("cannot use a service's spec", [`it is ${shown(spec)}`]);
  const given = spec as Readonly<Record<string, unknown>>;
  judgeName(given.name);
  const parts = { ...specParts, process: "object" };
  const process = given.process as ServiceSpec["process"] | undefined;
  const stop = given.stop as ServiceSpec["stop"] | undefined;
  const problems = [
    ...missing(given, parts),
    ...(process === undefined || (Array.isArray(process?.command) && process.command.length > 0)
      ? []
      : ["process.command needs at least one word"]),
    ...(stop === undefined || (Array.isArray(stop?.steps) && stop.steps.length > 0)
      ? []
      : ["stop.steps needs at least one step"]),
  ];
  refuse(`cannot use the spec of service "${given.name}" (configuredService makes a whole one)`, problems);
}

/** @throws EntryError config */
export function judgeConf(conf: ServerConf): void {
  if (typeof conf !== "object" || conf === null)
    refuse("cannot make the server", [`its configuration is ${shown(conf)}`]);
  const parts = {
    listeners: "array",
    shutdown: "object",
    readiness: "object",
    bindRetry: "object",
    admin: "object",
    log: "object",
  } as const satisfies Partial<Record<keyof ServerConf, string>>;
  const problems = missing(conf as never, parts);
  const times = { gracePeriodMs: "number", lameDuckMs: "number", reserveMs: "number" };
  if (problems.length === 0) {
    problems.push(...missing(conf.shutdown as never, times, "shutdown."));
    problems.push(...missing(conf.bindRetry as never, { attempts: "number", intervalMs: "number" }, "bindRetry."));
    problems.push(...missing(conf.admin as never, { socket: "string" }, "admin."));
    problems.push(...missing(conf.log as never, { level: "string", format: "string" }, "log."));
  }
  refuse("cannot make the server (spread defaultConf() and change what you need)", problems);
}

/** A longer timer fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/** @throws EntryError config */
export function judgeWindow(windowMs: unknown): void {
  if (typeof windowMs === "number" && windowMs >= 0 && windowMs <= longestTimerMs) return;
  refuse("cannot drain", [`windowMs is ${shown(windowMs)}, a number from 0 to ${longestTimerMs} is needed`]);
}

/** Whether `condition` is one that `on` can fulfil; as text what is wrong, empty when nothing is. */
export function conditionProblem(on: ServiceSpec, condition: Condition): string {
  if (!conditions.includes(condition)) return `${shown(condition)} is no condition: ${conditions.join(", ")}`;
  if (condition === "completed" && on.type === "long-running" && on.restart.policy === "always")
    return `"${on.name}" never completes: it is long-running and always restarted`;
  if (condition !== "healthy") return "";
  if (on.type === "oneshot") return `"${on.name}" is never healthy: it is a oneshot`;
  return on.livenessProbe === undefined ? `"${on.name}" is never healthy: it has no livenessProbe` : "";
}

/** Names that lead nowhere. @throws EntryError config, with all of them */
export function judgeServices(services: readonly ServiceSpec[], conf: ServerConf): void {
  const byName = new Map(services.map((service) => [service.name, service]));
  const listeners = conf.listeners.map(({ name }) => name);
  const problems = services.flatMap(({ name, dependsOn, listeners: taken }) => [
    ...Object.entries(dependsOn).flatMap(([on, condition]) => {
      const target = byName.get(on);
      const problem =
        target === undefined ? unknown("service", on, byName.keys()) : conditionProblem(target, condition);
      return problem === "" ? [] : [`"${name}" cannot depend on "${on}": ${problem}`];
    }),
    ...taken.flatMap((listener) =>
      listeners.includes(listener)
        ? []
        : [`"${name}" cannot have listener "${listener}": ${unknown("listener", listener, listeners)}`],
    ),
  ]);
  refuse("cannot run the server", problems);
}

function unknown(kind: string, name: string, known: Iterable<string>): string {
  const near = suggest(name, known);
  return `the server has no ${kind} of that name${near === undefined ? "" : `; did you mean "${near}"?`}`;
}

function missing(given: Readonly<Record<string, unknown>>, parts: Readonly<Record<string, string>>, at = ""): string[] {
  return Object.entries(parts).flatMap(([name, kind]) => {
    const value = given[name];
    if (value === undefined) return [`${at}${name} is missing`];
    const found = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    const bad = found !== kind || (kind === "number" && !((value as number) >= 0));
    return bad ? [`${at}${name} is ${shown(value)}, a${/^[aeiou]/.test(kind) ? "n" : ""} ${kind} is needed`] : [];
  });
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
