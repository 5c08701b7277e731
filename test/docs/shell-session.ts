import { type ChildProcess, spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { descendantsOf, kill } from "../integration/harness.js";

/** Reads commands, separated by NUL, from descriptor 9; says NUL, the exit code, NUL after each. */
const loop = String.raw`
exec 2>&1
status=0
while IFS= read -r -d '' command <&9; do
  eval "(exit $status)
$command" 9<&-
  status=$?
  printf '\0%d\0' "$status"
done
`;

/** One bash that lives as long as a page: variables, folder and background jobs stay from command to command. */
export class ShellSession {
  readonly #bash: ChildProcess;
  readonly #commands: Writable;
  #output = "";
  #wake: () => void = () => {};
  #ended = false;

  constructor(dir: string, env: NodeJS.ProcessEnv) {
    const stdio = ["ignore", "pipe", "inherit", ...Array(6).fill("ignore"), "pipe"] as const;
    this.#bash = spawn("bash", ["--norc", "-c", loop], { cwd: dir, env, stdio: [...stdio] });
    const pipes: readonly unknown[] = this.#bash.stdio;
    this.#commands = pipes[9] as Writable;
    this.#bash.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#wake();
    });
    this.#bash.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** What the command, and whatever runs in the background, printed until it ended. */
  async run(command: string, timeoutMs = 30_000): Promise<string> {
    this.#commands.write(`${command}\0`);
    const late = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const end = /\0\d+\0/.exec(this.#output);
      if (end !== null) {
        const printed = this.#output.slice(0, end.index);
        this.#output = this.#output.slice(end.index + end[0].length);
        return printed;
      }
      if (this.#ended || late.aborted)
        throw new Error(`"${command}" did not end within ${timeoutMs} ms; it printed:\n${this.#output}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        late.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  /** Ends everything that was started. */
  close(): void {
    for (const pid of descendantsOf(this.#bash.pid ?? 0)) kill(pid);
    this.#bash.kill("SIGKILL");
  }
}
