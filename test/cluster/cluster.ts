import { type ChildProcess, execFile, spawn } from "node:child_process";
import { eventually } from "../integration/harness.js";

export { eventually };

/** The images that run.mjs built. */
export const images = {
  entry: "docker.io/library/pingora-entry:test",
  init: "docker.io/library/pingora-init:test",
  threeServices: "docker.io/library/three-services:test",
  existingImage: "docker.io/library/existing-image:test",
};

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. */
export function run(program: string, args: readonly string[], input?: string): Promise<Answer> {
  return new Promise((done) => {
    const child = execFile(program, args, { maxBuffer: 64 << 20, timeout: 180_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      done({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** @throws Error with what the program said when it fails */
export async function must(program: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, input);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}\n${stdout}${stderr}`);
  return stdout;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
}

export interface Terminated {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** What the tests read of a pod. */
export interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly phase: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly state: { readonly running?: object; readonly terminated?: Terminated };
      readonly lastState: { readonly terminated?: Terminated };
    }[];
  };
}

export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

export function restarts(pod: Pod): number {
  return pod.status.containerStatuses?.[0]?.restartCount ?? 0;
}

/** A namespace of a test's own, where only what Pod Security "restricted" admits gets in. Ends with the test. */
export class Namespace {
  readonly name: string;
  readonly #children: ChildProcess[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  static async create(prefix: string): Promise<Namespace> {
    const namespace = new Namespace(`${prefix}-${process.pid}-${Math.random().toString(36).slice(2, 7)}`);
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace.name, labels } };
    await must("kubectl", ["apply", "-f", "-"], JSON.stringify(object));
    const what = `the default service account of ${namespace.name}`;
    await eventually(async () => (await namespace.try("get", "serviceaccount", "default")).code === 0, { what });
    return namespace;
  }

  kubectl(...args: string[]): Promise<string> {
    return must("kubectl", ["-n", this.name, ...args]);
  }

  try(...args: string[]): Promise<Answer> {
    return run("kubectl", ["-n", this.name, ...args]);
  }

  async apply(...objects: object[]): Promise<void> {
    const list = { apiVersion: "v1", kind: "List", items: objects };
    await must("kubectl", ["-n", this.name, "apply", "-f", "-"], JSON.stringify(list));
  }

  async pod(name: string): Promise<Pod> {
    return JSON.parse(await this.kubectl("get", "pod", name, "-o", "json")) as Pod;
  }

  /** Asks for the pod until `holds` says so; fails with its state and its log. */
  async podUntil(name: string, what: string, holds: (pod: Pod) => unknown, timeoutMs = 30_000): Promise<Pod> {
    let last: Pod | undefined;
    try {
      return await eventually(
        async () => {
          last = await this.pod(name);
          return holds(last) ? last : undefined;
        },
        { timeoutMs, what },
      );
    } catch (error) {
      const log = await this.try("logs", name, "--tail=40");
      throw new Error(`${(error as Error).message}\n${JSON.stringify(last?.status, null, 1)}\n${log.stdout}`);
    }
  }

  /** A shell command inside the pod. */
  async sh(pod: string, command: string): Promise<string> {
    return (await this.kubectl("exec", pod, "--", "sh", "-c", command)).trim();
  }

  /** The container's output from its beginning on, growing. */
  follow(pod: string): { text: () => string; ended: Promise<void> } {
    const child = spawn("kubectl", ["-n", this.name, "logs", "-f", pod], { stdio: ["ignore", "pipe", "ignore"] });
    this.#children.push(child);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    return { text: () => text, ended: new Promise((done) => child.on("close", () => done())) };
  }

  /** Every state of the pod from now on, until it is deleted. */
  watch(pod: string): { states: readonly Pod[]; deleted: Promise<void> } {
    const args = ["-n", this.name, "get", "pod", pod, "-o", "json", "--watch", "--output-watch-events"];
    const child = spawn("kubectl", args, { stdio: ["ignore", "pipe", "ignore"] });
    this.#children.push(child);
    const states: Pod[] = [];
    let text = "";
    const deleted = new Promise<void>((done) => {
      child.stdout.setEncoding("utf8").on("data", (part: string) => {
        const lines = (text + part).split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) {
          const { type, object } = JSON.parse(line) as { type: string; object: Pod };
          states.push(object);
          if (type === "DELETED") done();
        }
      });
    });
    return { states, deleted };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await run("kubectl", ["delete", "namespace", this.name, "--wait=false"]);
  }
}

/** GET from the node, by the pod's address; status 0 when nobody answers. */
export async function ask(pod: Pod, path: string, port = 9090): Promise<{ status: number; body: string }> {
  try {
    const answer = await fetch(`http://${pod.status.podIP}:${port}${path}`, { signal: AbortSignal.timeout(2_000) });
    return { status: answer.status, body: await answer.text() };
  } catch {
    return { status: 0, body: "" };
  }
}
