import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { resolve } from "node:path";

const source = resolve("test/fixtures/pingora");
const output = resolve("build/pingora/pingora-fixture");
const inputs = ["Cargo.toml", "src/main.rs"].map((file) => resolve(source, file));

/** Seconds that its build may take: two minutes on two cores, when everything has to be fetched. PINGORA_BUILD_SECONDS=0: no build. */
const buildSeconds = Number(process.env.PINGORA_BUILD_SECONDS ?? 600);

export type RealPingora = { readonly program: string } | { readonly missing: string };

/** test/fixtures/pingora, built when it is not there or older than its source; else why it cannot be had here. */
export function realPingora(): RealPingora {
  const built = existsSync(output) && inputs.every((file) => statSync(file).mtimeMs <= statSync(output).mtimeMs);
  if (built) return { program: output };
  if (buildSeconds === 0) return { missing: "no real pingora: PINGORA_BUILD_SECONDS is 0" };
  if (spawnSync("cargo", ["--version"]).status !== 0) return { missing: "no real pingora: there is no cargo" };
  const target = resolve("build/pingora/target");
  mkdirSync(target, { recursive: true });
  const args = ["build", "--quiet", "--manifest-path", resolve(source, "Cargo.toml"), "--target-dir", target];
  const made = spawnSync("nice", ["-n", "10", "cargo", ...args], { encoding: "utf8", timeout: buildSeconds * 1000 });
  if (made.status !== 0) {
    const last = made.error?.message ?? made.stderr.trim().split("\n").slice(-3).join(" ");
    return { missing: `no real pingora: cargo could not build it: ${last}` };
  }
  copyFileSync(resolve(target, "debug/pingora-fixture"), `${output}.${process.pid}`);
  renameSync(`${output}.${process.pid}`, output);
  // hundreds of megabytes that nobody needs again
  rmSync(target, { recursive: true, force: true });
  return { program: output };
}
