import type {
  GenerationView,
  InstanceView,
  ServiceStateName,
  ServiceView,
  ShutdownView,
  Snapshot,
} from "../core/snapshot.js";
import { type Colour, paint } from "../core/terminal-colour.js";
import { readiness } from "../core/views.js";
import { durationText } from "./duration-text.js";
import { type Cell, cutPainted, table } from "./paint.js";

export interface StatusLook {
  /** wall clock, milliseconds: what durations end at */
  readonly now: number;
  readonly colours: boolean;
  /** columns of the terminal; undefined: cut nothing */
  readonly width?: number;
}

const stateColours: Readonly<Record<ServiceStateName, Colour | undefined>> = {
  Waiting: "dim",
  Starting: "yellow",
  Ready: "green",
  Stopping: "yellow",
  Stopped: "dim",
  Backoff: "red",
  Failed: "red",
};

/** What `pingora-entry status` shows, as lines. */
export function statusLines(snapshot: Snapshot, look: StatusLook): string[] {
  const lines = [headline(snapshot, look), cutLine(about(snapshot, look), look)];
  lines.push(...upgradeLines(snapshot, look));
  if (snapshot.shutdown !== undefined) lines.push("", ...shutdownLines(snapshot.shutdown, look));
  lines.push(...drainLines(snapshot, look));
  if (snapshot.services.length > 0) lines.push("", ...serviceLines(snapshot.services, look));
  if (snapshot.listeners.length > 0) lines.push("", ...listenerLines(snapshot, look));
  const { width } = look;
  return width === undefined ? lines : lines.map((line) => cutPainted(line, width));
}

function headline(snapshot: Snapshot, { now, colours }: StatusLook): string {
  const { ok } = readiness(snapshot);
  const over = snapshot.exitCode === undefined ? "" : `, exit code ${snapshot.exitCode}`;
  const ready = paint(ok ? "ready" : "not ready", ok ? "green" : "red", colours);
  return `${paint(snapshot.phase, "bold", colours)} for ${durationText(now - snapshot.phaseSince)}, ${ready}${over}`;
}

function about(snapshot: Snapshot, { now }: StatusLook): string {
  const { version, release, generation, pid, startedAt, supervisorRestarts, orphansReaped } = snapshot;
  const facts = [
    `pingora-entry ${version}`,
    release === "" ? "" : `release ${release}`,
    generation > 1 ? `generation ${generation}` : "",
    `supervisor pid ${pid}`,
    `up ${durationText(now - startedAt)}`,
    supervisorRestarts > 0 ? `${count(supervisorRestarts, "supervisor restart")}` : "",
    orphansReaped > 0 ? `${count(orphansReaped, "orphan")} reaped` : "",
  ];
  return facts.filter((fact) => fact !== "").join(", ");
}

/** The other generations, and how the last upgrade ended. */
function upgradeLines({ upgrade, draining = [], lastUpgrade }: Snapshot, { now, colours }: StatusLook): string[] {
  const lines: string[] = [];
  if (upgrade !== undefined) {
    const { role, step, peer, since, until } = upgrade;
    const what =
      role === "old" ? `being replaced by ${generationText(peer)}` : `taking over from ${generationText(peer)}`;
    const left = until === undefined ? "" : `, ${durationText(until - now)} left`;
    lines.push(`upgrade: ${what}: ${paint(step, "yellow", colours)} for ${durationText(now - since)}${left}`);
  }
  for (const old of draining) {
    const { pid, connections, deadlineAt } = old;
    const open = connections === undefined ? "" : `, ${count(connections, "connection")} open`;
    const left = deadlineAt === undefined ? "" : `, killed in ${durationText(deadlineAt - now)}`;
    lines.push(`${generationText(old)} ends its services${pid === 0 ? "" : `, pid ${pid}`}${open}${left}`);
  }
  if (lastUpgrade !== undefined && upgrade === undefined) {
    const { result, reason, at, generation, warnings } = lastUpgrade;
    const ago = `${durationText(now - at)} ago`;
    if (result === "completed") lines.push(`last upgrade: completed ${ago}, generation ${generation} serves`);
    else lines.push(paint(`last upgrade: ${result.replace("-", " ")} ${ago}: ${reason}`, "red", colours));
    lines.push(...warnings.map((warning) => paint(`  warning: ${warning}`, "yellow", colours)));
  }
  return lines;
}

function generationText({ generation, release }: GenerationView): string {
  return release === "" ? `generation ${generation}` : `generation ${generation} (${release})`;
}

