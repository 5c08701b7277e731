import { EntryError, type Problem } from "../../core/entry-error.js";
import type { PassAs } from "../../core/plan.js";
import type { BoundListener } from "../../runtime/ports.js";
import { adoptVariables, type DrainWay, drainWay } from "./adopt-variables.js";
import { fillPlaceholders, listenerAddress } from "./placeholders.js";

export interface Passed {
  readonly argv: readonly string[];
  /** to be set over the service's environment */
  readonly env: Readonly<Record<string, string>>;
  /** variables that get the pid of the process itself */
  readonly pidEnv: readonly string[];
  /** number in the service -> our descriptor, which stays open here, of this listener */
  readonly fds: readonly { readonly target: number; readonly fd: number; readonly listener: string }[];
  /** how the process is made to accept nothing more without ending; absent when it cannot be */
  readonly drain?: DrainWay;
}

/** Said by an activation of our own, perhaps; never for the services. To be removed from the environment that they inherit. */
export const activationVariables: readonly string[] = [
  "LISTEN_PID",
  "LISTEN_PIDFDID",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "NGINX",
];

/** sd_listen_fds(3): SD_LISTEN_FDS_START */
const firstFd = 3;

/**
 * The first, if the others do not need it: adopted ones stand far from the numbers that programs and shells use themselves, and beyond those that Node closes on exec when it starts;
 * not at 200, which scripts like for flock(1), and below the 255 of bash.
 */
const firstAdoptedFd = 230;

/**
 * How a process gets its listeners. `listeners` in the order of its configuration; `known` are those whose address a placeholder may name.
 * Those passed as systemd come first, from fd 3 without a gap as sd_listen_fds(3) needs it, then the others; stdin is fd 0; adopted ones are
 * far up. `taken` numbers are used for something else. `adoptLibrary` is the preload library's path.
 * @throws EntryError config with all problems: placeholders that cannot be filled, two for stdin, a name that LISTEN_FDNAMES cannot say, no
 *   library for what is to be adopted
 */
export function passListeners(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  listeners: readonly BoundListener[],
  options: {
    readonly known?: Iterable<BoundListener>;
    readonly taken?: readonly number[];
    readonly adoptLibrary?: string;
  } = {},
): Passed {
  const problems: Problem[] = [];
  const targets = numbersFor(listeners, options.taken ?? [], problems);
  const known = new Map([...(options.known ?? []), ...listeners].map((listener) => [listener.spec.name, listener]));
  const fill = (text: string, place: string) => fillPlaceholders(text, { known, targets }, place, problems);
  const filledArgv = argv.map((argument, index) => fill(argument, `command[${index}]`));
  const filledEnv = Object.entries(env)
    .map(([name, value]) => [name, value, fill(value, `env.${name}`)] as const)
    .filter(([, value, filled]) => value !== filled)
    .map(([name, , filled]) => [name, filled] as const);
  const adopted = adoptVariables(passedAs(listeners, "adopt"), targets, env, options.adoptLibrary, problems);
  const announced = { ...announce(listeners, targets, problems), ...adopted };
  const drain = drainWay(env, listeners);
  if (problems.length > 0) throw new EntryError("config", "cannot pass the listeners", { problems });
  return {
    argv: filledArgv,
    env: { ...Object.fromEntries(filledEnv), ...announced },
    pidEnv: "LISTEN_FDS" in announced ? ["LISTEN_PID"] : [],
    fds: listeners.map(({ spec, fd }) => ({ target: targets.get(spec.name) ?? firstFd, fd, listener: spec.name })),
    ...(drain === undefined ? {} : { drain }),
  };
}

function passedAs(listeners: readonly BoundListener[], passAs: PassAs): readonly BoundListener[] {
  return listeners.filter(({ spec }) => spec.passAs === passAs);
}

function numbersFor(
  listeners: readonly BoundListener[],
  taken: readonly number[],
  problems: Problem[],
): Map<string, number> {
  const targets = new Map<string, number>();
  const systemd = passedAs(listeners, "systemd");
  let next = firstFd;
  for (const { spec } of systemd) {
    if (taken.includes(next)) {
      problems.push({
        message: `fd ${next} is taken, and the sockets passed as systemd need ${firstFd} to ${firstFd + systemd.length - 1}`,
      });
    }
    targets.set(spec.name, next++);
  }
  for (const { spec } of listeners) {
    if (spec.passAs === "systemd" || spec.passAs === "adopt") continue;
    if (spec.passAs === "stdin") {
      targets.set(spec.name, 0);
      continue;
    }
    while (taken.includes(next)) next++;
    targets.set(spec.name, next++);
  }
  let nextAdopted = Math.max(firstAdoptedFd, next);
  for (const { spec } of passedAs(listeners, "adopt")) {
    while (taken.includes(nextAdopted)) nextAdopted++;
    targets.set(spec.name, nextAdopted++);
  }
  const stdin = passedAs(listeners, "stdin").map(({ spec }) => `"${spec.name}"`);
  if (stdin.length > 1)
    problems.push({ message: `${stdin.join(" and ")} are both passed as stdin, only one can be fd 0` });
  return targets;
}

function announce(
  listeners: readonly BoundListener[],
  targets: ReadonlyMap<string, number>,
  problems: Problem[],
): Record<string, string> {
  const env: Record<string, string> = {};
  const systemd = passedAs(listeners, "systemd").map(({ spec }) => spec.name);
  for (const name of systemd) {
    if (!isFdName(name)) {
      problems.push({
        message: `"${name}" cannot be said in LISTEN_FDNAMES: at most 255 ASCII characters, no colon, no control character`,
      });
    }
  }
  if (systemd.length > 0) {
    env.LISTEN_FDS = String(systemd.length);
    env.LISTEN_FDNAMES = systemd.join(":");
  }
  const nginx = passedAs(listeners, "nginx").map(({ spec }) => `${targets.get(spec.name)};`);
  if (nginx.length > 0) env.NGINX = nginx.join("");
  for (const listener of passedAs(listeners, "env")) {
    env[listener.spec.envName] = String(targets.get(listener.spec.name));
    env[`${listener.spec.envName}_ADDR`] = listenerAddress(listener);
  }
  return env;
}

/** systemd.socket(5), FileDescriptorName= */
function isFdName(name: string): boolean {
  return /^[ -9;-~]{1,255}$/.test(name);
}
