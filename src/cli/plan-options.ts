import { type ParseArgsConfig, parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { type Loaded, loadPlan } from "../adapters/config/load-plan.js";
import { EntryError } from "../core/entry-error.js";
import { argumentsProblem } from "./arguments.js";
import type { Io } from "./command.js";

/** Arguments of a command that looks at the plan: its own options, -c as often as one likes, and CMD behind `--`. */
export function parsePlanArgs<T extends NonNullable<ParseArgsConfig["options"]>>(
  name: string,
  args: readonly string[],
  options: T,
) {
  const end = args.indexOf("--");
  const own = end === -1 ? args : args.slice(0, end);
  const all = { ...options, conf: { type: "string", short: "c", multiple: true } } as const;
  try {
    const { values } = parseArgs({ args: [...own], options: all });
    return { values, command: end === -1 ? [] : args.slice(end + 1) };
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL")
      throw new EntryError("usage", `${argumentsProblem(error, own, all)}; see pingora-entry help ${name}`);
    const word = /'(.*?)'/.exec((error as Error).message)?.[1];
    throw new EntryError("usage", `cannot use "${word}": name the file with -c, put CMD behind --`);
  }
}

/** The plan of a command that prints and ends. */
export async function loadForLooking(
  conf: readonly string[] | undefined,
  command: readonly string[],
  io: Io,
): Promise<Loaded> {
  // optimising code for a hundredth of a second costs more than it brings: 50 of 150 ms for 200 services
  setFlagsFromString("--no-opt");
  return await loadPlan({ options: { conf: conf ?? [], command }, env: io.env });
}
