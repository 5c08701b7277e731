/**
 * What `node pingora-entry.cjs` runs: loads the bundle beside this file with the code cache that the build left there, so that
 * a start costs no parsing. Works the same on every Node; a cache of another Node is ignored.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";

const nodeRequire = createRequire(__filename);
const writeCache = process.env.PINGORA_ENTRY_WRITE_CODE_CACHE === "1";
const loaded = new Map<string, unknown>();

function cachePath(name: string): string {
  return join(__dirname, `${name}.${process.version}-${process.arch}.cache`);
}

function readCache(name: string): Buffer | undefined {
  try {
    return readFileSync(cachePath(name));
  } catch {
    return undefined;
  }
}

function load(name: string): unknown {
  if (loaded.has(name)) return loaded.get(name);
  const filename = join(__dirname, name);
  const cachedData = readCache(name);
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, "utf8")}\n})`;
  const script = new Script(source, { filename, ...(cachedData === undefined ? {} : { cachedData }) });
  const module = { exports: {} };
  loaded.set(name, module.exports);
  const bundles = (id: string): unknown =>
    id.startsWith("./") && id.endsWith(".cjs") ? load(id.slice(2)) : nodeRequire(id);
  script.runInThisContext()(module.exports, bundles, module, filename, __dirname);
  loaded.set(name, module.exports);
  if (writeCache) {
    // at the end, when what was run has been compiled, beside what the cache held before
    process.on("exit", () => {
      writeFileSync(`${cachePath(name)}.new`, script.createCachedData());
      renameSync(`${cachePath(name)}.new`, cachePath(name));
    });
  }
  return module.exports;
}

load("main.cjs");
