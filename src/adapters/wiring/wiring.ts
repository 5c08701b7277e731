import { tmpdir } from "node:os";
import { wireName } from "../../core/wire-name.js";
import type { Log, NotifyMessage, ServiceWires, WireSpec, Wiring } from "../../runtime/ports.js";
import { native } from "../native/addon.js";
import { jsonFormat, type LineFormat, prefixFormat, type Speaker, speakerOf } from "./line-format.js";
import { NewlineFd } from "./newline-fd.js";
import { bindNotifySocket, NotifySocket } from "./notify-socket.js";
import { OutputGate, type OutputTarget } from "./output-gate.js";
import type { OutputMemory } from "./output-history.js";
import { OutputPipe } from "./output-pipe.js";

export interface WiringParts {
  /** where the output of services goes: stdout to stdout, stderr to stderr */
  readonly stdout: OutputTarget;
  readonly stderr: OutputTarget;
  readonly history: Pick<OutputMemory, "record">;
  /** wall clock, milliseconds */
  readonly wall: () => number;
  readonly log: Pick<Log, "warn">;
  /** where a NOTIFY_SOCKET may be made, best first; see notifyDirectories */
  readonly notifyDirectories: readonly string[];
}

/** Beside the control socket; else where temporary files go; else the memory file system that every container has. */
export function notifyDirectories(runtimeDirectory: string): readonly string[] {
  return [runtimeDirectory, tmpdir(), "/tmp", "/dev/shm"];
}

interface Strand {
  readonly name: string;
  readonly fd: number;
  readonly close: () => void;
}

/** Connects processes by pipes and sockets; see WireSpec for what each one gets. */
export function createWiring(parts: WiringParts): Wiring {
  const gates = { stdout: new OutputGate(parts.stdout), stderr: new OutputGate(parts.stderr) };

  /** Our ends: new ones from `open`, or those that were held. `open` returns undefined when there is none to take up. */
  const join = (
    spec: WireSpec,
    receive: (message: NotifyMessage) => void,
    open: (wire: Wire) => number | undefined,
  ): Joined => {
    const strands: Strand[] = [];
    let closed = false;
    const tell = (message: NotifyMessage): void => {
      if (!closed) receive(message);
    };
    const add = (wire: Wire, connect: (fd: number) => { close(): void }): void => {
      const fd = open(wire);
      if (fd === undefined) return;
      try {
        const end = connect(fd);
        strands.push({ name: wireName(spec.id, wire), fd, close: () => end.close() });
      } catch (error) {
        native().close(fd);
        throw error;
      }
    };
    const close = (): void => {
      closed = true;
      for (const strand of strands.splice(0)) strand.close();
    };
    try {
      if (spec.notifySocket) add("notify", (fd) => notifySocket(fd, spec, tell, parts.log));
      if (spec.notifyFd !== undefined) {
        const silence = `it closed file descriptor ${spec.notifyFd} without a newline: it can never be ready`;
        add("newline", (fd) => {
          const silent = () => tell({ kind: "status", text: silence });
          return new NewlineFd(fd, () => tell({ kind: "ready" }), silent);
        });
      }
      if (spec.output !== "inherit" || spec.lines) {
        for (const stream of ["stdout", "stderr"] as const)
          add(stream, (fd) => outputPipe(fd, spec, stream, gates[stream], parts, tell));
      }
    } catch (error) {
      close();
      throw error;
    }
    return { kept: strands.map(({ name, fd }) => ({ name, fd })), close };
  };

  return {
    connect(spec, receive) {
      const childEnds: { readonly target: number; readonly fd: number }[] = [];
      const env: string[] = [];
      const closeChildEnds = (): void => {
        for (const { fd } of childEnds.splice(0)) native().close(fd);
      };
      const open = (wire: Wire): number => {
        if (wire === "notify") {
          const { fd, path } = bindNotifySocket(parts.notifyDirectories, spec.identity);
          env.push(`NOTIFY_SOCKET=${path}`);
          return fd;
        }
        const [readEnd, writeEnd] = native().pipe();
        childEnds.push({ target: wire === "stdout" ? 1 : wire === "stderr" ? 2 : (spec.notifyFd ?? 3), fd: writeEnd });
        return readEnd;
      };
      try {
        const joined = join(spec, receive, open);
        const close = (): void => {
          closeChildEnds();
          joined.close();
        };
        return { kept: joined.kept, fds: [...childEnds], env, started: closeChildEnds, close };
      } catch (error) {
        closeChildEnds();
        throw error;
      }
    },
    resume(spec, held, receive) {
      const { kept, close } = join(spec, receive, (wire) => held.get(wireName(spec.id, wire)));
      return { kept, fds: [], env: [], started: () => {}, close };
    },
  };
}

type Wire = "notify" | "newline" | "stdout" | "stderr";
type Joined = Pick<ServiceWires, "kept" | "close">;

function notifySocket(
  fd: number,
  spec: WireSpec,
  receive: (message: NotifyMessage) => void,
  log: Pick<Log, "warn">,
): NotifySocket {
  return new NotifySocket({
    fd,
    owner: spec.identity,
    receive,
    refused: (reason) => log.warn(`a message to NOTIFY_SOCKET was refused: ${reason}`, { service: spec.service }),
  });
}

function outputPipe(
  fd: number,
  spec: WireSpec,
  stream: "stdout" | "stderr",
  gate: OutputGate,
  { history, wall }: WiringParts,
  receive: (message: NotifyMessage) => void,
): OutputPipe {
  const { service, id } = spec;
  const tap = (text: string, at: number): void => {
    history.record({ at, service, id, stream, text });
    if (spec.lines) receive({ kind: "line", stream, text });
  };
  return new OutputPipe({
    fd,
    gate,
    format: formatOf(spec.output, speakerOf(service, id, stream), gate.colour),
    tap,
    wall,
  });
}

function formatOf(output: WireSpec["output"], speaker: Speaker, colour: boolean): LineFormat | undefined {
  if (output === "inherit") return undefined;
  return output === "json" ? jsonFormat(speaker) : prefixFormat(speaker, colour);
}
