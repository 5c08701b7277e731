import { suggest } from "../../core/suggest.js";
import { type Complaints, meant } from "./complaints.js";
import type { ScalarNode } from "./node.js";
import { NotUtf8 } from "./text-file.js";

/** What `${...}` may ask for. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** @throws Error with an errno code */
  readonly readText: (path: string) => string;
}

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The value with `${VAR}`, `${VAR:-default}`, `${file:/path}` and `$$` replaced; a lone `$` stays. What could not be replaced is marked broken. */
export function expandScalar(node: ScalarNode, path: string, around: Surroundings, complaints: Complaints): ScalarNode {
  if (typeof node.value !== "string" || !node.value.includes("$")) return node;
  const result = expandText(node.value, around, (message, hint) => complaints.problem(node, path, message, hint));
  if (result === undefined) return { ...node, broken: true };
  if (result === node.value) return node;
  return { ...node, value: result, text: result, template: node.value, quoted: true };
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
      `cannot expand "\${${name}}"`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      'known are ${VAR}, ${VAR:-default} and ${file:/path}; "$${" is a literal "${"',
    );
    return undefined;
  }
  const value = Object.hasOwn(around.env, name) ? around.env[name] : undefined;
  if (value !== undefined && (value !== "" || separator === -1)) return value;
  if (separator !== -1) return expandText(inside.slice(separator + 2), around, refuse);
  const near = meant(suggest(name, Object.keys(around.env)));
  refuse(`the environment variable ${name} is not set`, near ?? `\${${name}:-default} gives a default`);
  return undefined;
}

function fileContent(
  path: string,
  around: Surroundings,
  refuse: (message: string, hint?: string) => void,
): string | undefined {
  if (!path.startsWith("/")) {
    refuse(`cannot expand "\${file:${path}}": the path is relative, an absolute one is needed`);
    return undefined;
  }
  try {
    return around.readText(path).replace(/\r?\n$/, "");
  } catch (error) {
    refuse(`cannot read "${path}": ${errnoText(error)}`);
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
  if (code === "ELOOP") return "too many symbolic links";
  return typeof code === "string" ? code : String(error);
}
