// Lets a script import a module of src: `const { phaseFacts } = await loadTs("src/core/phase.ts")`.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { defines } from "./build.mjs";

const root = resolve(import.meta.dirname, "..");

export async function loadTs(path) {
  mkdirSync(join(root, "build"), { recursive: true });
  const dir = mkdtempSync(join(root, "build", "script-"));
  try {
    const outfile = join(dir, "module.mjs");
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: [path],
      outfile,
      bundle: true,
      packages: "external",
      platform: "node",
      target: "node20",
      format: "esm",
      loader: { ".html": "text" },
      define: defines(),
      logLevel: "warning",
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
