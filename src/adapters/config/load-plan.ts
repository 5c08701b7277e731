import { EntryError, type Problem, type Source } from "../../core/entry-error.js";
import type { ListenerSpec, Plan } from "../../core/plan.js";
import { suggest } from "../../core/suggest.js";
import { Accounts } from "./accounts.js";
import { compileDependencies, compileWaves } from "./compile/dependencies.js";
import { compileEnvironment } from "./compile/environment.js";
import { compileListener } from "./compile/listener.js";
import { judgeListeners } from "./compile/listeners-used.js";
import { assemblePlan } from "./compile/plan.js";
import { mainName, placeFor, type Scene } from "./compile/scene.js";
import { compileService } from "./compile/service.js";
import { refuseUnstoppable } from "./compile/shutdown-fits.js";
import { type Gathered, gatherComplaints, meant } from "./complaints.js";
import { type ConfigFiles, realFiles } from "./config-files.js";
import { configPaths, type NamedText, parseLayer, readFiles } from "./layers.js";
import { mergeMaps } from "./merge.js";
import { type ConfigNode, emptyMap, isNull, type MapNode, placeOf } from "./node.js";
import { plainValue } from "./plain-value.js";
import { type Places, type Reading, read } from "./read.js";
import type { WrittenListener } from "./schema/listener.js";
import { pingoraIgnored } from "./schema/pingora.js";
import { rootKeys, structures } from "./schema/root.js";
import { service as serviceShape, type WrittenService } from "./schema/service.js";
import { type AllSettings, allSettings, readSettings } from "./settings.js";
import type { Shape } from "./shape.js";

/** What the command line says; nothing else of it concerns the configuration. */
export interface LoadOptions {
  /** -c, in order: files and directories, later ones override */
  readonly conf?: readonly string[];
  /** CMD and its arguments; empty: none */
  readonly command?: readonly string[];
  readonly daemon?: boolean;
  readonly upgrade?: boolean;
  readonly test?: boolean;
}

export interface LoadInput {
  readonly options?: LoadOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** the real file system when left out */
  readonly files?: ConfigFiles;
  /** configurations that are no files (library); when given, no file is looked for unless `options.conf` names it */
  readonly texts?: readonly NamedText[];
}

/** The resolved configuration as plain data, in the words and units of the file. It holds secrets: print it with `configurationYaml` only. */
export interface Configuration extends AllSettings {
  readonly services: Readonly<Record<string, WrittenService>>;
  readonly listeners: Readonly<Record<string, WrittenListener>>;
  readonly env: Readonly<Record<string, string | null>>;
  /** pingora's keys that mean nothing here, as they were written */
  readonly ignored: Readonly<Record<string, unknown>>;
}

export interface Loaded {
  readonly plan: Plan;
  readonly configuration: Configuration;
  readonly options: Required<LoadOptions>;
  /** names of the files that were read, in order */
  readonly files: readonly string[];
  /** equal for equal configurations */
  readonly fingerprint: () => string;
  /** will surprise an operator: one log line each at warn */
  readonly warnings: readonly Problem[];
  /** one log line each at info */
  readonly notices: readonly Problem[];
  /** where the value of a path ("services.web.command") was written; undefined for defaults */
  readonly sourceOf: (path: string) => Source | undefined;
}

/**
 * Reads all layers and compiles them: defaults < files < PINGORA_ENTRY_... variables < options.
 * @throws EntryError config, with every problem and its place
 */
