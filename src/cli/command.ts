/** What a subcommand gets of the world; main.ts makes it, tests make their own. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** stdout is a terminal and NO_COLOR is unset: colours and live progress are welcome */
  readonly colour: boolean;
  /** columns of the terminal, 80 elsewhere */
  readonly width: number;
  /** rows of the terminal, for what is redrawn in place */
  readonly height?: number;
  /** aborts on SIGINT and SIGTERM */
  readonly signal: AbortSignal;
}

/** One subcommand: arguments after its name; resolves to the exit code. Throws EntryError for what the user can mend. */
export interface Command {
  readonly name: string;
  /** one line for `help` */
  readonly summary: string;
  /** the whole of `help NAME`, at most one screen (80 x 24) */
  readonly usage: string;
  readonly run: (args: readonly string[], io: Io) => Promise<number>;
}
