// Runs test/cluster on a real Kubernetes: brings it up, builds and loads the images, runs the tests, takes it down.
//   node test/cluster/run.mjs [--keep] [--fresh] [substring of a test file ...]
// --keep leaves the cluster up; --fresh builds without the layers of an earlier build. PINGORA_ENTRY_CLUSTER names the folder of the
// cluster's scripts (up, down, base-image, build-image), ../shared/cluster otherwise. Needs root. Ends with `N passed, N failed`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const kit = resolve(process.env.PINGORA_ENTRY_CLUSTER ?? join(root, "../shared/cluster"));
const words = process.argv.slice(2);
const files = words.filter((word) => !word.startsWith("--"));
const began = Date.now();
const say = (text) => console.log(`cluster tests: ${text} (${((Date.now() - began) / 1000).toFixed(0)} s)`);

function finish(passed, failed) {
  if (!words.includes("--keep")) spawnSync(join(kit, "down"), { stdio: "ignore" });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

/** Output is shown only when it fails. */
function step(what, command, args, env = process.env) {
  const run = spawnSync(command, args, { cwd: root, env, encoding: "utf8", maxBuffer: 256 << 20 });
  if (run.status !== 0) {
    console.log(`${run.stdout}${run.stderr}`.split("\n").slice(-60).join("\n"));
    say(`${what} failed${run.error ? `: ${run.error.message}` : ""}`);
    finish(0, 1);
  }
  say(what);
  return run.stdout;
}

if (!existsSync(join(kit, "up"))) {
  say(`no cluster: ${kit}/up is not there; PINGORA_ENTRY_CLUSTER names another folder`);
  process.exit(1);
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => finish(0, 1));

const exported = step("cluster is up", join(kit, "up"), []).match(/KUBECONFIG=(\S+) PATH=(\S+):\$PATH/);
if (exported === null) finish(0, 1);
const env = { ...process.env, KUBECONFIG: exported[1], PATH: `${exported[2]}:${process.env.PATH}` };

step("base images", join(kit, "base-image"), [], { ...env, NODE_MAJORS: "24" });
const revision = spawnSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
const layers = words.includes("--fresh") ? [] : ["--layers"];
const build = (folder, tag, ...options) =>
  step(`image ${tag}`, join(kit, "build-image"), [folder, `${tag}:test`, ...layers, ...options], env);
// the local stand-in for Node's image has no licence in it
const args = ["--build-arg", `BUILD_ID=${revision}`, "--build-arg", "NODE_LICENSE=absent"];
build(".", "pingora-entry", ...args);
build(".", "pingora-init", "--target", "init", ...args);
build("examples/three-services", "three-services", "--build-arg", "BASE=docker.io/library/pingora-entry:test");
build("examples/existing-image", "existing-image", "--build-arg", "PINGORA_ENTRY=docker.io/library/pingora-entry:test");
const sizes = spawnSync("buildah", ["images", "--format", "{{.Name}} {{.Size}}"], { encoding: "utf8" });
console.log(
  sizes.stdout
    .split("\n")
    .filter((line) => /pingora|three-services|existing-image/.test(line))
    .join("\n"),
);

const wanted = files.length > 0 ? files.map((file) => `test/cluster/${file}`) : ["test/cluster/"];
const child = spawn(process.execPath, [join(root, "scripts/test.mjs"), "--test-reporter=spec", ...wanted], {
  cwd: root,
  env,
  stdio: ["ignore", "pipe", "inherit"],
});
let output = "";
child.stdout.setEncoding("utf8").on("data", (text) => {
  output += text;
  process.stdout.write(text);
});
child.on("close", (code) => {
  const count = (word) => Number(output.match(new RegExp(`^ℹ ${word} (\\d+)`, "m"))?.[1] ?? 0);
  const failed = count("fail") + count("cancelled");
  say("tests ran");
  finish(count("pass"), code === 0 ? failed : Math.max(failed, 1));
});
