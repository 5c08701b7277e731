import { reachable, startWaves } from "../../../core/dependency-graph.js";
import type { Condition, ServiceSpec } from "../../../core/plan.js";
import { suggest } from "../../../core/suggest.js";
import { meant, quote } from "../complaints.js";
import type { Places } from "../read.js";
import type { WrittenService } from "../schema/service.js";
import { itemPaths, mainName, placeFor, type Scene } from "./scene.js";

type Undated = Omit<ServiceSpec, "dependsOn">;
type DependencyScene = Pick<Scene, "complaints" | "places">;

/** Names resolved and conditions judged; main, when it says nothing, comes after all others. */
export function compileDependencies(
  services: readonly Undated[],
  written: Readonly<Record<string, WrittenService>>,
  scene: DependencyScene,
): ServiceSpec[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  const resolved = services.map((service): ServiceSpec => {
    const dependsOn = new Map<string, Condition>();
    for (const [name, condition, path] of edges(service.name, written[service.name]?.dependsOn, scene.places)) {
      const target = byName.get(name);
      if (target === undefined) refuseUnknown(name, path, byName, scene);
      else if (dependsOn.has(name))
        scene.complaints.problem(placeFor(scene.places, path), path, `service ${quote(name)} is given twice`);
      else {
        refuseNever(target, condition, path, scene);
        dependsOn.set(name, normal(target, condition));
      }
    }
    return { ...service, dependsOn: Object.fromEntries(dependsOn) };
  });
  return written[mainName]?.dependsOn === undefined ? withMainLast(resolved) : resolved;
}

/** Start order of the services. Cycles are complained about, each by its path; their services stand in one wave. */
export function compileWaves(
  services: readonly ServiceSpec[],
  { complaints, places }: DependencyScene,
): readonly (readonly string[])[] {
  const order = startWaves(new Map(services.map((service) => [service.name, Object.keys(service.dependsOn)])));
  for (const cycle of order.cycles) {
    const [from = "", to = ""] = cycle;
    const path = edgePath(places, from, to);
    const message = from === to ? `service "${from}" depends on itself` : `dependency cycle ${cycle.join(" -> ")}`;
    complaints.problem(placeFor(places, path), path, message);
  }
  return order.waves;
}

/** Where "from needs to" is written. */
export function edgePath(places: Places, from: string, to: string): string {
  const base = `services.${from}.dependsOn`;
  const list = places.get(base)?.value;
  const index = list?.kind === "list" ? list.items.findIndex((item) => item.kind === "scalar" && item.text === to) : -1;
  return index === -1 ? `${base}.${to}` : `${base}[${index}]`;
}

function* edges(
  service: string,
  written: WrittenService["dependsOn"],
  places: Places,
): Generator<[string, Condition | undefined, string]> {
  if (written === undefined) return;
  const base = `services.${service}.dependsOn`;
  if (isList(written)) {
    const at = itemPaths(places, base);
    for (const [i, name] of written.entries()) yield [name, undefined, at(i)];
  } else {
    for (const [name, condition] of Object.entries(written)) yield [name, condition ?? undefined, `${base}.${name}`];
  }
}

function isList(written: NonNullable<WrittenService["dependsOn"]>): written is readonly string[] {
  return Array.isArray(written);
}

function refuseUnknown(
  name: string,
  path: string,
  known: ReadonlyMap<string, unknown>,
  { complaints, places }: DependencyScene,
): void {
  // a service that is there but was refused has been complained about
  if (places.has(`services.${name}`)) return;
  complaints.problem(
    placeFor(places, path),
    path,
    `unknown service ${quote(name)}`,
    meant(suggest(name, known.keys())),
  );
}

/** A oneshot that is ready has completed. */
function normal(target: Undated, condition: Condition | undefined): Condition {
  const asked = condition ?? "ready";
  return target.type === "oneshot" && asked === "ready" ? "completed" : asked;
}

function refuseNever(
  target: Undated,
  condition: Condition | undefined,
  path: string,
  { complaints, places }: DependencyScene,
): void {
  const say = (message: string, hint: string): void => complaints.problem(placeFor(places, path), path, message, hint);
  const { name } = target;
  if (condition === "completed" && target.type === "long-running" && target.restart.policy === "always") {
    say(
      `"${name}" never completes: it is long-running and always restarted`,
      `make it type: oneshot, or wait for it to be ready`,
    );
  }
  if (condition !== "healthy") return;
  if (target.type === "oneshot") say(`"${name}" is never healthy: it is a oneshot`, "wait for it to be completed");
  else if (target.livenessProbe === undefined)
    say(`"${name}" is never healthy: it has no livenessProbe`, "give it one, or wait for it to be ready");
}

/** Services that need main themselves are left out, and those that do not matter for readiness are only started. */
function withMainLast(services: readonly ServiceSpec[]): ServiceSpec[] {
  const needs = new Map(services.map((service) => [service.name, Object.keys(service.dependsOn)]));
  return services.map((service) => {
    if (service.name !== mainName) return service;
    const others = services.filter((other) => other.name !== mainName && !reachable(needs, other.name).has(mainName));
    const dependsOn = others.map((other): [string, Condition] => {
      if (!other.required) return [other.name, "started"];
      return [other.name, other.type === "oneshot" ? "completed" : "ready"];
    });
    return { ...service, dependsOn: Object.fromEntries(dependsOn) };
  });
}
