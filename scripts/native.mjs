// Compiles the native parts: the init (PID 1), the addon, and the library that unmodified programs are started with.
//   node scripts/native.mjs [--sanitize | --valgrind] [--arch arm64] [--only init|addon|adopt] [--quiet]
//   dist/bin/{pingora-entry,addon.node,adopt.so}    this machine's architecture, `cc` (CC overrides)
//   dist/arm64/...                                  --arch: cross-compiled by `zig cc` (ZIG names the program)
//   build/sanitize/...                              --sanitize: with ASAN and UBSAN, for tests
//   build/valgrind/...                              --valgrind: with names, and a libc that valgrind can put its own functions into
// Under CI (the variable is set) a warning is an error. What the compiler says of a success is shown.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(import.meta.dirname, "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const standard = [
  "-std=c11",
  "-Wall",
  "-Wextra",
  ...((process.env.CI ?? "") === "" ? [] : ["-Werror"]),
  `-DPINGORA_ENTRY_VERSION="${version}"`,
];
const sanitizers = [
  "-g",
  "-O1",
  "-fno-omit-frame-pointer",
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=all",
];
const forValgrind = ["-g", "-O1", "-fno-omit-frame-pointer"];
const zigTargets = { arm64: "aarch64-linux", x64: "x86_64-linux" };

const noCompiler = `no C compiler found, one is needed (gcc or clang, with headers; CC may name it)
  Debian, Ubuntu:  apt-get install gcc libc6-dev
  Alpine:          apk add gcc musl-dev
  Fedora, RHEL:    dnf install gcc glibc-static`;

