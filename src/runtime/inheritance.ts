import { type ServicesLeft, strategyLeft } from "../core/services-left.js";
import { upgradePart } from "../core/upgrade-part.js";
import { fulfils, hasProcess, isGoing, isReady, type Member } from "./member.js";
import type { Log } from "./ports.js";

/** The services of a generation, by name. */
type Members = ReadonlyMap<string, Member>;

/** What a successor has to know of them. */
export function servicesLeft(members: Members): ServicesLeft {
  const namesOf = (which: (member: Member) => boolean) =>
    [...members.values()].filter(which).map(({ spec }) => spec.name);
  return {
    completed: namesOf((member) => member.spec.type === "oneshot" && isReady(member)),
    running: namesOf(isGoing),
    held: namesOf(({ held, yielded }) => held && !yielded),
    strategies: Object.fromEntries(
      [...members.values()]
        .filter(({ spec }) => spec.type === "long-running")
        .map(({ spec }) => [spec.name, spec.upgrade.strategy]),
    ),
  };
}

/** A oneshot that a successor might skip, and is not done with. */
export function unfinishedOneshot(members: Members): string | undefined {
  const skips = (member: Member) => upgradePart(member.spec) === "skipped" && hasProcess(member);
  return [...members.values()].find(skips)?.spec.name;
}

/**
 * As a successor, before anything starts: what the old generation has completed is skipped, if it may be, and what was stopped by request there
 * stays so. Undefined: it does not tell, and is taken to have completed all. @returns why this generation must not go on
 */
export function inheritServices(
  members: Members,
  left: ServicesLeft | undefined,
  log: Pick<Log, "warn">,
): string | undefined {
  for (const member of members.values()) {
    const { name } = member.spec;
    member.goesOn = left?.running.includes(name) ?? false;
    if (left?.held.includes(name)) {
      member.held = true;
      member.excused = false;
      for (const instance of member.instances) instance.keepStopped(left.completed.includes(name));
      continue;
    }
    if (left !== undefined) joinStrategies(member, left, log);
    if (upgradePart(member.spec) !== "skipped") continue;
    if (left?.running.includes(name)) return `oneshot ${name} still runs in the old generation (onUpgrade: skip)`;
    if (left === undefined)
      log.warn(`${name} is skipped (onUpgrade: skip): the old generation does not tell whether it has completed it`);
    if (left?.completed.includes(name) ?? true) for (const instance of member.instances) instance.skip();
  }
  return stuck(members);
}

/**
 * When one of the two generations says that only one process can have what a service has, or only one would hand over by itself, the old one's
 * must have ended before the new one's starts.
 */
function joinStrategies(member: Member, left: ServicesLeft, log: Pick<Log, "warn">): void {
  const { name, type, upgrade } = member.spec;
  const before = strategyLeft(left, name);
  if (type === "oneshot") return;
  member.handsOver = upgrade.strategy === "own" && member.goesOn === true && (before ?? "own") === "own";
  if (before === undefined || before === upgrade.strategy) return;
  log.warn(
    `${name} has strategy ${upgrade.strategy}, and ${before} in the old generation: the old one is stopped before the new one starts`,
  );
  member.afterOld = true;
  member.excused = true;
  member.preflight = undefined;
}

/** What is required, and could never start, as long as what it depends on stays stopped. */
function stuck(members: Members): string | undefined {
  for (const member of members.values()) {
    const waits = member.spec.required && !member.held && !isReady(member);
    const by = waits ? stoppedBelow(member, members) : undefined;
    if (by !== undefined)
      return `service ${member.spec.name} depends on ${by.spec.name}, which has been stopped by request`;
  }
  return undefined;
}

function stoppedBelow({ spec, goesOn }: Member, members: Members): Member | undefined {
  for (const [name, condition] of Object.entries(spec.dependsOn)) {
    const dependency = members.get(name);
    if (dependency === undefined || fulfils(dependency, condition)) continue;
    if (dependency.held && goesOn) continue;
    const by = dependency.held ? dependency : stoppedBelow(dependency, members);
    if (by !== undefined) return by;
  }
  return undefined;
}
