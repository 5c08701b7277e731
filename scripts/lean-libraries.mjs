// An esbuild plugin: leaves out of the bundles what our libraries load and we never call. Each line says why it is not reached; the
// stand-in throws when it is touched after all, so that a new version that needs it fails in the first test.

/** [importing package, what it asks for] */
const unreached = [
  // no route has a schema, so no validator and no serializer is ever compiled
  ["fastify", "@fastify/ajv-compiler"],
  ["fastify", "@fastify/fast-json-stringify-compiler"],
  // `inject`, for tests
  ["fastify", "light-my-request"],
  // `logger: false`
  ["fastify", "./logger-pino.js"],
  // servers are made by our own serverFactory and listen on descriptors
  ["fastify", "node:http2"],
  ["fastify", "node:https"],
  ["fastify", "node:dns"],
  // log lines go to our own writer: no worker threads, no file destinations
  ["pino", "thread-stream"],
  ["pino", "sonic-boom"],
  ["pino", "on-exit-leak-free"],
  ["pino", "./transport"],
  ["pino", "./lib/transport"],
  ["pino", "./multistream"],
  ["pino", "./lib/multistream"],
];

const source = `module.exports = new Proxy(class {}, {
  get(target, name) {
    if (name === "then" || name === "__esModule" || typeof name === "symbol" || name in target) return target[name];
    throw new Error("left out of the bundle, see scripts/lean-libraries.mjs: " + String(name));
  },
});`;

/**
 * node:assert colours its messages, and asks process.stderr for it as soon as it is loaded: Node then makes a pipe or socket there
 * non-blocking, for every service that shares it. Libraries use it as a function only.
 */
const assertion = `module.exports = new Proxy(function assert(holds, message) {
  if (!holds) throw message instanceof Error ? message : new Error(message ?? "an assertion of a library does not hold");
}, {
  get(target, name) {
    if (name === "__esModule" || typeof name === "symbol" || name in target) return target[name];
    throw new Error("left out of the bundle, see scripts/lean-libraries.mjs: assert." + String(name));
  },
});`;

/** What touches process.stdout or process.stderr when it is loaded, and so must be in no bundle. */
const touchesOutputs = /^(node:)?(assert|console|test|repl|inspector|tty|readline|cluster)(\/.*)?$/;

/** @throws Error: a bundle asks for what would make the services' outputs non-blocking */
export function refuseTouchingOutputs(bundle, metafile) {
  const found = Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter(({ path, external }) => external && touchesOutputs.test(path))
    .map(({ path }) => path);
  if (found.length === 0) return;
  throw new Error(
    `${bundle} requires ${[...new Set(found)].join(", ")}, which touches process.stderr: give it a stand-in in scripts/lean-libraries.mjs`,
  );
}

export const leanLibraries = {
  name: "lean-libraries",
  setup(build) {
    build.onResolve({ filter: /^(node:)?assert$/ }, ({ importer }) =>
      importer.includes("/node_modules/") ? { path: "assert", namespace: "lean-assert" } : undefined,
    );
    build.onLoad({ filter: /./, namespace: "lean-assert" }, () => ({ contents: assertion, loader: "js" }));
    const wanted = new Set(unreached.map(([, path]) => path));
    build.onResolve({ filter: /./ }, ({ path, importer }) => {
      if (!wanted.has(path)) return undefined;
      const owner = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(importer)?.[1];
      return unreached.some(([from, what]) => from === owner && what === path)
        ? { path, namespace: "lean" }
        : undefined;
    });
    build.onLoad({ filter: /./, namespace: "lean" }, () => ({ contents: source, loader: "js" }));
  },
};
