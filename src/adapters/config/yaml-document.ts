import type { Document, Node, Pair, YAMLError, YAMLMap } from "yaml";
import { type Complaints, quote } from "./complaints.js";
import { type ConfigNode, type MapEntry, type Origin, type Place, scalar } from "./node.js";

type Yaml = typeof import("yaml");

/** Anchors may repeat values; a configuration with more than this many was made to exhaust us. */
const valueLimit = 100_000;
const depthLimit = 50;

/** Aliases, merge keys and all else YAML 1.2 has. Undefined for a text without a document; unreadable: why is complained about. */
export function readYaml(
  yaml: Yaml,
  origin: Origin & { readonly text: string },
  complaints: Complaints,
): ConfigNode | "unreadable" | undefined {
  let document: Document.Parsed;
  try {
    document = yaml.parseDocument(origin.text, { merge: true, prettyErrors: false, logLevel: "error" });
  } catch (error) {
    // the parser recurses: only depth can exhaust the stack
    if (!(error instanceof RangeError)) throw error;
    complaints.problem({ origin, offset: 0 }, "", `cannot read it: nested more than ${depthLimit} deep`);
    return "unreadable";
  }
  const fatal = document.errors.find((error) => error.code !== "DUPLICATE_KEY");
  if (fatal !== undefined) {
    const { offset, message } = syntaxProblem(yaml, fatal, origin.text);
    complaints.problem({ origin, offset }, "", message);
    return "unreadable";
  }
  for (const error of document.errors) {
    complaints.problem(
      { origin, offset: error.pos[0] },
      "",
      `the key ${keyAt(origin.text, error.pos)} is given twice in one map`,
    );
  }
  for (const warning of document.warnings) {
    complaints.problem(
      { origin, offset: warning.pos[0] },
      "",
      warning.code === "TAG_RESOLVE_FAILED" ? "unknown YAML tag" : warning.message,
    );
  }
  if (document.contents === null) return undefined;
  const told = new Set(document.errors.map(({ pos }) => pos[0]));
  const conversion = new Conversion(yaml, document, origin, complaints, told);
  const node = conversion.node(document.contents, 0);
  return conversion.exhausted ? "unreadable" : node;
}

class Conversion {
  readonly #yaml: Yaml;
  readonly #document: Document.Parsed;
  readonly #origin: Origin;
  readonly #complaints: Complaints;
  /** offsets of the keys given twice that have been complained about */
  readonly #told: Set<number>;
  /** values that may still come */
  #left = valueLimit;
  /** the alias being followed, when it is one of the text's own */
  #following: Place | undefined;
  exhausted = false;

  constructor(yaml: Yaml, document: Document.Parsed, origin: Origin, complaints: Complaints, told: Set<number>) {
    this.#told = told;
    this.#yaml = yaml;
    this.#document = document;
    this.#origin = origin;
    this.#complaints = complaints;
  }

