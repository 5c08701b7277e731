import { isUtf8 } from "node:buffer";

/**
 * Strings of the kernel (argv, environment, paths) are bytes; ours are Unicode. UTF-8 is read as such, and a byte that is not UTF-8
 * becomes the lone surrogate U+DC00 + byte, which stands for nothing else; so every byte survives the way there and back (PEP 383).
 */
export function decodeText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    text += length === 0 ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0)) : bytes.toString("utf8", at, at + length);
    at += length || 1;
  }
  return text;
}

/** Length of the UTF-8 character at `at`; 0 when there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** The reverse of decodeText. Any other lone surrogate becomes U+FFFD, as everywhere in Node. */
export function encodeText(text: string): Buffer {
  if (!/[\uDC80-\uDCFF]/u.test(text)) return Buffer.from(text, "utf8");
  const parts = text.split(/([\uDC80-\uDCFF])/u);
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 1 ? Buffer.of(part.charCodeAt(0) - 0xdc00) : Buffer.from(part, "utf8"))),
  );
}
