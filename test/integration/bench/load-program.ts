import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";

/** The load generator of the upgrade benchmark, compiled anew; LOAD_CFLAGS adds flags (sanitizers). */
export function loadProgram(): string {
  const folder = resolve("test/bench/load");
  const sources = readdirSync(folder)
    .filter((file) => file.endsWith(".c"))
    .map((file) => join(folder, file));
  mkdirSync(resolve("build/fixtures"), { recursive: true });
  const output = resolve("build/fixtures/load");
  const made = `${output}.${process.pid}`;
  const more = (process.env.LOAD_CFLAGS ?? "").split(" ").filter(Boolean);
  const flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", ...more];
  execFileSync(process.env.CC ?? "cc", [...flags, "-o", made, ...sources]);
  renameSync(made, output);
  return output;
}
