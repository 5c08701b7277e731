import { join } from "node:path";
import { type Complaints, quotePath } from "./complaints.js";
import type { ConfigFiles } from "./config-files.js";
import { errnoText } from "./expand.js";
import { emptyMap, isBlank, type MapNode, type Origin } from "./node.js";
import { readText } from "./read-text.js";
import { NotUtf8 } from "./text-file.js";

/** Read when no file is named and it exists, or may not be looked at. */
export const defaultPath = "/etc/pingora-entry/config.yaml";

/** A text this long was not written as a configuration. */
const sizeLimit = 1024 * 1024;

export interface NamedText {
  readonly name: string;
  readonly text: string;
}

interface NamedPath {
  readonly path: string;
  /** what named it: an option or a variable */
  readonly by: Origin;
}

/** Paths to read, in order: options, else PINGORA_ENTRY_CONF (separated by colons), else the default file when there is one. */
export function configPaths(
  conf: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  files: ConfigFiles,
): NamedPath[] {
  if (conf.length > 0) return conf.map((path) => ({ path, by: { name: "--conf" } }));
  const variable = env.PINGORA_ENTRY_CONF;
  if (variable !== undefined && variable !== "") {
    const by = { name: "PINGORA_ENTRY_CONF" };
    return variable
      .split(":")
      .filter((path) => path !== "")
      .map((path) => ({ path, by }));
  }
  return files.kind(defaultPath) === "file" ? [{ path: defaultPath, by: { name: "the default file" } }] : [];
}

/** The texts of all files; a directory gives its *.yaml, *.yml and *.json in the order of their names. */
export function readFiles(paths: readonly NamedPath[], files: ConfigFiles, complaints: Complaints): NamedText[] {
  return paths.flatMap(({ path, by }) => {
    const kind = path === "" ? undefined : files.kind(path);
    const place = { origin: by, offset: 0 };
    let names = [path];
    if (kind === "directory") {
      try {
        names = configNames(files.names(path)).map((name) => join(path, name));
      } catch (error) {
        complaints.problem(place, "", `cannot read ${quotePath(path)}: ${errnoText(error)}`);
        return [];
      }
      if (names.length === 0) complaints.warning(place, "", `${path} has no *.yaml, *.yml or *.json file`);
    }
    return names.flatMap((name) => {
      try {
        return [{ name, text: files.readText(name) }];
      } catch (error) {
        if (error instanceof NotUtf8) {
          const { text, offset } = error;
          complaints.problem({ origin: { name, text }, offset }, "", "this is not UTF-8, the configuration has to be");
        } else complaints.problem(place, "", `cannot read ${quotePath(name)}: ${errnoText(error)}`);
        return [];
      }
    });
  });
}

function configNames(names: readonly string[]): string[] {
  // a ConfigMap's mount has ..data and friends beside the files
  return names.filter((name) => /\.(ya?ml|json)$/.test(name) && !name.startsWith(".")).sort();
}

/** One text as a map, an empty one when it says nothing; undefined when it is no configuration at all, which is complained about. */
export async function parseLayer({ name, text }: NamedText, complaints: Complaints): Promise<MapNode | undefined> {
  const origin = { name, text: text.replace(/^\uFEFF/, "") };
  const start = { origin, offset: 0 };
  if (text.length > sizeLimit) {
    complaints.problem(start, "", `has ${text.length} characters, at most ${sizeLimit} are read`);
    return undefined;
  }
  const node = await readText(origin, complaints);
  if (node === "unreadable") return undefined;
  if (node === undefined || isBlank(node)) return emptyMap(start);
  if (node.kind === "map") return node;
  complaints.problem(
    node,
    "",
    `found a ${node.kind === "list" ? "list" : "single value"}, a map such as "services: ..." is needed`,
  );
  return undefined;
}
