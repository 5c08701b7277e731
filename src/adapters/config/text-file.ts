import { isUtf8 } from "node:buffer";
import { readFileSync, statSync } from "node:fs";

/** A file that is no UTF-8: `text` is what it nearly says, `offset` the first character of it that is wrong. */
export class NotUtf8 extends Error {
  readonly text: string;
  readonly offset: number;

  constructor(text: string, offset: number) {
    const before = text.slice(0, offset).split("\n");
    super(`line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} is not UTF-8`);
    this.text = text;
    this.offset = offset;
  }
}

/** Pipes that somebody already writes to, and the usual word for nothing. */
const readable = /^\/dev\/(null|stdin|fd\/\d+)$|^\/proc\/(self|\d+)\/fd\/\d+$/;

/**
 * The whole of a text file.
 * @throws Error with an errno code, ENOTREG for what is no regular file (it could make us wait for ever). NotUtf8
 */
export function readTextFile(path: string): string {
  const stat = statSync(path);
  if (!stat.isFile() && !stat.isDirectory() && !readable.test(path))
    throw Object.assign(new Error(`${path} is no regular file`), { code: "ENOTREG" });
  const bytes = readFileSync(path);
  const text = bytes.toString("utf8");
  if (isUtf8(bytes)) return text;
  throw new NotUtf8(text, firstWrong(bytes));
}

/** No character of several bytes has a newline in it: line by line is as good as all at once. */
function firstWrong(bytes: Buffer): number {
  let offset = 0;
  for (let from = 0; from <= bytes.length; ) {
    const newline = bytes.indexOf(0x0a, from);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(from, end);
    const text = line.toString("utf8");
    if (!isUtf8(line)) return offset + Math.max(0, text.indexOf("\ufffd"));
    offset += text.length + 1;
    from = end + 1;
  }
  return 0;
}
