import { closeSync, constants, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where a candidate leaves why it cannot be the next generation, for the generation that has started it. */
export const refusalVariable = "PINGORA_ENTRY_REFUSAL";

const mostBytes = 64 * 1024;

/** The file of an attempt; its id is nobody's to guess. */
export const refusalFile = (directory: string, attempt: string): string => join(directory, `refusal-${attempt}`);

/** For whoever ordered this process to start. What is there already is another's. */
export function leaveRefusal(text: string, env: Readonly<Record<string, string | undefined>>): void {
  const path = env[refusalVariable] ?? "";
  if (path === "") return;
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o600 });
  } catch {
    // it is on stderr as well
  }
}

/** What a candidate has left, which is gone with this; undefined: nothing. */
export function takeRefusal(path: string): string | undefined {
  const bytes = Buffer.alloc(mostBytes);
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const text = bytes.toString("utf8", 0, readSync(fd, bytes, 0, mostBytes, 0)).trim();
      return text === "" ? undefined : text;
    } finally {
      closeSync(fd);
      rmSync(path, { force: true });
    }
  } catch {
    return undefined;
  }
}
