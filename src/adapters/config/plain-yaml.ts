import { type ConfigNode, type MapEntry, type MapNode, type Origin, type ScalarNode, scalar } from "./node.js";

/** What configurations are mostly made of; nothing else may appear, even in a comment. */
const plainText = /^[\n\x20-\x7e\u00a1-\u2027\u2030-\ud7ff]*$/;
const depthLimit = 20;

/**
 * Reads the part of YAML that nearly every configuration keeps to: block and flow collections, one-line scalars, comments. It does in a tenth of the
 * time what the full parser does, and a container's start waits for it. Undefined for everything else, also for every mistake: then the full
 * parser is asked, which is the authority; a test holds the two to the same result on whatever this one accepts.
 */
export function readPlainYaml(origin: Origin & { readonly text: string }): MapNode | undefined {
  if (!plainText.test(origin.text)) return undefined;
  const reader = new PlainReader(origin);
  try {
    return reader.document();
  } catch (error) {
    if (error === beyond) return undefined;
    throw error;
  }
}

/** Thrown at the first thing that is not plain. */
const beyond = new Error("not plain YAML");

const keyPattern =
  /(?:[A-Za-z0-9_/][A-Za-z0-9_./-]{0,99}|"[A-Za-z0-9_./ -]{1,100}"|'[A-Za-z0-9_./ -]{1,100}'):(?=[ \n]|$)/y;
