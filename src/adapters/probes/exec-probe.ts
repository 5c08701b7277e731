import { printable } from "../../core/notify-message.js";
import type { ExitStatus, Init, InitEvent, ProbeContext, SpawnResult, SpawnSpec } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { type Attempt, failed, passed } from "./attempt.js";
import { OutputTail } from "./output-tail.js";

/** Brings the exit of one process to who started it; an ExitRouter of the runtime is one. */
export interface ProbeExits {
  expect(id: string, receive: (event: Extract<InitEvent, { kind: "exited" }>) => void): void;
  /** the process was never started */
  cancel(id: string): void;
}

export interface ExecWorld {
  readonly init: Pick<Init, "spawn" | "signal" | "forget">;
  readonly exits: ProbeExits;
}

/** Passes when the command exits with 0. Its output goes nowhere but, its last line, into the result; at the end of its time all of its processes are killed. */
export function execProbe(command: readonly string[], context: ProbeContext, world: ExecWorld): Attempt {
  return (settle) => {
    const { init, exits } = world;
    const { id } = context;
    const [readEnd, writeEnd] = native().pipe();
    const output = new OutputTail(readEnd);
    let writeOpen = true;
    let gone = false;
    let left = false;
    // the init has its own copy only when it has answered, and a quick process may be over by then
    const closeWriteEnd = (): void => {
      if (writeOpen) native().close(writeEnd);
      writeOpen = false;
    };
    const kill = (): void => {
      const killed = init.signal(id, "SIGKILL", "tree");
      // a channel that is closed has no process to kill any more
      killed.then(
        () => init.forget(id),
        () => {},
      );
    };
    const notStarted = (reason: string): void => {
      gone = true;
      exits.cancel(id);
      closeWriteEnd();
      settle(failed(reason));
    };
    exits.expect(id, ({ status }) => {
      gone = true;
      closeWriteEnd();
      if (left) return;
      // somebody still holds the other end: the command has left a process behind
      const alone = output.drain();
      const said = printable(output.lastLine, 200);
      settle(status.code === 0 ? passed : failed(exitText(status), said));
      if (alone) init.forget(id);
      else kill();
    });
    init.spawn(id, spawnSpec(command, context, writeEnd)).then(
      (result) => (result.ok ? closeWriteEnd() : notStarted(spawnText(command[0] ?? "", result))),
      (error: unknown) => notStarted(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      left = true;
      output.close();
      if (!gone) kill();
    };
  };
}

function spawnSpec(command: readonly string[], context: ProbeContext, output: number): SpawnSpec {
  return {
    argv: command,
    env: context.env,
    pidEnv: [],
    ...(context.cwd === undefined ? {} : { cwd: context.cwd }),
    ...(context.identity === undefined ? {} : { identity: context.identity }),
    limits: [],
    newSession: true,
    tty: false,
    fds: [
      { target: 1, fd: output },
      { target: 2, fd: output },
    ],
  };
}

function exitText(status: ExitStatus): string {
  return status.signal === undefined ? `exit code ${status.code ?? 0}` : `died of ${status.signal}`;
}

const spawnErrors: Readonly<Record<string, string>> = {
  ENOENT: "not found",
  EACCES: "permission denied",
  ENOEXEC: "not an executable format",
};

function spawnText(file: string, result: Extract<SpawnResult, { ok: false }>): string {
  const words = spawnErrors[result.errno] ?? result.errno;
  return result.stage === "exec" ? `cannot run "${file}": ${words}` : `cannot run "${file}": ${result.stage}: ${words}`;
}
