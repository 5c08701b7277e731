import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { EntryError } from "../core/entry-error.js";
import type { UpgradeOrder } from "../core/upgrade-outcome.js";
import type { SuccessorCommand } from "../runtime/upgrade-parts.js";
import { refusalVariable } from "./refusal-file.js";

const scriptName = "pingora-entry.cjs";

/** The order to take over, for whoever starts with it. */
export const orderVariable = "PINGORA_ENTRY_UPGRADE";

/** No init of ours started this process, so none can start its successor. */
export function noSuccessor(): EntryError {
  return new EntryError(
    "usage",
    `cannot start a new generation of this server: it is a program of its own, and no init started it; start a second process of it with ${orderVariable}=ID, any new ID`,
  );
}

/**
 * The command line of this process, with another release's program or other configuration files where the order names them.
 * @throws EntryError usage: the order names a release that is none, or this process is not the program
 */
export function successorCommand(
  order: UpgradeOrder,
  { attempt, refusal }: { readonly attempt: string; readonly refusal: string },
  running: { readonly argv: readonly string[]; readonly execArgv: readonly string[]; readonly env: NodeJS.ProcessEnv },
): SuccessorCommand {
  const [node = process.execPath, ownScript = "", ...words] = running.argv;
  const [first, ...rest] = words;
  const isProgram = ownScript.endsWith(scriptName) && first === "run";
  if (!isProgram && (order.path !== undefined || order.conf.length > 0))
    throw new EntryError(
      "usage",
      "cannot upgrade to another path or configuration: this server is a program of its own",
    );
  const release = order.path === undefined ? undefined : releaseAt(order.path);
  const script = release === undefined ? ownScript : join(release, scriptName);
  const ownNode = release === undefined ? undefined : join(release, "node");
  const program = ownNode !== undefined && existsSync(ownNode) ? ownNode : node;
  const head = [program, ...running.execArgv, script];
  const env = Object.entries({ ...running.env, [orderVariable]: attempt, [refusalVariable]: refusal }).flatMap(
    ([name, value]) => (value === undefined ? [] : [`${name}=${value}`]),
  );
  return { argv: [...head, ...(isProgram ? ["run", ...withConf(rest, order.conf)] : words)], env };
}

/** Where the release is, now: a link that leads elsewhere later changes nothing of what runs. @throws EntryError usage */
function releaseAt(path: string): string {
  if (!existsSync(join(path, scriptName)))
    throw new EntryError(
      "usage",
      `cannot upgrade to ${path}: it has no ${scriptName}, a release of pingora-entry is needed`,
    );
  return realpathSync(path);
}

/** Our options end at `--` or the first word that is none, as `run` reads them. */
function split(args: readonly string[]): { readonly own: readonly string[]; readonly command: readonly string[] } {
  let end = 0;
  for (; end < args.length; end += 1) {
    const word = args[end] ?? "";
    if (word === "--" || word === "-" || !word.startsWith("-")) break;
    if (word === "-c" || word === "--conf") end += 1;
  }
  return { own: args.slice(0, end), command: args.slice(end) };
}

function withConf(args: readonly string[], conf: readonly string[]): string[] {
  const { own, command } = split(args);
  if (conf.length === 0) return [...own, ...command];
  const kept: string[] = [];
  for (let i = 0; i < own.length; i += 1) {
    const word = own[i] ?? "";
    if (word === "-c" || word === "--conf") i += 1;
    else if (!/^(-c.|--conf=)/.test(word)) kept.push(word);
  }
  return [...kept, ...conf.flatMap((file) => ["-c", file]), ...command];
}
