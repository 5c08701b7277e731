import type { SpawnResult, SpawnSpec } from "./ports.js";

const words: Readonly<Record<string, string>> = {
  ENOENT: "not found, or the interpreter that its first line names is not",
  EACCES: "permission denied",
  ENOEXEC: "not an executable format",
  ENOTDIR: "a part of the path is no directory",
  E2BIG: "arguments and environment are too long",
  EPERM: "not permitted",
  EAGAIN: "no more processes allowed (limit nproc or the container's pids limit)",
  ENOMEM: "out of memory",
};

/** said of a directory, which has no interpreter */
const directoryWords: Readonly<Record<string, string>> = {
  ENOENT: "no such directory",
  ENOTDIR: "it, or a part of its path, is no directory",
};

/** what may pass by itself */
const transient = ["EAGAIN", "ENOMEM", "E2BIG"];

/** execve(2), MAX_ARG_STRLEN without its NUL, where a page has 4 KiB */
const longestString = 131_071;

/** both ends of the pipe that tells of a failure, one of them a second time, and an empty stdin */
const starting = 4;

export interface SpawnFailure {
  readonly reason: string;
  /** as a shell's: 127 not found, 126 anything else */
  readonly code: number;
  /** the next try would fail, too */
  readonly permanent: boolean;
}

export interface FilesOfInit {
  readonly open: number | undefined;
  readonly most: number | undefined;
}

/** Why the init could not start `spec`, for people. `hardLimit` and `filesOfInit` as in ProcessWorld. */
export function spawnFailure(
  { stage, errno }: Extract<SpawnResult, { ok: false }>,
  spec: SpawnSpec,
  hardLimit: (resource: string) => number | undefined = () => undefined,
  filesOfInit: () => FilesOfInit = () => ({ open: undefined, most: undefined }),
): SpawnFailure {
  const why = words[errno] ?? errno;
  const passing = (reason: string): SpawnFailure => ({ reason, code: 126, permanent: false });
  switch (stage) {
    case "exec": {
      const oversized = errno === "E2BIG" ? oversizedString(spec) : undefined;
      return {
        reason: `cannot execute "${spec.argv[0] ?? ""}": ${oversized ?? why}`,
        code: errno === "ENOENT" ? 127 : 126,
        permanent: oversized !== undefined || (Object.hasOwn(words, errno) && !transient.includes(errno)),
      };
    }
    case "rlimit":
      return passing(limitFailure(spec, why, hardLimit));
    case "fd":
      return passing(
        errno === "EMFILE"
          ? `cannot pass ${spec.fds.length} descriptors: ${tooFewFiles(spec, filesOfInit())}`
          : `cannot set fd: ${why}`,
      );
    case "held":
      return { ...passing(heldFailure(spec, errno)), permanent: errno === "ENOTSUP" };
    case "cwd":
      return passing(`cannot change to directory "${spec.cwd}": ${directoryWords[errno] ?? why}`);
    case "fork":
      return passing(`cannot start a process: ${errno === "EMFILE" ? tooFewFiles(spec, filesOfInit()) : why}`);
    default:
      return passing(`cannot set ${stage}: ${why}`);
  }
}

/** Listeners make a long LISTEN_FDNAMES, which no limit of the container changes. */
function oversizedString({ argv, env }: SpawnSpec): string | undefined {
  const texts = [
    ...env.map((text) => [`variable ${text.slice(0, text.indexOf("="))}`, text] as const),
    ...argv.map((text, index) => [`argument ${index}`, text] as const),
  ];
  const found = texts.map(([what, text]) => ({ what, bytes: Buffer.byteLength(text) }));
  const longest = found.reduce((a, b) => (b.bytes > a.bytes ? b : a), { what: "", bytes: 0 });
  if (longest.bytes <= longestString) return undefined;
  return `its ${longest.what} is ${longest.bytes} bytes long, the kernel takes ${longestString}`;
}

function limitFailure({ limits }: SpawnSpec, why: string, hardLimit: (resource: string) => number | undefined): string {
  for (const { resource, hard } of limits) {
    const most = hardLimit(resource);
    if (most !== undefined && (hard === -1 || hard > most))
      return `cannot set the limit ${resource} to ${hard === -1 ? "unlimited" : hard}: the container's hard limit is ${most}`;
  }
  const all = limits.map(({ resource, hard }) => `${resource} ${hard === -1 ? "unlimited" : hard}`).join(", ");
  return `cannot set a limit (${all}): ${why}`;
}

/**
 * The new process begins with what the init has open, for each generation its listeners, and places its own beyond all numbers that are wanted
 * first. So at most this many numbers are in use.
 */
function tooFewFiles({ fds }: SpawnSpec, { open, most }: FilesOfInit): string {
  const highest = Math.max(2, ...fds.map(({ target }) => target));
  const sent = fds.filter(({ held }) => held === undefined).length;
  const needed = open === undefined ? 0 : highest + 1 + open + sent + starting;
  // when they would fit, it was the supervisor that had none left
  if (most === undefined || needed <= most) return "no more files may be opened (limit nofile)";
  return `the init's limit nofile is ${most}, ${needed} are needed (${open} of them are open in the init); raise the container's hard limit`;
}

function heldFailure({ fds }: SpawnSpec, errno: string): string {
  const count = fds.filter(({ held }) => held !== undefined).length;
  const listeners = `${count} ${count === 1 ? "listener" : "listeners"}`;
  if (errno === "ENOENT")
    return `cannot pass ${listeners}: the init does not hold them any more, another generation does`;
  if (errno === "ENOTSUP")
    return `cannot pass ${listeners}: the init that runs is of an older release, which passes 64 descriptors; it is replaced at the end of an upgrade, so upgrade the release first, then the configuration`;
  return `cannot pass ${listeners}: ${words[errno] ?? errno}`;
}
