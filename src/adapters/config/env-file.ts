import { hasNul } from "./expand.js";

/** One line of an env file that is none. */
export interface EnvFileMistake {
  /** from 1 */
  readonly line: number;
  readonly message: string;
}

/**
 * NAME=value lines: blank lines and # comments are passed over, `export ` may stand before the name. '...' is literal and may span lines;
 * in "..." `\n`, `\t`, `\"`, `\\` are escapes; without quotes the value ends at the line's end or at " #". Nothing is expanded.
 */
export function parseEnvFile(text: string): {
  readonly values: ReadonlyMap<string, string>;
  readonly mistakes: readonly EnvFileMistake[];
} {
  const values = new Map<string, string>();
  const mistakes: EnvFileMistake[] = [];
  const body = text.replace(/^\uFEFF/, "");
  let line = 1;
  for (let at = 0; at < body.length; ) {
    const end = lineEnd(body, at);
    const head = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/.exec(body.slice(at, end));
    if (head === null) {
      const rest = body.slice(at, end).trim();
      if (rest !== "" && !rest.startsWith("#")) mistakes.push({ line, message: "is not NAME=value" });
      at = end + 1;
      line += 1;
      continue;
    }
    const from = at + head[0].length;
    const quoteMark = body[from];
    if (quoteMark !== "'" && quoteMark !== '"') {
      const value = body
        .slice(from, end)
        .replace(/(^|\s)#.*$/, "")
        .trim();
      if (value.includes("\0")) mistakes.push({ line, message: hasNul });
      else values.set(head[1] ?? "", value);
      at = end + 1;
      line += 1;
      continue;
    }
    const close = closingQuote(body, from + 1, quoteMark);
    if (close === -1) {
      mistakes.push({ line, message: "has a quote that is not closed" });
      break;
    }
    const inner = body.slice(from + 1, close);
    if (inner.includes("\0")) mistakes.push({ line, message: hasNul });
    else values.set(head[1] ?? "", quoteMark === '"' ? unescaped(inner) : inner);
    const after = lineEnd(body, close);
    const trailing = body.slice(close + 1, after).trim();
    if (trailing !== "" && !trailing.startsWith("#"))
      mistakes.push({ line, message: "has text after its closing quote" });
    line += body.slice(at, after).split("\n").length;
    at = after + 1;
  }
  return { values, mistakes };
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

function closingQuote(text: string, from: number, mark: string): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\" && mark === '"') at += 1;
    else if (text[at] === mark) return at;
  }
  return -1;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\", $: "$" };

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, (whole, char: string) => escapes[char] ?? whole);
}
