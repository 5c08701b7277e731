import { suggest } from "../../core/suggest.js";
import { type Complaints, keyWord, meant, quote, quotePath } from "./complaints.js";
import type { ScalarNode } from "./node.js";
import { NotUtf8 } from "./text-file.js";

/** What `${...}` may ask for. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** @throws Error with an errno code */
  readonly readText: (path: string) => string;
}

/** Arguments, variables and paths end at it. */
export const hasNul = "contains a NUL character, which no program can be given";

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The value with `${VAR}`, `${VAR:-default}`, `${file:/path}` and `$$` replaced; a lone `$` stays. What could not be replaced, or has a NUL character,
 * is marked broken.
 */
export function expandScalar(node: ScalarNode, path: string, around: Surroundings, complaints: Complaints): ScalarNode {
  const { value } = node;
  if (typeof value !== "string") return node;
  const refuse = (message: string, hint?: string): void => complaints.problem(node, path, message, hint);
  if (value.includes("\0")) {
    refuse(hasNul);
    return { ...node, broken: true };
  }
  if (!value.includes("$")) return node;
  const result = expandText(value, around, refuse);
  if (result?.includes("\0")) refuse(`the value of ${quote(value)} ${hasNul}`);
  if (result === undefined || result.includes("\0")) return { ...node, broken: true };
  if (result === value) return node;
  return { ...node, value: result, text: result, template: value, quoted: true };
}

/** The text with everything replaced; undefined when something could not be, which was refused. */
export function expandText(
  text: string,
  around: Surroundings,
  refuse: (message: string, hint?: string) => void,
): string | undefined {
  let out = "";
  let failed = false;
  for (let at = 0; at < text.length; ) {
    const dollar = text.indexOf("$", at);
    if (dollar === -1) return failed ? undefined : out + text.slice(at);
    out += text.slice(at, dollar);
    const following = text[dollar + 1];
    if (following === "{") {
      const end = closingBrace(text, dollar + 2);
      if (end === -1) {
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
        refuse('"${" is not closed with "}"', 'write "$${" for a literal "${"');
        return undefined;
      }
      const value = reference(text.slice(dollar + 2, end), around, refuse);
      if (value === undefined) failed = true;
      else out += value;
      at = end + 1;
    } else {
      out += "$";
      at = dollar + (following === "$" ? 2 : 1);
    }
  }
  return failed ? undefined : out;
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "$" && text[at + 1] === "{") {
      depth += 1;
      at += 1;
    } else if (text[at] === "}") {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

function reference(
  inside: string,
  around: Surroundings,
  refuse: (message: string, hint?: string) => void,
): string | undefined {
  if (inside.startsWith("file:")) return fileContent(inside.slice("file:".length), around, refuse);
  const separator = inside.indexOf(":-");
  const name = separator === -1 ? inside : inside.slice(0, separator);
  if (!variableName.test(name)) {
    refuse(
      `cannot expand ${quote(`\${${name}}`)}`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      'known are ${VAR}, ${VAR:-default} and ${file:/path}; "$${" is a literal "${"',
    );
    return undefined;
  }
  const value = Object.hasOwn(around.env, name) ? around.env[name] : undefined;
  if (value !== undefined && (value !== "" || separator === -1)) return value;
  if (separator !== -1) return expandText(inside.slice(separator + 2), around, refuse);
  const near = meant(suggest(name, Object.keys(around.env)));
  const fallback = name.length > 60 ? undefined : `\${${name}:-default} gives a default`;
  refuse(
    `the environment variable ${keyWord(name)} is not set`,
    near === undefined || fallback === undefined ? (near ?? fallback) : `${near} ${fallback}`,
  );
  return undefined;
}

function fileContent(
  path: string,
  around: Surroundings,
  refuse: (message: string, hint?: string) => void,
): string | undefined {
  if (!path.startsWith("/")) {
    const nested = path.includes("${");
    const why = nested ? "a path is taken as it is written" : "the path is relative, an absolute one is needed";
    refuse(`cannot expand ${quote(`\${file:${path}}`)}: ${why}`, nested ? "nothing can be nested in it" : undefined);
    return undefined;
  }
  try {
    return around.readText(path).replace(/\r?\n$/, "");
  } catch (error) {
    refuse(`cannot read ${quotePath(path)}: ${errnoText(error)}`);
    return undefined;
  }
}

/** An fs error in words. */
export function errnoText(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EISDIR") return "it is a directory";
  if (code === "ENOTREG") return "it is a pipe, a socket or a device, a file is needed";
  if (error instanceof NotUtf8) return error.message;
  if (code === "ENOTDIR") return "a part of its path is not a directory";
  if (code === "ENAMETOOLONG") return "a name in its path is too long";
  if (code === "ELOOP") return "too many symbolic links";
  return typeof code === "string" ? code : String(error);
}