function shutdownLines(shutdown: ShutdownView, { now, colours, width }: StatusLook): string[] {
  const { cause, requestedAt, deadlineAt, lameDuckUntil, waves, killed } = shutdown;
  const left = paint(durationText(deadlineAt - now), deadlineAt - now < 5_000 ? "red" : "yellow", colours);
  const lines = [`stopping: ${cause}, ${durationText(now - requestedAt)} ago; ${left} left`];
  const duck = lameDuckUntil !== undefined && lameDuckUntil > now;
  if (duck) lines.push(`  lame duck: serving on for ${durationText(lameDuckUntil - now)}`);
  const current = duck ? -1 : waves.findIndex((wave) => !wave.done);
  const rows = waves.map((wave, index): Cell[] => [
    { text: wave.done ? "  done" : index === current ? "  now" : "  then", colour: wave.done ? "dim" : undefined },
    { text: wave.done ? "" : `killed in ${durationText(wave.deadlineAt - now)}` },
    { text: wave.services.join(", ") },
  ]);
  lines.push(...table(rows, colours, width));
  if (killed.length > 0) lines.push(paint(`  had to be killed: ${killed.join(", ")}`, "red", colours));
  return lines;
}

/** While processes stop, and for a stop of the whole server until its end. */
function drainLines({ drains = [], shutdown }: Snapshot, { colours }: StatusLook): string[] {
  const since = shutdown?.requestedAt ?? Number.POSITIVE_INFINITY;
  return drains
    .filter((drain) => !drain.done || drain.since >= since)
    .map(({ listener, connections, drained, cut }) => {
      const open = connections > 0 ? `${count(connections, "connection")} open, ` : "";
      const text = `  listener ${listener}: ${open}${drained} drained, ${cut} cut`;
      return cut > 0 ? paint(text, "red", colours) : text;
    });
}

function serviceLines(services: readonly ServiceView[], look: StatusLook): string[] {
  const head = ["SERVICE", "STATE", "READY", "RESTARTS", "PID", "SINCE", "REASON"].map(
    (text): Cell => ({ text, colour: "dim" }),
  );
  const rows = services.flatMap((service): Cell[][] => [
    serviceRow(service, look),
    ...(service.instances.length > 1 ? service.instances.map((instance) => instanceRow(instance, look)) : []),
  ]);
  return table([head, ...rows], look.colours, look.width);
}

function serviceRow(service: ServiceView, look: StatusLook): Cell[] {
  const [only, ...others] = service.instances;
  const single = others.length === 0 ? only : undefined;
  const restarts = service.instances.reduce((sum, instance) => sum + instance.restarts, 0);
  const ready = service.ready ? "yes" : service.required ? "no" : "no (optional)";
  return [
    { text: service.name },
    { text: service.state, colour: stateColours[service.state] },
    { text: ready, colour: service.ready ? "green" : service.required ? "red" : "dim" },
    { text: `${restarts}`, colour: restarts > 0 ? "yellow" : "dim" },
    { text: `${single?.pid ?? "-"}` },
    { text: durationText(look.now - service.since) },
    { text: single === undefined ? service.reason : reasonText(single, service.reason, look) },
  ];
}

function instanceRow(instance: InstanceView, look: StatusLook): Cell[] {
  return [
    { text: `  ${instance.id}` },
    { text: instance.state, colour: stateColours[instance.state] },
    { text: "" },
    { text: `${instance.restarts}`, colour: instance.restarts > 0 ? "yellow" : "dim" },
    { text: `${instance.pid ?? "-"}` },
    { text: durationText(look.now - instance.since) },
    { text: reasonText(instance, instance.reason, look) },
  ];
}

/** The reason, what comes next and when, and how it ended last time. */
function reasonText(
  { state, until, lastExit, output = "" }: InstanceView,
  reason: string,
  { now }: StatusLook,
): string {
  const next = state === "Backoff" ? "again" : "killed";
  const due = until === undefined ? "" : `${next} in ${durationText(until - now)}`;
  const running = state === "Ready" || state === "Starting";
  const exit =
    lastExit === undefined || !running ? "" : `last ${exitText(lastExit)}, ${durationText(now - lastExit.at)} ago`;
  const words = [reason, output].filter((part) => part !== "").join(": ");
  return [words, due, exit].filter((part) => part !== "").join("; ");
}

function exitText({ code, signal }: NonNullable<InstanceView["lastExit"]>): string {
  return signal === undefined ? `exit code ${code}` : `death of ${signal}`;
}

function listenerLines({ listeners }: Snapshot, { colours, width }: StatusLook): string[] {
  const head = ["LISTENER", "ADDRESS", "SERVICES"].map((text): Cell => ({ text, colour: "dim" }));
  const rows = listeners.map(({ name, address, services, waits }) => [
    { text: name },
    { text: address },
    waits === undefined ? { text: services.join(", ") } : { text: `not open: ${waits}`, colour: "red" as const },
  ]);
  return table([head, ...rows], colours, width);
}

function cutLine(line: string, { colours, width }: StatusLook): string {
  return table([[{ text: line, colour: "dim" }]], colours, width)[0] ?? "";
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
