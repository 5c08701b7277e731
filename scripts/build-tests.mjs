// Bundles every test file (or those whose path contains one of the given substrings) for the running Node.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import * as esbuild from "esbuild";
import { defines } from "./build.mjs";

const root = resolve(import.meta.dirname, "..");

function testFiles() {
  return ["src", "test"].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true })
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => join(top, file)),
  );
}

/** @returns {Promise<{ files: string[], remove: () => void }>} paths of the bundled tests, sorted by name */
export async function buildTests(select) {
  const sources = testFiles().filter(select).sort();
  if (sources.length === 0) return { files: [], remove: () => {} };
  mkdirSync(join(root, "build"), { recursive: true });
  const outdir = mkdtempSync(join(root, "build", "tests-"));
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: sources,
    outdir,
    outbase: root,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: "inline",
    loader: { ".html": "text" },
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
    define: { ...defines(), "process.env.PINGORA_ENTRY_BUNDLED": '"test"' },
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
  return {
    files: sources.map((source) => join(outdir, source.replace(/\.ts$/, ".mjs"))),
    remove: () => rmSync(outdir, { recursive: true, force: true }),
  };
}