export async function loadPlan(input: LoadInput): Promise<Loaded> {
  const { env, files = realFiles } = input;
  const options = { conf: [], command: [], daemon: false, upgrade: false, test: false, ...input.options };
  const complaints = gatherComplaints();
  const paths = input.texts !== undefined && options.conf.length === 0 ? [] : configPaths(options.conf, env, files);
  const texts = [...readFiles(paths, files, complaints), ...(input.texts ?? [])];
  const layers: MapNode[] = [];
  let readable = complaints.problems.length === 0;
  for (const text of texts) {
    const layer = await parseLayer(text, complaints);
    if (layer === undefined) readable = false;
    else layers.push(layer);
  }
  // what is missing in a text that cannot be read would be complained about in the others
  if (!readable) throw failure(complaints, texts);

  const root = layers.reduce(mergeMaps, emptyMap({ origin: { name: "the configuration" }, offset: 0 }));
  const places: Places = new Map();
  const readText = (path: string): string => files.readText(path);
  const reading = { complaints, places, around: { env, readText } };
  judgeTopLevel(root, complaints);
  noticeVariables(env, complaints);
  const overrides = new Map(options.daemon ? [["daemon", { value: true, option: "--daemon" }] as const] : []);
  const settings = readSettings(root, overrides, reading);
  const written = readStructures(root, options.command, reading);

  const listeners = new Map<string, ListenerSpec>();
  for (const [name, listener] of Object.entries(written.listeners)) {
    const spec = compileListener(name, listener, { complaints, places });
    if (spec !== undefined) listeners.set(name, spec);
  }
  const sharedEnv = compileEnvironment({}, written.envFiles, written.env, "", { complaints, places, readText });
  const scene: Scene = {
    complaints,
    places,
    settings,
    listeners,
    accounts: new Accounts(readText),
    readText,
    sharedEnv,
  };
  const undated = Object.entries(written.services).map(([name, service]) =>
    compileService(name, service, name === mainName && options.command.length > 0 ? options.command : undefined, scene),
  );
  const services = compileDependencies(undated, written.services, scene);
  const waves = compileWaves(services, scene);
  const inPod = (env.KUBERNETES_SERVICE_HOST ?? "") !== "";
  const hasTerminationLog = files.kind("/dev/termination-log") === "file";
  const plan = assemblePlan({
    services,
    listeners: [...listeners.values()],
    waves,
    settings,
    inPod,
    hasTerminationLog,
  });
  judgeListeners(plan, scene);
  refuseUnstoppable(plan, scene);
  if (complaints.problems.length > 0) throw failure(complaints, texts);

  const configuration = {
    ...settings,
    services: written.services,
    listeners: written.listeners,
    env: sharedEnv,
    ignored: ignoredOf(root),
  };
  return {
    plan,
    configuration,
    options,
    files: texts.map(({ name }) => name),
    fingerprint: () => fingerprint(JSON.stringify([configuration, options.command])),
    warnings: complaints.warnings,
    notices: complaints.notices,
    sourceOf: (path) => {
      const place = places.get(path)?.value;
      return place === undefined ? undefined : placeOf(place);
    },
  };
}

/** Unknown keys are mistakes; keys beginning with x- are the user's own (for anchors); pingora's other keys are named once. */
function judgeTopLevel(root: MapNode, complaints: Gathered): void {
  const ignored: string[] = [];
  for (const [name, entry] of root.entries) {
    if (rootKeys.includes(name)) {
      if (Object.hasOwn(pingoraIgnored, name) && name !== "version") ignored.push(name);
    } else if (!name.startsWith("x-")) {
      const service = serviceLike(entry.value) ? "a service belongs under services" : undefined;
      complaints.problem(entry.key, name, "unknown key", meant(suggest(name, rootKeys)) ?? service);
    }
  }
  if (ignored.length === 0) return;
  const place = root.entries.get(ignored[0] ?? "")?.key;
  complaints.notice(place, "", `keys of pingora's that mean nothing here: ${ignored.join(", ")}`);
}

function serviceLike(node: ConfigNode): boolean {
  return (
    node.kind === "map" && Object.keys(serviceShape.keys).some((key) => key !== "listeners" && node.entries.has(key))
  );
}

/** Kubernetes sets PINGORA_ENTRY_... itself for a Service of that name, so an unknown variable is no mistake; a near miss is worth a line. */
function noticeVariables(env: Readonly<Record<string, string | undefined>>, complaints: Gathered): void {
  const known = allSettings.map(({ variable }) => variable);
  for (const name of Object.keys(env)) {
    if (!name.startsWith("PINGORA_ENTRY_") || known.includes(name) || own.includes(name)) continue;
    const near = suggest(
      name.slice("PINGORA_ENTRY_".length),
      known.map((variable) => variable.slice("PINGORA_ENTRY_".length)),
    );
    if (near === undefined) continue;
    complaints.notice(
      { origin: { name }, offset: 0 },
      "",
      `${name} is no setting and was passed over`,
      meant(`PINGORA_ENTRY_${near}`),
    );
  }
}

