/**
 * What `node pingora-entry.cjs` runs: loads the bundle beside this file with the code cache that the build left there, so that
 * a start costs no parsing. Works the same on every Node; a cache of another Node is ignored.
 */
import { readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";
import { leaveRefusal } from "./library/refusal-file.js";

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

/** exitCodes.os: the table itself is in the bundles */
const osCode = 71;

/** A bundle was not copied, or not to its end. */
class NotWhole extends Error {
  readonly code = "NOT_WHOLE";
}

function compiled(name: string, filename: string): Script {
  const cachedData = readCache(name);
  try {
    const text = readFileSync(filename, "utf8");
    // every bundle ends with a line; one that is cut off between two statements would run, and do nothing
    if (!text.endsWith("\n")) throw new SyntaxError("it is cut off");
    const source = `(function (exports, require, module, __filename, __dirname) {${text}\n})`;
    return new Script(source, { filename, ...(cachedData === undefined ? {} : { cachedData }) });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what =
      error instanceof SyntaxError ? `damaged: ${message}` : code === "ENOENT" ? "missing" : `unreadable: ${message}`;
    throw new NotWhole(`${name} is ${what}`);
  }
}

function load(name: string): unknown {
  if (loaded.has(name)) return loaded.get(name);
  const filename = join(__dirname, name);
  const script = compiled(name, filename);
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

try {
  load("main.cjs");
} catch (error) {
  if (!(error instanceof NotWhole)) throw error;
  const text = `pingora-entry: this release is not whole: ${error.message}\n`;
  leaveRefusal(text, process.env);
  process.exitCode = osCode;
  try {
    writeSync(2, text);
  } catch {}
}
