// Bundles the TypeScript: dist/bin/{pingora-entry,main,admin,library}.cjs with the licences of what is in them, and their types.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { leanLibraries, refuseTouchingOutputs } from "./lean-libraries.mjs";
import { thirdPartyLicenses } from "./third-party-licenses.mjs";

const root = resolve(import.meta.dirname, "..");
const out = join(root, "dist", "bin");

/** Values that src/core/version.ts is built with. */
export function defines() {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const git = spawnSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root, encoding: "utf8" });
  const build = process.env.PINGORA_ENTRY_BUILD_ID ?? (git.status === 0 ? git.stdout.trim() : "unknown");
  return { PINGORA_ENTRY_VERSION: JSON.stringify(version), PINGORA_ENTRY_BUILD: JSON.stringify(build) };
}

/** The endpoints are a bundle of their own: whoever names it gets it when it is needed, not before. */
const endpointsApart = {
  name: "endpoints-apart",
  setup(build) {
    build.onResolve({ filter: /\/admin\.js$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./admin.cjs", external: true } : undefined,
    );
  },
};

function newest(folder) {
  return Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
  );
}

export function bundlesAreFresh() {
  const made = join(out, "library.cjs");
  if (!existsSync(made)) return false;
  const sources = Math.max(
    newest(join(root, "src")),
    ...["package.json", "scripts/build.mjs", "scripts/lean-libraries.mjs", "scripts/third-party-licenses.mjs"].map(
      (file) => statSync(join(root, file)).mtimeMs,
    ),
  );
  return statSync(made).mtimeMs >= sources;
}

export async function buildBundles() {
  const esbuild = await import("esbuild");
  mkdirSync(out, { recursive: true });
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    loader: { ".html": "text" },
    define: { ...defines(), "import.meta.dirname": "__dirname" },
    // import() needs a module loader; require works from a cached script, too
    supported: { "dynamic-import": false },
    logLevel: "warning",
    plugins: [endpointsApart, leanLibraries],
    // convict reads options with it at every load, and gets none from us
    alias: { "yargs-parser": join(root, "src/adapters/config/no-arguments.cjs") },
  };
  const entries = {
    "pingora-entry": "src/boot.ts",
    main: "src/main.ts",
    admin: "src/library/admin.ts",
    library: "src/library/index.ts",
  };
  const bundled = new Set();
  for (const [name, entry] of Object.entries(entries)) {
    const outfile = join(out, `${name}.cjs`);
    const { metafile, outputFiles } = await esbuild.build({
      ...common,
      entryPoints: [entry],
      outfile,
      metafile: true,
      write: false,
    });
    refuseTouchingOutputs(`${name}.cjs`, metafile);
    for (const input of Object.keys(metafile.inputs)) bundled.add(input);
    writeFileSync(outfile, outputFiles[0].contents);
  }
  writeFileSync(join(out, "LICENSES-THIRD-PARTY"), thirdPartyLicenses(root, bundled));
}

export function buildTypes() {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const tsc = spawnSync(process.execPath, [compiler, "-p", "tsconfig.types.json"], { cwd: root, encoding: "utf8" });
  if (tsc.status !== 0)
    throw new Error(`the types do not compile:
${tsc.stdout}${tsc.stderr}`);
  // the library is CommonJS, whoever loads it: its types say the same, to `import` and to `require`
  writeFileSync(join(root, "dist/types/package.json"), '{ "type": "commonjs" }\n');
}
