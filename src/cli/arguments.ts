import { type ParseArgsConfig, parseArgs } from "node:util";
import { EntryError } from "../core/entry-error.js";
import { suggest } from "../core/suggest.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * Options and words of a client command, anywhere among each other; everything after `--` is a word.
 * @throws EntryError usage: an unknown option, with the one that was probably meant; a value that is missing or not wanted
 */
export function readArguments<T extends Options>(name: string, args: readonly string[], options: T) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { values, words: positionals };
  } catch (error) {
    throw new EntryError("usage", `${argumentsProblem(error, args, options)}; see pingora-entry help ${name}`);
  }
}

/** What `parseArgs` threw for `args`, in one line of ours. */
export function argumentsProblem(error: unknown, args: readonly string[], options: Options): string {
  const message = error instanceof Error ? error.message : String(error);
  // "Option '-n, --tail <value>' argument missing", "Unknown option '--jsn'", "Option '-n' argument is ambiguous.\nDid you forget ..."
  const option = /'(?:-\w, )?(-[^\s',]+)/.exec(message)?.[1] ?? "";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const near = suggest(option.replace(/^-+/, ""), Object.keys(options));
    return `unknown option "${option}"${near === undefined ? "" : `; did you mean "--${near}"?`}`;
  }
  if (message.includes("argument is ambiguous")) {
    const value = args[args.indexOf(option) + 1] ?? "";
    const joined = option.startsWith("--") ? `${option}=${value}` : `${option}${value}`;
    return `option "${option}" needs a value, and "${value}" looks like an option; if it is meant, write ${joined}`;
  }
  if (message.includes("argument missing")) return `option "${option}" needs a value`;
  if (message.includes("does not take an argument")) return `option "${option}" takes no value`;
  return `cannot read the arguments: ${message.replace(/\s+/g, " ")}`;
}

/** @throws EntryError usage: `text` is no whole number from 0 on */
export function readCount(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new EntryError("usage", `cannot use "${text}" as ${option}: a whole number is needed`);
  return Number(text);
}
