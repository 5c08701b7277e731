import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "./random.js";

/** Texts of all configurations that the tests have, good and wrong. */
export function corpus(): string[] {
  const root = join(process.cwd(), "test/config");
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(ya?ml|json)$/.test(path) && !path.endsWith("input.json") && !path.endsWith("expected.json"))
    .filter((path) => statSync(join(root, path)).isFile())
    .sort()
    .map((path) => readFileSync(join(root, path), "utf8"));
}

const pieces = [
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n    ",
    "#",
    " # x",
    '"',
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "? ",
    "%",
    "@",
    "`",
    "\t",
    "\r\n",
    "\u0000",
  ],
  ...[
    "null",
    "~",
    "true",
    "no",
    "0",
    "-1",
    "1.5",
    "1e999",
    "0x1F",
    "0o17",
    "0660",
    ".inf",
    ".nan",
    "99999999999999999999",
    '""',
    "''",
    "{}",
    "[]",
    "<<: *a",
  ],
  ...[
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    "${HOME}",
    "${",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    "${X:-y}",
    "$$",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    "${file:/etc/passwd}",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    "${file:/nope}",
    "\ud800",
    "é",
    "—",
    "\ufeff",
    "\u2028",
    "---\n",
    "...\n",
  ],
  ...[
    "services",
    "listeners",
    "command",
    "dependsOn",
    "readinessProbe",
    "httpGet",
    "tcpSocket",
    "listener",
    "port",
    "stop",
    "signal",
    "graceSeconds",
  ],
  ...[
    "shutdown",
    "admin",
    "tcp",
    "unix",
    "web",
    "main",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "x-",
  ],
];

/** The text after one to five small accidents: pieces put in, taken out, doubled, moved, lines swapped, two texts joined. */
export function mutate(text: string, texts: readonly string[], random: Random): string {
  let result = text;
  for (let left = 1 + random.below(5); left > 0; left--) {
    const at = random.below(result.length + 1);
    const end = Math.min(result.length, at + random.below(20));
    const kind = random.below(7);
    if (kind <= 1) result = result.slice(0, at) + random.pick(pieces) + result.slice(at);
    else if (kind === 2) result = result.slice(0, at) + result.slice(end);
    else if (kind === 3) result = result.slice(0, end) + result.slice(at);
    else if (kind === 4) result = swapLines(result, random);
    else if (kind === 5)
      result = result.replace(
        new RegExp(`\\b${random.pick(["web", "db", "http", "8080", "ready", "\\./web", "[a-z]+"])}\\b`),
        random.pick(pieces),
      );
    else
      result = random.chance(0.2)
        ? `${result}\n${random.pick(texts)}`
        : result.slice(0, at) + String.fromCharCode(random.below(0x180)) + result.slice(at + 1);
  }
  return result.slice(0, 20_000);
}

function swapLines(text: string, random: Random): string {
  const lines = text.split("\n");
  const [a, b] = [random.below(lines.length), random.below(lines.length)];
  const line = lines[a] ?? "";
  lines[a] = lines[b] ?? "";
  lines[b] = line;
  return lines.join("\n");
}