const doubleQuoted = /"(?:[^"\\\n]|\\["\\/bfnrt])*"/y;
const singleQuoted = /'(?:[^'\n]|'')*'/y;
/** of a block: up to the line's end, a comment, or a ": " that makes it something else */
const blockScalar = /[A-Za-z0-9_./~$+(\\-](?:[^\n#:]|(?<! )#|:(?![ \n]|$))*/y;
const flowScalar = /[A-Za-z0-9_./~$+(\\-](?:[^\n#:,[\]{}]|(?<! )#|:(?![ \n,[\]{}]|$))*/y;
const blank = / *(?:(?<=[ \n]|^)#[^\n]*)?(?=\n|$)/y;

class PlainReader {
  readonly #origin: Origin;
  readonly #text: string;
  /** of the next character to be read */
  #at = 0;
  #depth = 0;

  constructor(origin: Origin & { readonly text: string }) {
    this.#origin = origin;
    this.#text = origin.text;
  }

  document(): MapNode {
    this.#nextLine();
    if (this.#indentHere() !== 0) throw beyond;
    const map = this.#blockMap(0);
    if (this.#at < this.#text.length) throw beyond;
    return map;
  }

  /** At the first character of a key in column `indent`; leaves at the first character of a line that does not belong to it. */
  #blockMap(indent: number): MapNode {
    const start = this.#at;
    const entries = new Map<string, MapEntry>();
    do {
      const offset = this.#at;
      const name = this.#key();
      if (entries.has(name)) throw beyond;
      entries.set(name, { key: { origin: this.#origin, offset }, value: this.#blockValue(indent, offset, true) });
    } while (this.#indentHere() === indent && !this.#atDash());
    return { kind: "map", entries, origin: this.#origin, offset: start };
  }

  #blockList(indent: number): ConfigNode {
    const start = this.#at;
    const items: ConfigNode[] = [];
    do {
      const offset = this.#at;
      this.#at += 1;
      while (this.#text[this.#at] === " ") this.#at += 1;
      const column = this.#at - (this.#text.lastIndexOf("\n", this.#at - 1) + 1);
      keyPattern.lastIndex = this.#at;
      if (keyPattern.test(this.#text)) {
        items.push(this.#deeper(() => this.#blockMap(column)));
        continue;
      }
      this.#at = offset + 1;
      items.push(this.#blockValue(indent, offset, false));
    } while (this.#indentHere() === indent && this.#atDash());
    return { kind: "list", items, origin: this.#origin, offset: start };
  }

  /** What follows "key:" or "-" of a collection in column `indent`, on the same line or below; leaves at the next line's content. */
  #blockValue(indent: number, owner: number, ofKey: boolean): ConfigNode {
    const lineStart = this.#at;
    if (this.#endOfLine()) {
      const below = this.#indentHere();
      const listBeside = ofKey && below === indent && this.#atDash();
      if (below > indent || listBeside) {
        return this.#deeper(() => (this.#atDash() ? this.#blockList(below) : this.#blockMap(below)));
      }
      if (!ofKey) throw beyond;
      return scalar(null, "", { origin: this.#origin, offset: owner });
    }
    this.#at = lineStart;
    if (this.#text[this.#at] !== " ") throw beyond;
    while (this.#text[this.#at] === " ") this.#at += 1;
    const value = this.#flowStart() ? this.#flow(indent) : (this.#quoted() ?? this.#plain(blockScalar));
    if (!this.#endOfLine()) throw beyond;
    // a line further in would continue the value
    if (this.#at < this.#text.length && this.#indentHere() > indent) throw beyond;
    return value;
  }

  /** Keys that YAML takes for numbers and the like are compared by value: not here. */
  #key(): string {
    const written = this.#take(keyPattern) ?? this.#stop();
    if (/^["']/.test(written)) return written.slice(1, -2);
    const name = written.slice(0, -1);
    if (typeof plainScalarValue(name) !== "string") throw beyond;
    return name;
  }

  #flowStart(): boolean {
    return this.#text[this.#at] === "[" || this.#text[this.#at] === "{";
  }

  #flow(indent: number): ConfigNode {
    return this.#deeper(() => (this.#text[this.#at] === "[" ? this.#flowList(indent) : this.#flowMap(indent)));
  }

  #flowList(indent: number): ConfigNode {
    const offset = this.#at;
    const items: ConfigNode[] = [];
    this.#at += 1;
    this.#flowBlank(indent);
    while (this.#text[this.#at] !== "]") {
      items.push(this.#flowValue(indent));
      this.#flowComma("]", indent);
    }
    this.#at += 1;
    return { kind: "list", items, origin: this.#origin, offset };
  }

  #flowMap(indent: number): ConfigNode {
    const offset = this.#at;
    const entries = new Map<string, MapEntry>();
    this.#at += 1;
    this.#flowBlank(indent);
    while (this.#text[this.#at] !== "}") {
      const key = { origin: this.#origin, offset: this.#at };
      const name = this.#key();
      if (entries.has(name) || this.#text[this.#at] !== " ") throw beyond;
      this.#flowBlank(indent);
      entries.set(name, { key, value: this.#flowValue(indent) });
      this.#flowComma("}", indent);
    }
    this.#at += 1;
    return { kind: "map", entries, origin: this.#origin, offset };
  }

  #flowValue(indent: number): ConfigNode {
    return this.#flowStart() ? this.#flow(indent) : (this.#quoted() ?? this.#plain(flowScalar));
  }

  #flowComma(close: string, indent: number): void {
    this.#flowBlank(indent);
    if (this.#text[this.#at] === ",") {
      this.#at += 1;
      this.#flowBlank(indent);
    } else if (this.#text[this.#at] !== close) throw beyond;
  }

  /** Spaces, comments and line ends within brackets; lines must stand further in than the collection around. */
  #flowBlank(indent: number): void {
    while (this.#text[this.#at] === " ") this.#at += 1;
    if (this.#text[this.#at] !== "\n" && this.#text[this.#at] !== "#") return;
    if (!this.#endOfLine()) throw beyond;
    if (this.#at >= this.#text.length || this.#indentHere() <= indent) throw beyond;
  }

  #quoted(): ScalarNode | undefined {
    const offset = this.#at;
    const mark = this.#text[offset];
    if (mark !== '"' && mark !== "'") return undefined;
    const written = this.#take(mark === '"' ? doubleQuoted : singleQuoted) ?? this.#stop();
    const value = mark === '"' ? (JSON.parse(written) as string) : written.slice(1, -1).replaceAll("''", "'");
    return scalar(value, value, { origin: this.#origin, offset }, true);
  }

  #plain(pattern: RegExp): ScalarNode {
    const offset = this.#at;
    const written = (this.#take(pattern) ?? this.#stop()).trimEnd();
    if (written.startsWith("-") && !/^--?[A-Za-z0-9.]/.test(written)) throw beyond;
    return scalar(plainScalarValue(written), written, { origin: this.#origin, offset });
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }

  /** True when only blanks and a comment are left of this line; then goes to the content of the next line that has some. */
  #endOfLine(): boolean {
    if (this.#take(blank) === undefined) return false;
    this.#nextLine();
    return true;
  }

  #nextLine(): void {
    for (;;) {
      const begin = this.#at;
      const empty = this.#take(blank) !== undefined;
      if (!empty) {
        this.#at = begin;
        while (this.#text[this.#at] === " ") this.#at += 1;
        return;
      }
      if (this.#at >= this.#text.length) return;
      this.#at += 1;
    }
  }

  /** Column of the next character, which is the first of its line; -1 at the end. */
  #indentHere(): number {
    if (this.#at >= this.#text.length) return -1;
    return this.#at - (this.#text.lastIndexOf("\n", this.#at - 1) + 1);
  }

  #atDash(): boolean {
    const following = this.#text[this.#at + 1];
    return this.#text[this.#at] === "-" && (following === " " || following === "\n" || following === undefined);
  }

  #deeper<T extends ConfigNode>(inner: () => T): T {
    this.#depth += 1;
    if (this.#depth > depthLimit) throw beyond;
    const result = inner();
    this.#depth -= 1;
    return result;
  }

  #stop(): never {
    throw beyond;
  }
}

/** The core schema of YAML 1.2, chapter 10.3.2. */
export function plainScalarValue(written: string): ScalarNode["value"] {
  if (!/^[-+.0-9~nNtTfF]/.test(written)) return written;
  if (/^(?:~|null|Null|NULL)$/.test(written)) return null;
  if (/^(?:true|True|TRUE)$/.test(written)) return true;
  if (/^(?:false|False|FALSE)$/.test(written)) return false;
  if (/^[-+]?[0-9]+$/.test(written)) return Number.parseInt(written, 10);
  if (/^0o[0-7]+$/.test(written)) return Number.parseInt(written.slice(2), 8);
  if (/^0x[0-9a-fA-F]+$/.test(written)) return Number.parseInt(written.slice(2), 16);
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(written))
    return written.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^\.(?:nan|NaN|NAN)$/.test(written)) return Number.NaN;
  if (/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(written)) return Number.parseFloat(written);
  return written;
}
