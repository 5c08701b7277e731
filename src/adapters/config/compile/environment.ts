import { dirname, isAbsolute, join } from "node:path";
import { parseEnvFile } from "../env-file.js";
import { errnoText } from "../expand.js";
import { NotUtf8 } from "../text-file.js";
import { placeFor, type Scene } from "./scene.js";

export type Environment = Readonly<Record<string, string | null>>;
type WrittenEnv = Readonly<Record<string, string | null>> | readonly string[] | undefined;
type WrittenFiles = string | readonly string[] | undefined;

/** Set for every process by the protocols they belong to. */
const reserved = [
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "LISTEN_PID",
  "NOTIFY_SOCKET",
  "PINGORA_ENTRY_ID",
  "PINGORA_ENTRY_CHANNEL",
];

type EnvScene = Pick<Scene, "complaints" | "places" | "readText">;

/** `base`, then the files in their order, then `env`. `path` is "" or "services.NAME". */
export function compileEnvironment(
  base: Environment,
  files: WrittenFiles,
  env: WrittenEnv,
  path: string,
  scene: EnvScene,
): Environment {
  const prefix = path === "" ? "" : `${path}.`;
  const result = new Map(Object.entries(base));
  for (const [i, file] of (typeof files === "string" ? [files] : (files ?? [])).entries()) {
    const at = typeof files === "string" ? `${prefix}envFiles` : `${prefix}envFiles[${i}]`;
    for (const [name, value] of readEnvFile(file, at, scene)) result.set(name, value);
  }
  for (const [name, value, at] of pairs(env, `${prefix}env`, scene)) {
    if (reserved.includes(name)) {
      scene.complaints.problem(
        placeFor(scene.places, at),
        at,
        `${name} is set by pingora-entry for each process and cannot be given`,
      );
    }
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
    } else complaints.problem(place, at, `cannot read "${path}": ${errnoText(error)}`);
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
  for (const [i, line] of env.entries()) {
    const at = `${path}[${i}]`;
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
