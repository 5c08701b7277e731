import { dirname, isAbsolute, join } from "node:path";
import { quotePath } from "../complaints.js";
import { parseEnvFile } from "../env-file.js";
import { errnoText } from "../expand.js";
import { NotUtf8 } from "../text-file.js";
import { itemPaths, placeFor, type Scene } from "./scene.js";
import type { SetVariables } from "./set-variables.js";

export type Environment = Readonly<Record<string, string | null>>;
type WrittenEnv = Readonly<Record<string, string | null>> | readonly string[] | undefined;
type WrittenFiles = string | readonly string[] | undefined;

type EnvScene = Pick<Scene, "complaints" | "places" | "readText">;

/** `base`, then the files in their order, then `env`. `path` is "" or "services.NAME"; what is among `set` cannot be given. */
export function compileEnvironment(
  base: Environment,
  files: WrittenFiles,
  env: WrittenEnv,
  path: string,
  set: SetVariables,
  scene: EnvScene,
): Environment {
  const prefix = path === "" ? "" : `${path}.`;
  const result = new Map(Object.entries(base));
  const refuseSet = (name: string, at: string, subject: string): void => {
    const owner = set.get(name);
    if (owner === undefined) return;
    const message = `${subject} is set by ${owner} for each process and cannot be given`;
    scene.complaints.problem(placeFor(scene.places, at), at, message);
  };
  const fileItem = itemPaths(scene.places, `${prefix}envFiles`);
  for (const [i, file] of (typeof files === "string" ? [files] : (files ?? [])).entries()) {
    const at = typeof files === "string" ? `${prefix}envFiles` : fileItem(i);
    for (const [name, value] of readEnvFile(file, at, scene)) {
      refuseSet(name, at, `${name}, which is in ${quotePath(file)},`);
      result.set(name, value);
    }
  }
  for (const [name, value, at] of pairs(env, `${prefix}env`, scene)) {
    refuseSet(name, at, name);
    result.set(name, value);
  }
  return Object.fromEntries(result);
}

function readEnvFile(
  file: string,
  at: string,
  { complaints, places, readText }: EnvScene,
): ReadonlyMap<string, string> {
  const place = placeFor(places, at);
  // relative to the file that names it
  const path = place?.origin.text === undefined || isAbsolute(file) ? file : join(dirname(place.origin.name), file);
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    if (error instanceof NotUtf8) {
      const origin = { name: path, text: error.text };
      complaints.problem({ origin, offset: error.offset }, "", "this is not UTF-8", `it is read because of ${at}`);
    } else complaints.problem(place, at, `cannot read ${quotePath(path)}: ${errnoText(error)}`);
    return new Map();
  }
  const { values, mistakes } = parseEnvFile(text);
  for (const { line, message } of mistakes) {
    const offset =
      text
        .split("\n")
        .slice(0, line - 1)
        .join("\n").length + (line > 1 ? 1 : 0);
    complaints.problem(
      { origin: { name: path, text }, offset },
      "",
      `this line ${message}`,
      `it is read because of ${at}`,
    );
  }
  return values;
}

function* pairs(
  env: WrittenEnv,
  path: string,
  { complaints, places }: EnvScene,
): Generator<[string, string | null, string]> {
  if (env === undefined) return;
  if (!isList(env)) {
    for (const [name, value] of Object.entries(env)) yield [name, value, `${path}.${name}`];
    return;
  }
  const seen = new Set<string>();
  const item = itemPaths(places, path);
  for (const [i, line] of env.entries()) {
    const at = item(i);
    const equals = line.indexOf("=");
    const name = line.slice(0, equals);
    if (equals === -1 || !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      complaints.problem(placeFor(places, at), at, "is not NAME=value");
    } else if (seen.has(name)) {
      complaints.problem(placeFor(places, at), at, `${name} is given twice`);
    } else {
      seen.add(name);
      yield [name, line.slice(equals + 1), at];
    }
  }
}

function isList(env: NonNullable<WrittenEnv>): env is readonly string[] {
  return Array.isArray(env);
}
