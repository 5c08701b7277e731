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

export const leanLibraries = {
  name: "lean-libraries",
  setup(build) {
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
