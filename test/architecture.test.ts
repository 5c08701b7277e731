import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => join("src", file));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const imports: Import[] = files.flatMap((from) => {
  const text = readFileSync(from, "utf8");
  const found = [
    ...text.matchAll(
      /(?:^|\n)\s*(import|export)\s+(type\s+)?[^;"']*?from\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)|(?:^|\n)import\s+["']([^"']+)["']/g,
    ),
  ];
  return found.map((match) => {
    const target = match[3] ?? match[4] ?? match[5] ?? "";
    const to = target.startsWith(".") ? normalize(join(dirname(from), target)).replace(/\.js$/, ".ts") : target;
    return { from, to, typeOnly: match[2] !== undefined };
  });
});

/** core, runtime, adapters/<x>, library, cli, or the root files */
function layer(path: string): string {
  const parts = path.split("/");
  return parts[1] === "adapters" ? `adapters/${parts[2]}` : parts.length > 2 ? (parts[1] ?? "") : "root";
}

/** The runtime's only way to the world. */
const ports = new Set(["src/runtime/ports.ts", "src/runtime/handover-ports.ts"]);

function allowed({ from, to, typeOnly }: Import): boolean {
  if (!to.startsWith("src/")) return layer(from) !== "core" && !(layer(from) === "runtime" && !typeOnly);
  const [a, b] = [layer(from), layer(to)];
  if (a === b || a === "root") return true;
  if (b === "core") return true;
  if (a === "core") return false;
  if (a === "runtime") return false;
  if (a.startsWith("adapters/")) return b === "adapters/native" || (ports.has(to) && typeOnly);
  if (a === "library") return b === "runtime" || b.startsWith("adapters/");
  return a === "cli" && b !== "root";
}

test("src imports only what the import table of the architecture allows", () => {
  const wrong = imports.filter((each) => !allowed(each)).map(({ from, to }) => `${from} -> ${to}`);
  assert.deepEqual(wrong, []);
});

test("src/core knows no clock, no chance, no timer, no process and waits for nothing", () => {
  const impure =
    /\bDate\.now\b|\bnew Date\(\s*\)|(?<![.\w])(?:performance|process|globalThis|console)\s*[.[]|\b(?:set(?:Timeout|Interval|Immediate)|queueMicrotask|Math\.random|Promise|async|await)\b/;
  const wrong = files
    .filter((file) => layer(file) === "core")
    .flatMap((file) => {
      // words of comments and texts are no code; nor are line ends within them
      const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"/g, (text) =>
        text.replace(/[^\n]/g, " "),
      );
      return code
        .split("\n")
        .flatMap((line, index) => (impure.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : []));
    });
  assert.deepEqual(wrong, []);
});

test("src has no import cycle", () => {
  const edges = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports)
    if (to.startsWith("src/") && !typeOnly) edges.set(from, [...(edges.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    assert.equal(at, -1, `cycle: ${[...path.slice(at), file].join(" -> ")}`);
    if (done.has(file)) return;
    for (const to of edges.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
});

test("src names each npm library in one folder only", () => {
  const users = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    if (to.startsWith("src/") || to.startsWith("node:")) continue;
    const name = to.startsWith("@") ? to.split("/").slice(0, 2).join("/") : (to.split("/")[0] ?? "");
    users.set(name, (users.get(name) ?? new Set()).add(layer(from)));
  }
  for (const [name, folders] of users) {
    assert.equal(folders.size, 1, `${name} is used in ${[...folders].join(", ")}`);
    assert.match([...folders][0] ?? "", /^adapters\//, name);
  }
});

test("src ends the process only where its exit code is decided", () => {
  const users = files.filter((file) => /\bprocess\.exit\(/.test(readFileSync(file, "utf8")));
  const mayExit = ["src/main.ts", "src/library/server.ts"];
  assert.deepEqual(
    users.filter((file) => !mayExit.includes(file)),
    [],
  );
});

test("src has no vague file names, enums or default exports", () => {
  for (const file of files) {
    assert.doesNotMatch(file, /(^|\/)(utils?|helpers?|common|misc|types|manager|handler)(\/|\.)/i);
    const text = readFileSync(file, "utf8");
    assert.doesNotMatch(text, /^export default/m, file);
    assert.doesNotMatch(text, /^(export )?(const )?enum /m, file);
  }
});
