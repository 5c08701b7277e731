import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { inPath } from "./programs.js";

/** One for each libc. */
export const compilers = ["cc", "musl-gcc"];

/** The program of test/integration/adopt/NAME.c; `skip` says why there is none. It is removed at the end. */
export function builtBy(compiler: string, name: string): { readonly skip: false | string; readonly file: string } {
  if (!inPath(compiler)) return { skip: `${compiler} is not installed`, file: "" };
  mkdirSync(resolve("build/fixtures"), { recursive: true });
  const file = resolve(`build/fixtures/${name}-${compiler}-${process.pid}`);
  const source = resolve(`test/integration/adopt/${name}.c`);
  execFileSync(compiler, ["-std=c11", "-O1", "-pthread", "-o", file, source]);
  process.on("exit", () => execFileSync("rm", ["-f", file]));
  return { skip: false, file };
}
