import { signalName, signalNumber, signalNumbers } from "../../core/signals.js";
import { suggest } from "../../core/suggest.js";
import { meant, quote } from "./complaints.js";
import { type Format, Refused } from "./format.js";

/** "TERM", "SIGTERM", 15, "SIGRTMIN+3": as "SIGTERM". */
export const signal: Format<string> = {
  name: "signal",
  needs: "a signal such as SIGTERM",
  parse: ({ text, value }) => {
    if (value === null) return undefined;
    const name = signalName(text);
    if (name !== undefined && signalNumber(name) > 0) return name;
    return new Refused(`${quote(text)} is no signal`, meant(suggest(text, Object.keys(signalNumbers))));
  },
  json: { type: ["string", "integer"], examples: ["SIGTERM", "SIGQUIT", "SIGRTMIN+3"] },
};

/** The source of a RegExp. */
export const pattern: Format<string> = {
  name: "pattern",
  needs: "a regular expression",
  parse: ({ text, value }) => {
    if (value === null || text === "") return undefined;
    try {
      new RegExp(text, "u");
      return text;
    } catch (error) {
      const reason =
        error instanceof Error
          ? error.message.replace(/^Invalid regular expression: (\/.*\/u?: )?/, "")
          : String(error);
      return new Refused(`${quote(text)} is no regular expression: ${reason.toLowerCase()}`);
    }
  },
  json: { type: "string", format: "regex" },
};

/** A command line as one text: split at blanks, `'...'` and `"..."` keep them, `\` takes the next character; no shell. */
export const commandLine: Format<readonly string[]> = {
  name: "command line",
  needs: "a command",
  parse: ({ text, value }) => {
    if (value === null) return undefined;
    const words = splitCommand(text);
    if (words === undefined) return new Refused(`a quote in ${quote(text)} is not closed`);
    return words.length === 0 || words[0] === "" ? undefined : words;
  },
  json: { type: "string", minLength: 1 },
};

function splitCommand(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quoteMark = "";
  for (let i = 0; i < line.length; i++) {
    const char = line[i] ?? "";
    if (quoteMark !== "") {
      if (char === quoteMark) quoteMark = "";
      else if (char === "\\" && quoteMark === '"' && /["\\]/.test(line[i + 1] ?? "")) word = (word ?? "") + line[++i];
      else word = (word ?? "") + char;
    } else if (char === "'" || char === '"') {
      quoteMark = char;
      word ??= "";
    } else if (char === "\\" && i + 1 < line.length) {
      word = (word ?? "") + line[++i];
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quoteMark !== "") return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

const factors: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A resource limit: a number, a size in Kubernetes' units (64Mi, 1G), or `unlimited`, which is -1. */
export const amount: Format<number> = {
  name: "amount",
  needs: "a whole number, a size such as 64Mi, or unlimited",
  parse: ({ text, value }) => {
    if (value === null) return undefined;
    if (text === "unlimited" || text === "-1") return -1;
    const size = /^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text);
    if (size === null) return undefined;
    const bytes = Number(size[1]) * (factors[size[2] ?? ""] ?? 1);
    if (!Number.isSafeInteger(bytes)) return new Refused(`${quote(text)} is no whole number or too large`);
    return bytes;
  },
  json: { type: ["integer", "string"], pattern: "^(unlimited|[0-9]+(\\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?)$" },
  write: (value: number) => (value === -1 ? "unlimited" : value),
};