/** What compiles each part, without sources and output. Flags of the init are its own: src/native/init/flags.json. */
function parts({ check, cross, arch }) {
  const own = join(root, "src/native/init/flags.json");
  const init = existsSync(own) ? JSON.parse(readFileSync(own, "utf8")) : {};
  const checked = { sanitize: sanitizers, valgrind: forValgrind }[check];
  const optimize = checked ?? ["-O2"];
  return [
    {
      folder: "src/native/init",
      output: "pingora-entry",
      compile: [...standard, ...(checked ?? init.compile ?? ["-O2"]), ...(cross ? [`--target=${cross}-musl`] : [])],
      link: checked ? (init.sanitizeLink ?? []) : (init.link ?? []),
      // musl makes the smaller static program
      prefer: checked ? [] : (init.prefer ?? []),
      // neither ASAN nor valgrind's malloc can be linked statically
      static: !checked,
    },
    {
      folder: "src/native/addon",
      output: "addon.node",
      // the Node-API symbols are found in the running Node when it loads the addon
      compile: [
        ...standard,
        ...optimize,
        "-fPIC",
        "-fvisibility=hidden",
        ...(cross ? [`--target=${cross}-gnu.2.28`] : []),
      ],
      link: [...(checked ? [] : ["-s"]), "-shared", "-I", join(root, "node_modules/node-api-headers/include")],
      static: false,
    },
    {
      folder: "src/native/adopt",
      output: "adopt.so",
      // one file for programs of glibc and of musl: it needs neither, and takes what it wants of the one that is there
      compile: [
        ...standard,
        "-ffreestanding",
        "-fno-stack-protector",
        "-fasynchronous-unwind-tables",
        "-fPIC",
        "-fvisibility=hidden",
        // the programs it is loaded into have no sanitizer's runtime: it ends them by a trap
        ...(check === "sanitize"
          ? ["-g", "-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
          : ["-O2"]),
        ...(arch === "arm64" ? ["-mno-outline-atomics"] : []),
        ...(cross ? [`--target=${cross}-musl`] : []),
      ],
      link: [...(checked ? [] : ["-s"]), "-shared", "-nostdlib", "-Wl,-z,defs,-z,now"],
      static: false,
    },
  ];
}

function sourcesOf(folder) {
  const files = readdirSync(join(root, folder)).map((file) => join(root, folder, file));
  return {
    compiled: files.filter((file) => file.endsWith(".c")).sort(),
    watched: [...files.filter((file) => /\.(c|h|json)$/.test(file)), fileURLToPath(import.meta.url)],
  };
}

function onPath(program) {
  if (program.includes("/")) return existsSync(program);
  return (process.env.PATH ?? "").split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** The commands that compile, as argv, best first. `prefer`: compilers that a part likes better than `cc`, where they are installed. */
function compilers(cross, prefer = []) {
  if (cross) {
    if (process.env.ZIG) return [[process.env.ZIG, "cc"]];
    if (onPath("zig")) return [["zig", "cc"]];
    if (onPath("python3")) return [["python3", "-m", "ziglang", "cc"]];
    throw new Error("no zig found, one is needed to cross-compile: `pip install ziglang`, or ZIG=/path/to/zig");
  }
  if (process.env.CC) {
    const argv = process.env.CC.split(" ").filter(Boolean);
    if (!onPath(argv[0])) throw new Error(`CC is "${process.env.CC}", which is not there`);
    return [argv];
  }
  const found = [...new Set([...prefer, "cc", "gcc", "clang"])].filter(onPath);
  if (found.length === 0) throw new Error(noCompiler);
  return found.map((program) => [program]);
}

function run(argv) {
  return new Promise((done, fail) => {
    const child = spawn(argv[0], argv.slice(1), { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", fail);
    child.on("close", (code) => done({ code, output }));
  });
}

/** A change of flags or compiler rebuilds as a change of sources does. */
function isFresh(output, stamp, key, watched) {
  if (!existsSync(output) || !existsSync(stamp) || readFileSync(stamp, "utf8") !== key) return false;
  const built = statSync(output).mtimeMs;
  return watched.every((file) => statSync(file).mtimeMs < built);
}

/** Links statically where that is wanted and possible. @returns what the compiler said, and with which code it ended */
async function compile(part, cc, arguments_, fresh, log) {
  const result = await run([...cc, ...arguments_, ...(part.static ? ["-static"] : []), "-o", fresh]);
  if (result.code === 0 || !part.static) return result;
  const dynamic = await run([...cc, ...arguments_, "-o", fresh]);
  if (dynamic.code !== 0) return result;
  log(
    `${part.output}: linked dynamically, a static libc is missing (Fedora: glibc-static); it runs only where this libc is`,
  );
  return dynamic;
}

async function buildPart(part, cross, outdir, log, warn) {
  const { compiled, watched } = sourcesOf(part.folder);
  if (compiled.length === 0) return undefined;
  const choice = compilers(cross, part.prefer);
  const output = join(outdir, part.output);
  const name = relative(root, output);
  const arguments_ = [...part.compile, ...compiled.map((file) => relative(root, file)), ...part.link];
  const stamp = join(root, "build/native", `${name.replaceAll("/", "-")}.stamp`);
  const key = createHash("sha256")
    .update(JSON.stringify([choice, arguments_, part.static]))
    .digest("hex");
  if (isFresh(output, stamp, key, watched)) return undefined;
  // built beside and renamed: the old one may be running, and two builds may run at once
  const fresh = `${output}.${process.pid}`;
  const began = Date.now();
  try {
    let said = "";
    let cc;
    let done = false;
    for (cc of choice) {
      const { code, output: words } = await compile(part, cc, arguments_, fresh, log);
      done = code === 0;
      if (!done) said += `${cc.join(" ")} ended with ${code}\n${words}`;
      else if (words !== "") said += `${cc.join(" ")}:\n${words}`;
      if (done) break;
    }
    if (!done) throw new Error(`cannot compile ${part.folder}: ${said}`);
    // a warning is shown, and why a compiler that was preferred was not the one
    if (said !== "") warn(said.trimEnd());
    renameSync(fresh, output);
    log(`${name} (${cc.join(" ")}, ${Math.round(statSync(output).size / 1024)} KiB, ${Date.now() - began} ms)`);
  } finally {
    rmSync(fresh, { force: true });
  }
  writeFileSync(stamp, key);
  return output;
}

/**
 * Builds what is not up to date.
 * @param {{ check?: "sanitize" | "valgrind", arch?: string, only?: "init" | "addon" | "adopt", log?: (line: string) => void, warn?: (text: string) => void }} options
 * @returns {Promise<string[]>} the files that were built anew
 * @throws Error whose message says what to install or what the compiler said
 */
export async function buildNative({ check, arch = process.arch, only, log = console.log, warn = console.error } = {}) {
  const foreign = arch !== process.arch;
  if (foreign && !zigTargets[arch])
    throw new Error(`cannot build for "${arch}": known are ${Object.keys(zigTargets).join(", ")}`);
  const cross = foreign ? zigTargets[arch] : undefined;
  const outdir = join(root, check ? join("build", check) : foreign ? join("dist", arch) : "dist/bin");
  mkdirSync(outdir, { recursive: true });
  mkdirSync(join(root, "build/native"), { recursive: true });
  const wanted = parts({ check, cross, arch }).filter(
    (part) => only === undefined || part.folder === `src/native/${only}`,
  );
  const built = await Promise.all(wanted.map((part) => buildPart(part, cross, outdir, log, warn)));
  return built.filter((file) => file !== undefined);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const words = process.argv.slice(2);
  const after = (word) => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined);
  const log = words.includes("--quiet") ? () => {} : console.log;
  try {
    await buildNative({
      check: ["sanitize", "valgrind"].find((word) => words.includes(`--${word}`)),
      arch: after("--arch") ?? process.arch,
      only: after("--only"),
      log,
    });
  } catch (error) {
    console.error(`native: ${error.message}`);
    process.exit(1);
  }
}
