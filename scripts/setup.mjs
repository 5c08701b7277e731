// Makes everything a checkout needs: dependencies, native binaries, bundles, types, code caches. Each only when it is missing or old.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const quiet = process.argv.includes("--quiet");
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`cannot set up: this is Node ${process.versions.node}, Node 20.19 or newer is needed`);
  process.exit(1);
}

process.on("uncaughtException", (error) => {
  console.error(`failed\ncannot set up: ${error.message}`);
  process.exit(1);
});

function step(name, fresh, make) {
  if (fresh()) return quiet ? undefined : console.log(`  ${name}: up to date`);
  process.stdout.write(`  ${name} ... `);
  const from = Date.now();
  const done = () => console.log(`${((Date.now() - from) / 1000).toFixed(1)} s`);
  const result = make();
  return result instanceof Promise ? result.then(done) : done();
}

const lockfile = join(root, "package-lock.json");
const installed = join(root, "node_modules", ".package-lock.json");
step(
  "dependencies",
  () => existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockfile).mtimeMs,
  () => {
    const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: root,
      encoding: "utf8",
    });
    if (npm.status === 0) return;
    console.error(`failed\n${npm.stdout}${npm.stderr}`);
    process.exit(1);
  },
);
const { buildNative } = await import("./native.mjs");
const from = Date.now();
const built = await buildNative();
if (built.length > 0) console.log(`  native binaries ... ${((Date.now() - from) / 1000).toFixed(1)} s`);
else if (!quiet) console.log("  native binaries: up to date");
const { buildBundles, buildTypes, bundlesAreFresh } = await import("./build.mjs");
const { buildCaches, cachesAreFresh } = await import("./code-caches.mjs");
const stale = !bundlesAreFresh();
await step("bundles", () => !stale, buildBundles);
await step("types", () => !stale && existsSync(join(root, "dist/types/package.json")), buildTypes);
await step("code caches", cachesAreFresh, buildCaches);
if (!quiet)
  console.log(
    `ready: dist/bin/pingora-entry (${JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version})`,
  );
