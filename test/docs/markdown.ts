/** A fenced block of a page: ```language word key=value. */
export interface Block {
  readonly language: string;
  /** the words after the language */
  readonly words: readonly string[];
  readonly text: string;
  /** of the opening fence, from 1 */
  readonly line: number;
}

export interface Page {
  readonly blocks: readonly Block[];
  /** as GitHub names them */
  readonly anchors: ReadonlySet<string>;
  /** targets of links and images, outside of code */
  readonly links: readonly { readonly target: string; readonly line: number }[];
}

/** The value of `key=value` among the words of a block. */
export function wordValue(block: Block, key: string): string | undefined {
  return block.words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
}

/** @throws Error for a fence that is not closed */
export function readPage(markdown: string): Page {
  const blocks: Block[] = [];
  const anchors = new Set<string>();
  const links: { target: string; line: number }[] = [];
  const lines = markdown.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const text = lines[i] ?? "";
    const fence = /^(\s*)(`{3,})\s*(.*)$/.exec(text);
    if (fence !== null) {
      const [, indent = "", ticks = "", info = ""] = fence;
      const [language = "", ...words] = info.trim().split(/\s+/);
      const end = lines.indexOf(indent + ticks, i + 1);
      if (end < 0) throw new Error(`line ${i + 1}: the fence is not closed`);
      const body = lines.slice(i + 1, end).map((line) => line.slice(indent.length));
      blocks.push({ language, words, text: `${body.join("\n")}\n`, line: i + 1 });
      i = end;
      continue;
    }
    const heading = /^#{1,6}\s+(.*?)\s*$/.exec(text)?.[1];
    if (heading !== undefined) anchors.add(freeAnchor(heading, anchors));
    for (const [, id = ""] of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id);
    const prose = text.replace(/`[^`]*`/g, "");
    for (const [, target = ""] of prose.matchAll(/\]\(([^()\s]+)\)/g)) links.push({ target, line: i + 1 });
  }
  return { blocks, anchors, links };
}

function freeAnchor(heading: string, taken: ReadonlySet<string>): string {
  const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
  const anchor = plain.replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, "").replaceAll(" ", "-");
  if (!taken.has(anchor)) return anchor;
  for (let n = 1; ; n++) if (!taken.has(`${anchor}-${n}`)) return `${anchor}-${n}`;
}
