import type { Problem, Source } from "../../core/entry-error.js";
import type { ListenerSpec, Plan } from "../../core/plan.js";
import { Accounts } from "./accounts.js";
import { compileDependencies, compileWaves } from "./compile/dependencies.js";
import { compileEnvironment } from "./compile/environment.js";
import { compileListener } from "./compile/listener.js";
import { judgeListeners } from "./compile/listeners-used.js";
import { assemblePlan } from "./compile/plan.js";
import { mainName, type Scene } from "./compile/scene.js";
import { compileService } from "./compile/service.js";
import { setForAll } from "./compile/set-variables.js";
import { refuseUnstoppable } from "./compile/shutdown-fits.js";
import { gatherComplaints } from "./complaints.js";
import { type ConfigFiles, realFiles } from "./config-files.js";
import { failure } from "./failure.js";
import { fingerprint } from "./fingerprint.js";
import { configPaths, type NamedText, parseLayer, readFiles } from "./layers.js";
import { mergeMaps } from "./merge.js";
import { emptyMap, type MapNode, placeOf } from "./node.js";
import { plainValue } from "./plain-value.js";
import type { Places } from "./read.js";
import type { WrittenListener } from "./schema/listener.js";
import { pingoraIgnored } from "./schema/pingora.js";
import type { WrittenService } from "./schema/service.js";
import { type AllSettings, readSettings } from "./settings.js";
import { readStructures } from "./structures.js";
import { judgeTopLevel, noticeVariables } from "./top-level.js";

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
  /** the server that the services are for (library): its listeners can be named, its grace is what they have to fit into */
  readonly server?: Pick<Plan, "listeners" | "shutdown">;
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
  const settings = readSettings(root, reading);
  const written = readStructures(root, options.command, reading);

  const listeners = new Map<string, ListenerSpec>(input.server?.listeners.map((spec) => [spec.name, spec]));
  for (const [name, listener] of Object.entries(written.listeners)) {
    const spec = compileListener(name, listener, { complaints, places });
    if (spec !== undefined) listeners.set(name, spec);
  }
  const sharedEnv = compileEnvironment({}, written.envFiles, written.env, "", setForAll, {
    complaints,
    places,
    readText,
  });
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
  const assembled = assemblePlan({
    services,
    listeners: [...listeners.values()],
    waves,
    settings,
    daemon: options.daemon,
    inPod,
    hasTerminationLog,
  });
  const plan = input.server === undefined ? assembled : { ...assembled, shutdown: input.server.shutdown };
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

function ignoredOf(root: MapNode): Record<string, unknown> {
  return Object.fromEntries(
    [...root.entries]
      .filter(([name]) => Object.hasOwn(pingoraIgnored, name))
      .map(([name, { value }]) => [name, plainValue(value)]),
  );
}
