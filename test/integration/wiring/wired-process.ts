import { type ChildProcess, spawn } from "node:child_process";
import type { OutputTarget } from "../../../src/adapters/wiring/output-gate.js";
import { OutputMemory } from "../../../src/adapters/wiring/output-history.js";
import { createWiring, type WiringParts } from "../../../src/adapters/wiring/wiring.js";
import type { NotifyMessage, ServiceWires, WireSpec, Wiring } from "../../../src/runtime/ports.js";

/** Takes what it is given, and can be stalled. */
export class MemoryTarget implements OutputTarget {
  readonly colour = false;
  readonly chunks: Uint8Array[] = [];
  written = 0;
  stalled = false;
  #resume: (() => void)[] = [];

  write(bytes: Uint8Array): boolean {
    this.chunks.push(bytes);
    this.written += bytes.length;
    return !this.stalled;
  }

  onceDrained(resume: () => void): void {
    this.#resume.push(resume);
  }

  drain(): void {
    this.stalled = false;
    for (const resume of this.#resume.splice(0)) resume();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }
}

export interface Bench {
  readonly wiring: Wiring;
  readonly stdout: MemoryTarget;
  readonly stderr: MemoryTarget;
  readonly history: OutputMemory;
  readonly warnings: string[];
}

export function bench(more: Partial<WiringParts> = {}): Bench {
  const [stdout, stderr, history, warnings] = [
    new MemoryTarget(),
    new MemoryTarget(),
    new OutputMemory(),
    [] as string[],
  ];
  const parts = { stdout, stderr, history, wall: Date.now, notifyDirectories: ["/tmp"] };
  const log = { warn: (message: string) => warnings.push(message) };
  return { wiring: createWiring({ ...parts, log, ...more }), stdout, stderr, history, warnings };
}

export interface Wired {
  readonly child: ChildProcess;
  readonly wires: ServiceWires;
  readonly messages: NotifyMessage[];
  readonly ended: Promise<number | null>;
}

let serial = 0;

export function wireSpec(more: Partial<WireSpec> = {}): WireSpec {
  serial += 1;
  return { service: "web", id: `web/0#${serial}`, output: "inherit", lines: false, notifySocket: false, ...more };
}

/** Runs a command on its wires as the init would. */
export function run(wiring: Wiring, spec: WireSpec, command: readonly string[]): Wired {
  const messages: NotifyMessage[] = [];
  const wires = wiring.connect(spec, (message) => messages.push(message));
  const highest = Math.max(2, ...wires.fds.map(({ target }) => target));
  const stdio = Array.from(
    { length: highest + 1 },
    (_, target) => wires.fds.find((each) => each.target === target)?.fd ?? "ignore",
  );
  const env = Object.fromEntries(wires.env.map((each) => each.split("=", 2) as [string, string]));
  const child = spawn(command[0] ?? "", command.slice(1), {
    env: { PATH: process.env.PATH, ...env },
    stdio,
    ...(spec.identity === undefined ? {} : { uid: spec.identity.uid, gid: spec.identity.gid }),
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  wires.started(child.pid);
  return { child, wires, messages, ended };
}

export const sh = (script: string): string[] => ["sh", "-c", script];
