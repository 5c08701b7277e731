import { basename } from "node:path";
import type { Problem } from "../../core/entry-error.js";
import type { Identity, PassAs, ServiceSpec } from "../../core/plan.js";
import { closedTo, findProgram, readProgram, statOf } from "../native/program-file.js";
import { quote } from "./complaints.js";
import type { Loaded } from "./load-plan.js";

type Who = Pick<Identity, "uid" | "gid"> & Partial<Pick<Identity, "groups">>;

interface Question {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** who we are */
  readonly own: Who;
  /** the preload library's path */
  readonly library: string;
}

/**
 * Services whose listeners are passed as adopt, and whose program cannot adopt them: it would be refused the address. Warnings only: a program
 * that is loaded without the library may start one that is loaded with it, as gosu and tini do.
 */
export function impossibleAdoptions(loaded: Loaded, question: Question): Problem[] {
  const passed = (...ways: readonly PassAs[]) =>
    new Set(loaded.plan.listeners.filter(({ passAs }) => ways.includes(passAs)).map(({ name }) => name));
  const adopted = passed("adopt");
  const adoptedInTrials = passed("adopt", "nginx");
  return loaded.plan.services.flatMap((service) => {
    const names = service.listeners.filter((name) => (service.upgrade.preflight ? adoptedInTrials : adopted).has(name));
    if (names.length === 0 || service.process === undefined) return [];
    const why = whyNot(service, question);
    if (why === undefined) return [];
    const path = `services.${service.name}.command`;
    const source = loaded.sourceOf(path);
    const trial = names.some((name) => adopted.has(name)) ? "" : "the trial of upgrade.preflight ";
    const message = `${trial}cannot adopt ${names.map(quote).join(", ")}: ${why}`;
    return [{ path, message, ...(source === undefined ? {} : { source }) }];
  });
}

function whyNot(service: ServiceSpec, { env, own, library }: Question): string | undefined {
  const [program = ""] = service.process?.command ?? [];
  const directory = service.process?.workingDirectory;
  const path = service.process?.env.PATH ?? env.PATH ?? "/usr/local/bin:/usr/bin:/bin";
  if (program.includes("{{")) return undefined;
  if (statOf(library) === undefined) return `${library} is not there, nothing can be adopted`;
  const who = service.process?.identity ?? own;
  const closed = closedTo(library, who);
  if (closed !== undefined) return `user ${who.uid} may not read ${library} (${closed}), the loader ignores it`;
  return whyNotFile(program, directory, path, who, 0);
}

/** The kernel follows no more of them. */
const mostInterpreters = 5;

function whyNotFile(
  program: string,
  directory: string | undefined,
  path: string,
  who: Who,
  depth: number,
): string | undefined {
  const file = findProgram(program, directory, path);
  const state = file === undefined ? undefined : statOf(file);
  if (file === undefined || state === undefined) return undefined;
  const raised =
    (state.mode & 0o4000) !== 0 && state.uid !== who.uid
      ? "setuid"
      : (state.mode & 0o2000) !== 0 && state.gid !== who.gid
        ? "setgid"
        : "";
  const read = readProgram(file);
  if (read?.kind === "script") {
    // of a script the kernel ignores these bits
    const [interpreter = "", argument] = read.interpreter;
    if (depth >= mostInterpreters) return undefined;
    const next = basename(interpreter) === "env" && argument !== undefined ? programOfEnv(argument) : undefined;
    return (
      whyNotFile(interpreter, directory, path, who, depth + 1) ??
      (next === undefined ? undefined : whyNotFile(next, directory, path, who, depth + 1))
    );
  }
  if (raised !== "")
    return `${file} is ${raised}, and the loader preloads nothing into such a program, nor into what it starts`;
  if (read?.kind !== "elf") return undefined;
  if (read.bits === 32) return `${file} is a 32-bit program, the library has 64`;
  if (read.go)
    return `${file} is written in Go, which asks the kernel itself for its sockets; only a program that it starts can`;
  if (read.interpreter === undefined)
    return `${file} is a static program, into which nothing can be preloaded; only a program that it starts can`;
  if (!/^ld-(linux-[^/]*|musl-[^/]*)\.so\.\d+$/.test(basename(read.interpreter)))
    return `${file} is loaded by ${read.interpreter}, which is neither glibc's nor musl's`;
  return undefined;
}

/** `env python3`, `env -S python3 -u`, `env A=b python3` */
function programOfEnv(argument: string): string | undefined {
  return argument.split(/\s+/).find((word) => !word.startsWith("-") && !word.includes("="));
}
