/**
 * Where a problem was found: a place in a file, an environment variable or an option.
 * `line` and `column` count from 1.
 */
export interface Source {
  readonly name: string;
  readonly line?: number;
  readonly column?: number;
}

/** One thing that is wrong: `message` says the state found and the state needed, `path` is the key (`services.web.command`). */
export interface Problem {
  readonly path?: string;
  readonly message: string;
  readonly source?: Source;
  readonly hint?: string;
}

/** The table of exit codes; `docs/reference/exit-codes.md` is printed from it. */
export const exitCodes = {
  ok: { code: 0, meaning: "every service ended cleanly after a requested stop, or the command succeeded" },
  failed: { code: 1, meaning: "the requested action did not succeed (client commands, `healthcheck`)" },
  usage: { code: 64, meaning: "the command line is wrong" },
  unavailable: { code: 69, meaning: "no running instance answers on the control socket (client commands)" },
  software: { code: 70, meaning: "a bug in pingora-entry; a stack trace is in the log" },
  os: {
    code: 71,
    meaning:
      "the system refused something pingora-entry needs: an address in use, a socket path, a limit, a disk that is full",
  },
  tryLater: { code: 75, meaning: "the upgrade was refused for now; try later" },
  config: { code: 78, meaning: "the configuration is wrong; every problem is printed and in the termination message" },
  cannotExecute: { code: 126, meaning: "a command was found and cannot be executed" },
  notFound: { code: 127, meaning: "a command was not found" },
  forced: { code: 143, meaning: "a requested stop had to kill a service at its deadline" },
} as const;

export type ExitReason = keyof typeof exitCodes;

/**
 * An expected failure: the user or the system is at fault, and the message says what to change.
 * Anything else that is thrown is a bug (stack trace, exit 70).
 */
export class EntryError extends Error {
  readonly reason: ExitReason;
  readonly problems: readonly Problem[];

  constructor(reason: ExitReason, message: string, options: { problems?: readonly Problem[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "EntryError";
    this.reason = reason;
    this.problems = options.problems ?? [];
  }

  /** The endpoints are a bundle of their own with its own copy of this class: what counts is the name, not the copy. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === "EntryError";
  }

  get exitCode(): number {
    return exitCodes[this.reason].code;
  }
}