  node(node: Node | null, depth: number, fallback = 0): ConfigNode {
    const place = this.#place(node, fallback);
    if (node === null) return scalar(null, "", place);
    if (this.#spent(place, depth)) return scalar(null, "null", place);
    if (this.#yaml.isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target !== undefined) return this.#follow(target, place, depth);
      this.#complaints.problem(place, "", `unknown anchor "*${node.source}"`);
      return scalar(null, "null", place);
    }
    if (this.#yaml.isMap(node)) return { kind: "map", entries: this.#entries(node, depth), ...place };
    if (this.#yaml.isSeq(node)) {
      return {
        kind: "list",
        items: node.items.map((item) => this.node(item as Node | null, depth + 1, place.offset)),
        ...place,
      };
    }
    if (!this.#yaml.isScalar(node)) return scalar(null, "null", place);
    const quoted = node.type !== "PLAIN" && node.type !== undefined;
    const value = node.value;
    // the parser's offset of a value that is not there depends on the comments around
    if (value === null && node.source === "") return scalar(null, "", { origin: this.#origin, offset: fallback });
    if (value === null || typeof value === "boolean") return scalar(value, node.source ?? "", place);
    if (typeof value === "number") return scalar(value, node.source ?? String(value), place);
    return scalar(String(value), String(value), place, quoted);
  }

  #entries(map: YAMLMap, depth: number): Map<string, MapEntry> {
    const entries = new Map<string, MapEntry>();
    const merged: Pair[] = [];
    for (const pair of map.items) {
      const key = pair.key as Node | null;
      const place = this.#place(key, map.range?.[0] ?? 0);
      if (this.#isMerge(pair)) {
        if (merged.length > 0)
          this.#complaints.problem(place, "", 'the key "<<" is given twice in one map', "write <<: [*a, *b]");
        merged.push(pair);
        continue;
      }
      const name = this.#keyText(key);
      if (name === undefined) {
        this.#complaints.problem(place, "", "a key must be plain text, not a list, a map or nothing");
        continue;
      }
      if (entries.has(name)) {
        // 1 and "1" are two keys to YAML, one name to us
        if (!this.#told.has(place.offset))
          this.#complaints.problem(place, "", `the key ${quote(name)} is given twice in one map`);
        this.#told.add(place.offset);
        continue;
      }
      entries.set(name, { key: place, value: this.node(pair.value as Node | null, depth + 1, place.offset) });
    }
    for (const pair of merged) this.#merge(entries, pair.value as Node | null, depth);
    return entries;
  }

  /** What is written in the map itself stays; of several merged maps the first wins. */
  #merge(entries: Map<string, MapEntry>, value: Node | null, depth: number): void {
    const source = this.node(value, depth + 1);
    for (const map of source.kind === "list" ? source.items : [source]) {
      if (map.kind !== "map") {
        this.#complaints.problem(source, "", "the merge key << needs a map or a list of maps");
        continue;
      }
      for (const [name, entry] of map.entries) if (!entries.has(name)) entries.set(name, entry);
    }
  }

  #isMerge(pair: Pair): boolean {
    const key = pair.key;
    return this.#yaml.isScalar(key) && key.type === "PLAIN" && key.source === "<<";
  }

  #keyText(key: Node | null): string | undefined {
    if (this.#yaml.isAlias(key)) return this.#keyText(key.resolve(this.#document) ?? null);
    if (!this.#yaml.isScalar(key)) return undefined;
    const text = typeof key.value === "string" ? key.value : key.source;
    return text === undefined || text === "" ? undefined : text;
  }

  #place(node: Node | null, fallback: number): Place {
    return { origin: this.#origin, offset: node?.range?.[0] ?? fallback };
  }

  #follow(target: Node, place: Place, depth: number): ConfigNode {
    const outermost = this.#following === undefined;
    if (outermost) this.#following = place;
    const node = this.node(target, depth + 1);
    if (outermost) this.#following = undefined;
    return node;
  }

  #spent(place: Place, depth: number): boolean {
    this.#left -= 1;
    if (!this.exhausted && this.#left > 0 && depth <= depthLimit) return false;
    if (!this.exhausted) {
      const deep =
        this.#following === undefined
          ? `nested more than ${depthLimit} deep`
          : "an alias that leads into itself, or too deep";
      const why = depth > depthLimit ? deep : `more than ${valueLimit} values once its aliases are followed`;
      this.#complaints.problem(this.#following ?? place, "", `cannot use it: ${why}`);
    }
    this.exhausted = true;
    return true;
  }
}

function keyAt(text: string, [from, to]: readonly [number, number]): string {
  const word = /^["']?([\w./-]+)/.exec(text.slice(from, Math.max(to, from + 80)));
  return word?.[1] === undefined ? "here" : `"${word[1]}"`;
}

const tabMessage = "a tab is used as indentation; YAML needs spaces";

const syntaxMessages: Partial<Record<YAMLError["code"], string>> = {
  TAB_AS_INDENT: tabMessage,
  BAD_INDENT: "the indentation does not fit the lines above",
  BLOCK_AS_IMPLICIT_KEY: "a map begins in the middle of a line; put it on lines of its own or quote the value",
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line and be followed by ": "',
  KEY_OVER_1024_CHARS: "a key is longer than 1024 characters",
  BAD_DQ_ESCAPE: 'unknown escape after "\\" in a double-quoted text; use single quotes to take it literally',
  RESOURCE_EXHAUSTION: `nested more than ${depthLimit} deep`,
};

/** In words, and where the mistake is rather than where it was noticed. */
function syntaxProblem(
  yaml: Yaml,
  error: YAMLError,
  text: string,
): { readonly offset: number; readonly message: string } {
  const offset = error.pos[0];
  const bracket = /end with a ([\]}])/.exec(error.message)?.[1];
  if (bracket !== undefined) {
    const open = bracket === "]" ? "[" : "{";
    const begin = openBracket(text, offset, open, bracket);
    const tab = indentingTab(yaml, error, text, begin);
    if (tab !== undefined) return { offset: tab, message: tabMessage };
    return { offset: begin, message: `"${open}" is not closed with "${bracket}"` };
  }
  if (/Missing closing/.test(error.message))
    return { offset: lastQuote(yaml, text) ?? offset, message: "this quoted text is not closed" };
  return { offset, message: syntaxMessage(error, text) };
}

/** The last bracket before `end` that has no partner; quotes are not looked at, which may miss by a little. */
function openBracket(text: string, end: number, open: string, close: string): number {
  let closed = 0;
  for (let at = end - 1; at >= 0; at--) {
    if (text[at] === close) closed += 1;
    else if (text[at] === open && closed > 0) closed -= 1;
    else if (text[at] === open) return at;
  }
  return end;
}

/**
 * The tab that made the parser think a collection in brackets was over: the first that indents a line within it, when with spaces there is no such
 * mistake. At the top level, as in JSON, tabs are allowed.
 */
function indentingTab(yaml: Yaml, error: YAMLError, text: string, begin: number): number | undefined {
  const spaced = text.replace(/^[ \t]+/gm, (indent) => indent.replaceAll("\t", " ".repeat(8)));
  const { errors } = yaml.parseDocument(spaced, { prettyErrors: false, logLevel: "error" });
  if (errors.some(({ code, message }) => code === error.code && message === error.message)) return undefined;
  const line = /^ *\t/m.exec(text.slice(begin));
  return line === null ? undefined : begin + line.index + line[0].length - 1;
}

/** Where the last quoted scalar begins. */
function lastQuote(yaml: Yaml, text: string): number | undefined {
  let at = 0;
  let last: number | undefined;
  for (const lexeme of new yaml.Lexer().lex(text)) {
    // marks of the lexer's own are no text
    if (lexeme === "\x02" || lexeme === "\x18" || lexeme === "\x1f") continue;
    if (/^["']/.test(lexeme)) last = at;
    at += lexeme.length;
  }
  return last;
}

function syntaxMessage(error: YAMLError, text: string): string {
  const found = text[error.pos[0]];
  if (error.code === "BAD_SCALAR_START") return `a text cannot begin with "${found}"; quote it`;
  if (error.code === "MISSING_CHAR" && /implicit keys need to be/i.test(error.message))
    return 'a key must be followed by ": "';
  if (error.code === "MULTIPLE_DOCS")
    return text.startsWith("---", error.pos[0])
      ? 'a second document begins here ("---"); give one document per file'
      : 'the document ended above ("..."); give one document per file';
  return syntaxMessages[error.code] ?? `not YAML: ${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`;
}
