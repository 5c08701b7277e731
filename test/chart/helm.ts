import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";

export const chart = "charts/pingora-entry";

/** Helm programs on the PATH; PINGORA_ENTRY_HELM names others, separated by colons. */
export const helms = (process.env.PINGORA_ENTRY_HELM?.split(":") ?? ["helm", "helm3"]).filter(
  (program) => spawnSync(program, ["version", "--short"]).status === 0,
);

/** For a test's options: says why nothing was tested. */
export const skip = helms.length === 0 ? "no helm on the PATH" : false;

// biome-ignore lint/suspicious/noExplicitAny: rendered YAML, of any shape; a wrong path fails the assertion
export type Rendered = any;

export interface Outcome {
  readonly objects: readonly Rendered[];
  readonly stderr: string;
  readonly ok: boolean;
}

function runHelm(program: string, args: readonly string[], values: unknown): Outcome & { stdout: string } {
  const dir = mkdtempSync(join(tmpdir(), "chart-"));
  try {
    writeFileSync(join(dir, "values.yaml"), stringify(values));
    const { status, stdout, stderr } = spawnSync(program, [...args, "-f", join(dir, "values.yaml")], {
      encoding: "utf8",
      env: {
        ...process.env,
        HELM_CACHE_HOME: dir,
        HELM_CONFIG_HOME: dir,
        HELM_DATA_HOME: dir,
        KUBECONFIG: "/dev/null",
      },
    });
    return { ok: status === 0, stdout, stderr, objects: [] };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What the chart renders to with these values. */
export function render(program: string, values: unknown, options: readonly string[] = []): Outcome {
  const run = runHelm(program, ["template", "shop", chart, ...options], values);
  const objects = run.ok
    ? parseAllDocuments(run.stdout)
        .map((document) => document.toJS())
        .filter((object) => object !== null)
    : [];
  return { ...run, objects };
}

export function isHelm3(program: string): boolean {
  return spawnSync(program, ["version", "--short"], { encoding: "utf8" }).stdout.startsWith("v3");
}

/** What an install would print. */
export function notes(program: string, values: unknown): string {
  const run = runHelm(program, ["install", "shop", chart, "--dry-run=client"], values);
  return run.stdout.slice(run.stdout.indexOf("NOTES:"));
}

export function lint(program: string, values: unknown): Outcome & { stdout: string } {
  return runHelm(program, ["lint", "--strict", chart], values);
}

export function find({ objects }: Outcome, kind: string): Rendered {
  return objects.find((object) => object.kind === kind && object.metadata.annotations?.["helm.sh/hook"] === undefined);
}

export function container(outcome: Outcome): Rendered {
  return find(outcome, "Deployment").spec.template.spec.containers[0];
}
