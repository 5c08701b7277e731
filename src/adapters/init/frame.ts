import { decodeText, encodeText } from "./text.js";

/*
 *   frame = verb NUL field NUL field ... NUL           (src/native/init/PROTOCOL.md)
 *   what is longer than `directBytes` travels in a sealed memfd: the datagram is "*" NUL, the memfd its first descriptor
 */

/** A frame up to this long is one datagram. */
export const directBytes = 60_000;
/** No frame is longer. */
export const maxFrameBytes = 8 * 1024 * 1024;
/** No frame carries more descriptors. */
export const maxFrameFds = 64;
/** The verb of a datagram whose frame is in a memfd. */
export const elsewhere = "*";

export interface Frame {
  readonly verb: string;
  readonly fields: readonly string[];
}

/** What the other end sent cannot be understood; `verb` as far as it could be read. */
export class FrameError extends Error {
  readonly verb: string;

  constructor(verb: string, message: string) {
    super(message);
    this.name = "FrameError";
    this.verb = verb;
  }
}

/** @throws FrameError: a field contains a NUL, or the frame is longer than maxFrameBytes */
export function encodeFrame(verb: string, fields: readonly string[] = []): Buffer {
  for (const field of fields) if (field.includes("\0")) throw new FrameError(verb, "a field contains a NUL");
  const bytes = encodeText(`${[verb, ...fields].join("\0")}\0`);
  if (bytes.length > maxFrameBytes) throw new FrameError(verb, `${bytes.length} bytes, at most ${maxFrameBytes} fit`);
  return bytes;
}

/** @throws FrameError, never anything else, whatever the bytes */
export function decodeFrame(bytes: Buffer): Frame {
  if (bytes.length === 0 || bytes[bytes.length - 1] !== 0)
    throw new FrameError("?", "the frame does not end with a NUL");
  const [verb = "", ...fields] = decodeText(bytes.subarray(0, -1)).split("\0");
  if (!/^(?:[A-Z][A-Z-]{0,31}|\*)$/.test(verb)) throw new FrameError("?", "the frame does not begin with a verb");
  return { verb, fields };
}
