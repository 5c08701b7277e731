import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { EntryError } from "../core/entry-error.js";

/**
 * Writes the pid of the init, what a signal should be sent to. The result removes the file, unless somebody else's pid is in it by then.
 * @throws EntryError os: the file cannot be written
 */
export function writePidFile(path: string, pid: number): () => void {
  const text = `${pid}\n`;
  try {
    writeFileSync(path, text, { mode: 0o644 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new EntryError("os", `cannot write the pid file ${path}: ${code}; name another path in pid_file`);
  }
  return () => {
    try {
      if (readFileSync(path, "utf8") === text) rmSync(path);
    } catch {}
  };
}
