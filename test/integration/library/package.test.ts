import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

const consumer = mkdtempSync(join(tmpdir(), "pe-consumer-"));
const installed = join(consumer, "node_modules", "pingora-entry");
const quiet = ["--offline", "--no-audit", "--no-fund", "--loglevel=error"];

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}${error ?? ""}`);
  return stdout;
}

// without the registry: a package that wants others cannot be installed
before(() => {
  const tarball = run("npm", ["pack", "--silent", "--pack-destination", consumer], ".").trim();
  writeFileSync(join(consumer, "package.json"), '{ "private": true }\n');
  run("npm", ["install", ...quiet, "--engine-strict", `./${tarball}`], consumer);
});
after(() => rmSync(consumer, { recursive: true, force: true }));

test("an installed package brings no other, and program and library run from it", () => {
  const packages = readdirSync(join(consumer, "node_modules")).filter((name) => !name.startsWith("."));
  assert.deepEqual(packages, ["pingora-entry"]);
  assert.match(run("node_modules/.bin/pingora-entry", ["version"], consumer), /^pingora-entry \d/);
  const program = "console.log(typeof Server, new Server().executionPhase ?? '')";
  const required = run(process.execPath, ["-e", `const { Server } = require("pingora-entry"); ${program}`], consumer);
  const imported = run(
    process.execPath,
    ["--input-type=module", "-e", `import { Server } from "pingora-entry"; ${program}`],
    consumer,
  );
  assert.match(required, /^function/);
  assert.equal(imported, required);
});

test("the bundles require nothing but Node and each other, and the licences of what is in them are beside them", () => {
  const bundles = readdirSync(join(installed, "dist/bin")).filter((name) => name.endsWith(".cjs"));
  assert.ok(bundles.includes("library.cjs"));
  for (const bundle of bundles) {
    const wanted = [
      ...readFileSync(join(installed, "dist/bin", bundle), "utf8").matchAll(/\brequire\(["']([^"']+)["']\)/g),
    ]
      .map(([, name = ""]) => name)
      .filter((name) => !builtinModules.includes(name.replace(/^node:/, "")) && name !== "./admin.cjs");
    assert.deepEqual(wanted, [], bundle);
  }
  const licences = readFileSync(join(installed, "dist/bin/LICENSES-THIRD-PARTY"), "utf8");
  for (const name of ["convict", "fastify", "pino", "prom-client", "yaml", "find-my-way"])
    assert.match(licences, new RegExp(`^${name} \\d[^\\n]*: [^\\n]+\\n\\n[^\\n]`, "m"));
});

const [newest, five] = ["typescript", "typescript-5"];
for (const [what, compiler, file, options] of [
  ["an ES module, nodenext", newest, "esm.mts", { module: "nodenext" }],
  ["CommonJS, node16", newest, "cjs.cts", { module: "node16" }],
  ["a bundler", newest, "bundled.ts", { module: "preserve", moduleResolution: "bundler" }],
  ["an ES module, node16, of TypeScript 5", five, "esm.mts", { module: "node16" }],
  ["node10, of TypeScript 5", five, "old.ts", { module: "commonjs", moduleResolution: "node10" }],
] as const)
  test(`the types can be used from ${what}`, () => {
    const types = join(consumer, "node_modules", "@types");
    mkdirSync(types, { recursive: true });
    for (const [from, to] of [
      ["@types/node", join(types, "node")],
      ["undici-types", join(consumer, "node_modules", "undici-types")],
    ] as const) {
      rmSync(to, { recursive: true, force: true });
      symlinkSync(resolve("node_modules", from), to);
    }
    // the expected error shows that the types are there and are no `any`
    writeFileSync(
      join(consumer, file),
      `import { Server, drainable, processService, type ServerConf, type Snapshot } from "pingora-entry";
import { createServer } from "node:http";
const conf: Partial<ServerConf> = {};
const server: Server = new Server();
const snapshot: Snapshot | undefined = server.snapshot;
server.addService({ name: "web", async start({ ready }) { ready(); } }).ready();
// @ts-expect-error a number is no name
server.addService({ name: 42, async start() {} });
export const used = [conf, snapshot, drainable(createServer()), processService];
`,
    );
    const config = join(consumer, "tsconfig.json");
    const compilerOptions = {
      ...options,
      target: "es2022",
      lib: ["es2023"],
      types: ["node"],
      strict: true,
      noEmit: true,
      preserveSymlinks: true,
    };
    writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
    run(process.execPath, [resolve("node_modules", compiler, "bin/tsc"), "-p", config], consumer);
  });