/** Variables with a meaning that is no setting. */
const own = ["CHANNEL", "ID", "HOME", "UPGRADE", "CONF", "SUPERVISOR"].map((name) => `PINGORA_ENTRY_${name}`);

interface Structures {
  readonly services: Readonly<Record<string, WrittenService>>;
  readonly listeners: Readonly<Record<string, WrittenListener>>;
  readonly env: Readonly<Record<string, string | null>> | readonly string[] | undefined;
  readonly envFiles: string | readonly string[] | undefined;
}

function readStructures(root: MapNode, command: readonly string[], reading: Reading): Structures {
  const { complaints, places } = reading;
  const part = <T>(name: keyof typeof structures, shape: Shape<T>): T | undefined => {
    const entry = root.entries.get(name);
    if (entry === undefined || isNull(entry.value)) return undefined;
    places.set(name, entry);
    return read(shape, entry.value, name, reading);
  };
  const listeners = part("listeners", structures.listeners.shape as Shape<Record<string, WrittenListener>>) ?? {};
  const services = part("services", structures.services.shape as Shape<Record<string, WrittenService>>) ?? {};
  if (command.length > 0 && places.has(`services.${mainName}.command`)) {
    const at = `services.${mainName}.command`;
    complaints.problem(
      placeFor(places, at),
      at,
      `main has a command here and on the command line (${command[0]})`,
      "give one of them, or rename the service",
    );
  }
  const commanded = command.length > 0 && services[mainName] === undefined ? withMain(services, reading) : services;
  return {
    listeners,
    services: commanded,
    env: part("env", structures.env.shape as Shape<NonNullable<Structures["env"]>>),
    envFiles: part("envFiles", structures.envFiles.shape as Shape<NonNullable<Structures["envFiles"]>>),
  };
}

/** main as the command line asks for it: a service with nothing but defaults. */
function withMain(services: Structures["services"], reading: Reading): Structures["services"] {
  const { places } = reading;
  if (places.has(`services.${mainName}`)) return services;
  const place = { origin: { name: "the command line" }, offset: 0 };
  const node = emptyMap(place);
  places.set(`services.${mainName}`, { key: place, value: node });
  const main = read(serviceShape as Shape<WrittenService>, node, `services.${mainName}`, reading);
  return main === undefined ? services : { ...services, [mainName]: main };
}

function ignoredOf(root: MapNode): Record<string, unknown> {
  return Object.fromEntries(
    [...root.entries]
      .filter(([name]) => Object.hasOwn(pingoraIgnored, name))
      .map(([name, { value }]) => [name, plainValue(value)]),
  );
}

function failure({ problems }: Gathered, texts: readonly NamedText[]): EntryError {
  const at = (problem: Problem): readonly number[] => [
    rank(problem, texts),
    problem.source?.line ?? 0,
    problem.source?.column ?? 0,
  ];
  const sorted = [...problems].sort((a, b) => {
    const [left, right] = [at(a), at(b)];
    return left.map((value, i) => value - (right[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
  });
  const faulty = [...new Set(sorted.flatMap(({ source }) => (source?.line === undefined ? [] : [`"${source.name}"`])))];
  const what = faulty.length === 0 || faulty.length > 3 ? "the configuration" : faulty.join(" and ");
  const count = `${problems.length} ${problems.length === 1 ? "problem" : "problems"}`;
  return new EntryError("config", `cannot use ${what}: ${count}`, { problems: sorted });
}

/** Files in their order, then variables and options. */
function rank(problem: Problem, texts: readonly NamedText[]): number {
  const index = texts.findIndex(({ name }) => name === problem.source?.name);
  return index === -1 ? texts.length : index;
}

/** 53 bits are plenty to tell configurations apart; nothing secret is protected by it. */
function fingerprint(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    a = Math.imul(a ^ char, 2654435761);
    b = Math.imul(b ^ char, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16).padStart(14, "0");
}
