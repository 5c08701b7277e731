import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { Problem } from "../../core/entry-error.js";
import { quote } from "./complaints.js";
import type { Loaded } from "./load-plan.js";

/**
 * Programs of services that are not here, or not executable, looked for as execvp(3) does. Warnings only: they may be mounted later, and
 * `check` may run on another machine than the services.
 */
export function missingCommands(loaded: Loaded, env: Readonly<Record<string, string | undefined>>): Problem[] {
  const known = new Map<string, string | undefined>();
  return loaded.plan.services.flatMap((service) => {
    const spec = service.process;
    const program = spec?.command[0];
    if (spec === undefined || program === undefined || program.includes("{{")) return [];
    const directories = spec.env.PATH ?? env.PATH ?? "/usr/local/bin:/usr/bin:/bin";
    const question = JSON.stringify([program, spec.workingDirectory, directories]);
    if (!known.has(question)) known.set(question, whyNot(program, spec.workingDirectory, directories));
    const why = known.get(question);
    if (why === undefined) return [];
    const path = `services.${service.name}.command`;
    const source = loaded.sourceOf(path);
    return [{ path, message: `${quote(program)} ${why}`, ...(source === undefined ? {} : { source }) }];
  });
}

function whyNot(program: string, directory: string | undefined, path: string): string | undefined {
  if (program.includes("/")) {
    const file = isAbsolute(program) || directory === undefined ? program : join(directory, program);
    const state = stateOf(file);
    return state === "executable" ? undefined : `is ${state} here`;
  }
  let seen: string | undefined;
  for (const place of path.split(":")) {
    const state = stateOf(join(place === "" ? "." : place, program));
    if (state === "executable") return undefined;
    if (state !== "missing") seen ??= `is ${state} in ${place}`;
  }
  return seen ?? "is in no directory of PATH here";
}

function stateOf(file: string): "executable" | "missing" | "a directory" | "not executable" {
  try {
    if (statSync(file).isDirectory()) return "a directory";
    accessSync(file, constants.X_OK);
    return "executable";
  } catch (error) {
    return (error as { code?: string }).code === "EACCES" ? "not executable" : "missing";
  }
}
